"""A study from its file to its page, on real clips with a small model; what a sceptic would try is refused."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")
pytest.importorskip("kaldialign")

from small_models import small_whisper  # noqa: E402

from secateur.audio.effects import power  # noqa: E402
from secateur.base.errors import SecateurError  # noqa: E402
from secateur.base.files import read_json  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.data.bank import AudioBank  # noqa: E402
from secateur.data.manifest import Utterance, read_manifest, write_manifest  # noqa: E402
from secateur.evaluate.bootstrap import holm, paired_difference  # noqa: E402
from secateur.evaluate.result import read_result  # noqa: E402
from secateur.models.checkpoint import save_checkpoint  # noqa: E402
from secateur.study.conditions import Condition, disturbed  # noqa: E402
from secateur.study.outcome import study_outcome  # noqa: E402
from secateur.study.runs import expand, run_study, unfinished  # noqa: E402
from secateur.study.sets import some_hours  # noqa: E402
from secateur.study.settings import read_study  # noqa: E402
from secateur.study.table import speaker_groups  # noqa: E402

STUDY = """
name = "a small study"
model = "{model}"
train = ["train.jsonl"]
dev = ["dev.jsonl"]
seeds = [0, 1]
robust = ["dense"]
[tests]
quiet = "test.jsonl"
[conditions.telephone]
telephone = true
[conditions.noisy]
noise = "noise.jsonl"
snr_db = 5.0
[training]
steps = 4
batch_seconds = 8.0
learning_rate = 1e-3
ema = 0.0
[prune]
vocabulary = false
text_tokens = "none"
audio_seconds = "none"
kinds = ["ffn", "head"]
every = 1
[arms.original]
zero_shot = true
[arms.dense]
[arms.units]
targets = [0.05, 0.1]
[arms.units.prune]
"""


@pytest.fixture(scope="module")
def place(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real clips under 1.1 s (all that the small model's window holds), split by speaker, and the small model."""
    folder = tmp_path_factory.mktemp("study")
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if u.duration < 1.1]
    speakers = sorted({u.speaker for u in clips})
    taught = sorted({u.text for u in clips})[:5]  # texts that are trained on are left out of tests
    for name, who, count in (("train", speakers[:3], 12), ("dev", speakers[3:4], 6), ("test", speakers[4:], 10)):
        chosen = [u for u in clips if u.speaker in who and (u.text in taught) == (name != "test")]
        write_manifest(folder / f"{name}.jsonl", chosen[:: len(chosen) // count][:count])
    write_manifest(folder / "noise.jsonl", [u for u in clips if u.speaker == speakers[0]][:2])
    save_checkpoint(folder / "model", *small_whisper())
    (folder / "study.toml").write_text(STUDY.format(model=folder / "model"))
    return folder


@pytest.fixture(scope="module")
def done(place: Path, forked_runs: None) -> Path:
    """The study, run once."""
    words = ["study", str(place / "study.toml"), "--data", str(place), "--out", str(place / "out"), "--devices", "cpu"]
    assert main([*words, "--parallel", "2"]) == 0
    return place / "out"


def test_every_arm_and_seed_leaves_its_numbers(done: Path, place: Path) -> None:
    outcome = study_outcome(place / "study.toml", done / "results")
    arms = {a.arm: a for a in outcome.arms}
    assert set(arms) == {"original", "dense", "units-5", "units-10"}
    assert arms["dense"].seeds == (0, 1) and arms["original"].seeds == (0,)
    assert arms["dense"].steps == arms["units-10"].steps == 4
    assert arms["dense"].flops == pytest.approx(arms["units-10"].flops, rel=0.02) and arms["dense"].flops > 1e6
    assert arms["units-5"].removed >= 0.05 and arms["units-10"].removed >= 0.1
    assert arms["units-10"].removed_weights > arms["units-5"].removed_weights > 0
    assert set(arms["dense"].sets) == {"quiet", "quiet@telephone", "quiet@noisy"}
    assert [a.dev for a in outcome.arms] == sorted(a.dev for a in outcome.arms)


def test_differences_are_those_of_the_result_files(done: Path, place: Path) -> None:
    arm = next(a for a in study_outcome(place / "study.toml", done / "results").arms if a.arm == "units-10")
    places = {n: [done / f"{n}-{s}" / "results" / "quiet.json" for s in (0, 1)] for n in ("dense", "units-10")}
    results = {n: [read_result(path) for path in found] for n, found in places.items()}
    errors = {n: [[r.counts.errors for r in result.rows] for result in found] for n, found in results.items()}
    rows = results["dense"][0].rows
    expected = paired_difference(
        errors["dense"], errors["units-10"], [r.counts.reference for r in rows], [r.speaker for r in rows]
    )
    assert arm.sets["quiet"].against == expected
    assert arm.sets["quiet"].rate == pytest.approx(np.mean([r.rate for r in results["units-10"]]))


def test_any_arm_can_be_what_all_are_compared_with(done: Path, place: Path) -> None:
    def difference(arm: str, against: str) -> float:
        outcome = study_outcome(place / "study.toml", done / "results", against)
        found = next(a for a in outcome.arms if a.arm == arm).sets["quiet"].against
        assert found is not None
        return found.delta

    assert difference("dense", "units-10") == pytest.approx(-difference("units-10", "dense"))
    with pytest.raises(SecateurError, match="did you mean 'dense'"):
        study_outcome(place / "study.toml", done / "results", "dence")


def test_finished_runs_are_not_run_again_and_the_page_is_whole(done: Path, place: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in done.glob("*/summary.json")}
    assert run_study(place / "study.toml", place, done) == []
    assert {p: p.stat().st_mtime_ns for p in done.glob("*/summary.json")} == before
    page = (done / "study.html").read_text()
    assert page.count("<svg") == 2 and "Disturbed speech" in page and "units-10" in page


def test_a_run_of_other_settings_or_data_is_refused_and_named(done: Path, place: Path, tmp_path: Path) -> None:
    text = (place / "study.toml").read_text()
    before = {p: p.stat().st_mtime_ns for p in done.rglob("*") if p.is_file()}
    assert (done / "dense-0" / "run.json").exists()
    other = place / "other.toml"
    other.write_text(text.replace("batch_seconds = ", "weight_decay = 0.5\nbatch_seconds = ", 1))
    with pytest.raises(SecateurError, match=r"dense-0: another run is here \(train.weight_decay was 0.01, is 0.5"):
        run_study(other, place, done)
    other.write_text(text)
    content = (place / "dev.jsonl").read_text()
    try:
        write_manifest(place / "dev.jsonl", read_manifest(place / "dev.jsonl")[:-1])
        with pytest.raises(SecateurError, match=r"dev.jsonl has another content"):
            run_study(other, place, done)
    finally:
        (place / "dev.jsonl").write_text(content)
    # A result of another machine, or of before there were records, says its settings as well.
    (tmp_path / "results").mkdir()
    found = json.loads((done / "dense-0" / "summary.json").read_text())
    found["arm"]["train"]["weight_decay"] = 0.25
    (tmp_path / "results" / "dense-0.json").write_text(json.dumps({"summary": found}))
    with pytest.raises(SecateurError, match=r"dense-0.json: another run is here \(train.weight_decay was 0.25"):
        run_study(other, place, tmp_path, only=["dense"], seeds=[0])
    assert {p: p.stat().st_mtime_ns for p in done.rglob("*") if p.is_file()} == before


def test_a_killed_study_goes_on(done: Path, place: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from secateur.study.runs import run_study; "
        "run_study(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), 2, only=['dense'])"
    )
    study = subprocess.Popen(
        [sys.executable, "-c", code, str(place / "study.toml"), str(place), str(tmp_path)], stderr=subprocess.DEVNULL
    )
    while not (tmp_path / "dense-0" / "log.txt").exists():
        time.sleep(0.02)
    study.send_signal(signal.SIGKILL)
    assert study.wait() == -signal.SIGKILL
    assert run_study(place / "study.toml", place, tmp_path, 2, only=["dense"]) == []
    for seed in (0, 1):
        first, again = (read_result(folder / f"dense-{seed}" / "results" / "quiet.json") for folder in (done, tmp_path))
        assert [r.hypothesis for r in first.rows] == [r.hypothesis for r in again.rows]


def test_results_of_other_machines_count_but_teachers_are_run_again(done: Path, place: Path, tmp_path: Path) -> None:
    shutil.copytree(done / "results", tmp_path / "out" / "results")
    text = (place / "study.toml").read_text()
    study = read_study(place / "study.toml")
    assert unfinished(study, expand(study), done) == unfinished(study, expand(study), tmp_path / "out") == []
    assert run_study(place / "study.toml", place, tmp_path / "out") == []
    (tmp_path / "s.toml").write_text(text.replace("[conditions", "[arms.pupil]\nteacher = 'dense'\n[conditions", 1))
    study = read_study(tmp_path / "s.toml")
    assert unfinished(study, expand(study, seeds=[1]), tmp_path / "out") == [("dense", 1), ("pupil", 1)]


def test_groups_of_speakers_add_up(done: Path, place: Path) -> None:
    outcome = study_outcome(place / "study.toml", done / "results")
    clips = outcome.clips["quiet"]
    extras = tuple({"age": 8 if i % 2 else 34} for i in range(len(clips.ids)))
    told = replace(outcome, clips={"quiet": replace(clips, extras=extras)})
    titles, rows = speaker_groups(told, ["dense"])
    assert titles == ["speakers", "how many", "words", "dense"] and len(rows) == 2
    assert sum(int(row[2]) for row in rows) == sum(clips.words)
    mean = sum(float(row[3]) * int(row[2]) for row in rows) / sum(clips.words)
    assert mean == pytest.approx(100 * next(a for a in outcome.arms if a.arm == "dense").sets["quiet"].rate, abs=0.1)


def test_shared_speakers_are_refused(place: Path, tmp_path: Path) -> None:
    text = (place / "study.toml").read_text().replace('dev = ["dev.jsonl"]', 'dev = ["test.jsonl"]')
    (tmp_path / "leak.toml").write_text(text)
    with pytest.raises(SecateurError, match="share 2 speakers"):
        run_study(tmp_path / "leak.toml", place, tmp_path / "out")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[arms.dense]", "[arms.dens]", "no arm 'dense'"),
        ("[arms.units.prune]", "[arms.units.prun]", "did you mean 'prune'"),
        ("[arms.units.prune]", "[arms.units]\ncontrol = 'dence'", None),
        ("steps = 4", "stepps = 4", "did you mean 'steps'"),
        ("[arms.units.prune]", "[arms.units.prune]\nremove = 0.5", "leave one out"),
    ],
)
def test_misspelt_studies_are_one_line(place: Path, tmp_path: Path, old: str, new: str, message: str | None) -> None:
    (tmp_path / "s.toml").write_text((place / "study.toml").read_text().replace(old, new))
    with pytest.raises(SecateurError, match=message):
        read_study(tmp_path / "s.toml")


def test_teachers_come_first_and_untrained_arms_once(place: Path, tmp_path: Path) -> None:
    text = (place / "study.toml").read_text().replace("[arms.dense]", '[arms.pupil]\nteacher = "dense"\n[arms.dense]')
    (tmp_path / "s.toml").write_text(text)
    runs = expand(read_study(tmp_path / "s.toml"))
    assert runs.index(("dense", 1)) < runs.index(("pupil", 1))
    assert runs.count(("original", 0)) == 1 and ("original", 1) not in runs


def test_noise_has_the_ratio_asked_for(place: Path) -> None:
    clip = read_manifest(place / "test.jsonl")[0]
    bank = AudioBank.read([clip], label="")
    audio, lengths = bank.gather([0])
    for snr in (20.0, 0.0):
        loud, _ = disturbed(bank, Condition(noise="noise.jsonl", snr_db=snr), place, 16000).gather([0])
        scale = (loud * audio).sum() / audio.square().sum()  # the sum may have been turned down to full scale
        found = 10 * torch.log10(power(audio * scale, lengths) / power(loud - audio * scale, lengths))
        assert float(found) == pytest.approx(snr, abs=1.5)


def test_hours_are_whole_speakers() -> None:
    clips = [Utterance(f"{s}{i}", Path("x"), 10.0, "a", f"s{s}") for s in range(10) for i in range(6)]
    some = some_hours(clips, 180 / 3600, seed=1)
    assert sum(u.duration for u in some) == 180
    assert len({u.speaker for u in some}) == 3
    assert some != some_hours(clips, 180 / 3600, seed=2)


def test_holm_is_the_textbook_procedure() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )


def test_the_command_prints_values(done: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["study", str(place / "study.toml"), "--out", str(done), "--no-run", "--json"]
    assert main(words) == 0
    values = json.loads(capsys.readouterr().out)
    assert {a["arm"] for a in values["arms"]} == {"original", "dense", "units-5", "units-10"}


def test_what_a_teacher_cost_is_part_of_its_pupil(done: Path, place: Path, tmp_path: Path) -> None:
    pupils = f"[arms.pupil]\nteacher = 'dense'\n[arms.other]\nteacher = '{tmp_path}/out/dense-0'\n[conditions"
    text = (place / "study.toml").read_text().replace("[conditions", pupils, 1)
    text = text.replace('robust = ["dense"]', "")
    (tmp_path / "s.toml").write_text(text)
    shutil.copytree(done / "dense-0", tmp_path / "out" / "dense-0")
    assert run_study(tmp_path / "s.toml", place, tmp_path / "out", only=["pupil", "other"], seeds=[0]) == []
    dense, pupil, other = (
        read_json(tmp_path / "out" / f"{n}-0" / "summary.json")["flops"] for n in ("dense", "pupil", "other")
    )
    # Its own steps cost what the teacher's did, and hearing nothing to retain it asks the teacher nothing.
    assert pupil == other == pytest.approx(2 * dense, rel=1e-6)


def test_disturbed_copies_are_made_once_and_kept(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = AudioBank.read(read_manifest(place / "test.jsonl")[:3], label="")
    room, line = Condition(rt60=0.3), Condition(telephone=True)
    fresh = disturbed(bank, room, place, 16000)
    monkeypatch.setenv("SECATEUR_BANKS", str(tmp_path))
    made = disturbed(bank, room, place, 16000)
    stored = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.npz")}
    read = disturbed(bank, room, place, 16000)
    assert len(stored) == 1 and {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.npz")} == stored
    assert torch.equal(fresh.samples, made.samples) and torch.equal(fresh.samples, read.samples)
    assert torch.equal(fresh.lengths, read.lengths)
    kitchen, samples = Condition(noise="n.jsonl", snr_db=10), np.random.default_rng(0).standard_normal(16000) / 9
    write_manifest(tmp_path / "n.jsonl", [Utterance("n", tmp_path / "n.wav", 1.0, "", "", "en")])
    copies = []
    for noise in (samples, samples[::-1], samples):  # another recording under the same name
        soundfile.write(tmp_path / "n.wav", noise, 16000)
        copies.append(disturbed(bank, kitchen, tmp_path, 16000).samples)
    assert torch.equal(copies[0], copies[2]) and not torch.equal(copies[0], copies[1])
    assert not torch.equal(disturbed(bank, line, place, 16000).samples, read.samples)
    assert len(list(tmp_path.glob("*.npz"))) == 4
