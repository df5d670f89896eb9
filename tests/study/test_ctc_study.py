"""The study of small CTC models from nothing, as it is written, on a handful of clips and few steps."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kaldialign")

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.base.files import read_json  # noqa: E402
from secateur.data.bank import AudioBank  # noqa: E402
from secateur.data.manifest import read_manifest, write_manifest  # noqa: E402
from secateur.decode.ctc.words import greedy  # noqa: E402
from secateur.evaluate.error_rate import count_errors  # noqa: E402
from secateur.families.ctc.new_model import NewModel, make_new  # noqa: E402
from secateur.families.ctc.task import log_probs_bank  # noqa: E402
from secateur.lm.estimate import train_ngram  # noqa: E402
from secateur.models.checkpoint import load_checkpoint  # noqa: E402
from secateur.study.one import run_one  # noqa: E402
from secateur.study.outcome import study_outcome  # noqa: E402
from secateur.study.reading import LOWEST, RunReader, dev_of, read_outputs  # noqa: E402  # noqa: E402
from secateur.study.runs import expand  # noqa: E402
from secateur.study.sets import check_sets, read_sets, unseen_tests  # noqa: E402
from secateur.study.settings import StudySettings, read_study, waits_for  # noqa: E402
from secateur.study.store import collect  # noqa: E402
from secateur.study.table import robustness  # noqa: E402
from secateur.text.normalise import spoken  # noqa: E402

STUDIES = Path(__file__).resolve().parents[2] / "experiments" / "study"


def small(name: str, folder: Path, speech: Path) -> Path:
    """A committed study with tiny sets, sizes and steps; everything else as it is."""
    for source in ("speechocean762", "librispeech-mini"):
        for split, count in (("train", 6), ("dev", 2), ("test", 2)):
            clips = [u for u in read_manifest(speech / source / f"{split}.jsonl") if 1.0 < u.duration < 5]
            write_manifest(folder / source / f"{split}.jsonl", clips[:count])
    text = (STUDIES / name).read_text()
    text = re.sub(r"(?m)^steps = \d+", "steps = 3", text)
    text = re.sub(r"(?m)^width = \d+\n", "", text)
    text = re.sub(r"(?m)^layers = \d+", "layers = 2\nwidth = 16", text)
    text = re.sub(r"(?m)^every = \d+", "every = 1", text)
    text = text.replace("begin = 0.02", "begin = 0.0").replace("seeds = [0, 1, 2]", "seeds = [0]")
    (folder / name).write_text(text)
    return folder / name


def test_the_committed_study_runs_from_nothing_to_its_table(speech: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    path, out = small("ctc.toml", tmp_path, speech), tmp_path / "out"
    study = read_study(path)
    runs = expand(study)
    assert runs[0] == ("base", 0)  # what others continue from comes first
    chosen = ("base", "dense", "sparse-taylor-50", "units-taylor-30", "sparse-dropout-50")
    lm = '[lm]\narms = ["dense"]\nbeam = 4\noutputs = true\n'
    text = path.read_text().replace("[training]\n", f"{lm}[training]\n", 1)
    path.write_text(text)
    study = read_study(path)
    for name, seed in [run for run in runs if run[0] in chosen]:
        run_one(study, name, seed, tmp_path, out, "cpu")
    collect(out, out / "results")
    arms = {arm.arm: arm for arm in study_outcome(path, out / "results").arms}
    assert set(arms) == set(chosen)
    assert {arms[name].steps for name in chosen} == {3}
    assert arms["sparse-taylor-50"].removed_weights == pytest.approx(0.5, abs=0.01)
    assert arms["units-taylor-30"].removed >= 0.3
    assert "speechocean762@lm" in arms["dense"].sets and "speechocean762@lm" not in arms["base"].sets
    titles, rows = robustness(study_outcome(path, out / "results"))
    assert titles[-1] == "lm" and [row[0] for row in rows] == ["dense"]
    assert arms["sparse-dropout-50"].control == "dense-dropout"
    read_afterwards(study, tmp_path, out)
    # The arms continue from `base`: without a step in which anything moves, they would be it.
    base, dense = (dict(load_checkpoint(out / f"{name}-0")[0].state_dict()) for name in ("base", "dense"))
    apart = max(float((base[n] - dense[n]).abs().max()) for n in base if "running" not in n)
    assert 0 < apart < 0.01
    assert read_json(out / "base-0" / "config.json")["units"] == read_json(out / "dense-0" / "config.json")["units"]


def read_afterwards(study: StudySettings, data: Path, out: Path) -> None:
    """What a run said is kept, and is read with a language model later as its checkpoint is."""
    models = [train_ngram([u.text for u in read_sets(study.train, data)], 2), train_ngram(["so it was"], 2)]
    tests = {test: dev_of(study, test) for test in study.tests}
    assert tests == {"librispeech-mini": "dev-librispeech-mini", "speechocean762": "dev-speechocean762"}
    values = [RunReader(study, data, models, beam=4).read(out / "dense-0", tests)]
    kept = out / "dense-0" / "outputs"
    heard, clips = read_outputs(kept / "speechocean762.npz"), unseen_tests(study, data)["speechocean762"]
    model, text = load_checkpoint(out / "dense-0")
    again = log_probs_bank(model, AudioBank.read(clips, torch.device("cpu"), 16000, label=""), bf16=False)
    for one, other in zip(heard, again, strict=True):  # the checkpoint has 16 bits a value, the file 8
        assert np.abs(one - np.maximum(other, -LOWEST)).max() < 0.1
    assert values[0]["errors"]["speechocean762"] == [
        count_errors(spoken(u.text), text.decode(greedy(one))).errors for u, one in zip(clips, heard, strict=True)
    ]
    kept.rename(out / "elsewhere")
    values.append(RunReader(study, data, models, beam=4).read(out / "dense-0", tests))
    for found in values:
        chosen = found["summary"]["lm"]["chosen"]
        assert set(found["errors"]) == {f"{t}{with_lm}" for t in tests for with_lm in ("", "@lm")}
        assert chosen["speechocean762"]["shares"][0] > 0.8
        assert found["summary"]["error"]["dev-speechocean762@lm"] == chosen["speechocean762"]["rate"]
    (out / "none").mkdir()
    (out / "dense-0" / "units.json").rename(out / "none" / "units.json")
    with pytest.raises(SecateurError, match="no such file"):
        RunReader(study, data, models).read(out / "none", tests)
    (out / "none" / "units.json").rename(out / "dense-0" / "units.json")


def small_families(folder: Path, speech: Path) -> Path:
    """The families' study, of characters: phones would write CMU's dictionary beside every model."""
    path = small("ctc_families.toml", folder, speech)
    text = path.read_text().replace('units = "phones"', 'units = "characters"')
    for preset, layers in (("googlenet", 1), ("bigru", 2)):
        text = text.replace(f'preset = "{preset}"', f'preset = "{preset}"\nlayers = {layers}\nwidth = 16')
    path.write_text(text)
    books = folder / "librispeech-mini"
    write_manifest(books / "labels.jsonl", read_manifest(books / "train.jsonl"))
    return path


def test_the_families_run_from_nothing_dense_and_pruned(speech: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    path, out = small_families(tmp_path, speech), tmp_path / "out"
    study = read_study(path)
    chosen = ("googlenet", "googlenet-units-30", "bigru", "bigru-units-30", "googlenet-bigru-sparse-50")
    for name, seed in [run for run in expand(study, seeds=[0]) if run[0] in chosen]:
        run_one(study, name, seed, tmp_path, out, "cpu")
    summaries = {name: read_json(out / f"{name}-0" / "summary.json") for name in chosen}
    assert summaries["googlenet-bigru-sparse-50"]["removed_weights"] == pytest.approx(0.5, abs=0.02)
    assert all(summaries[f"{family}-units-30"]["removed"] >= 0.3 for family in ("bigru", "googlenet"))


def test_an_arm_learns_from_transcripts_of_its_own(speech: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    path, out = small_families(tmp_path, speech), tmp_path / "out"
    own = '\n[arms.labelled]\ntrain = ["{}"]\n[arms.labelled.training]\nintermediate_ctc = 0.3\n'
    own += "[arms.labelled.new]\nlayers = 2\nwidth = 16\n"
    path.write_text(path.read_text() + own.format("librispeech-mini/labels.jsonl"))
    clips = read_manifest(tmp_path / "librispeech-mini" / "train.jsonl")
    write_manifest(
        tmp_path / "librispeech-mini" / "labels.jsonl", [replace(u, text=u.text.split()[0]) for u in clips[:3]]
    )
    study = read_study(path)
    check_sets(study, tmp_path)
    for name in ("conformer", "labelled"):
        run_one(study, name, 0, tmp_path, out, "cpu")
    ours, theirs = (read_json(out / f"{name}-0" / "summary.json") for name in ("labelled", "conformer"))
    assert ours["steps"] == theirs["steps"] and ours["flops"] < theirs["flops"]  # three clips of the same sizes
    assert (out / "labelled-0" / "units.json").read_text() == (out / "conformer-0" / "units.json").read_text()
    # What an arm of its own learns from is looked at for speakers and texts of the tests like all else.
    tested = read_manifest(tmp_path / "librispeech-mini" / "test.jsonl")
    write_manifest(tmp_path / "librispeech-mini" / "labels.jsonl", [replace(clips[0], text=tested[0].text)])
    assert len(unseen_tests(study, tmp_path)["librispeech-mini"]) == len(tested) - 1
    path.write_text(path.read_text().replace("labels.jsonl", "test.jsonl"))
    with pytest.raises(SecateurError, match="train and test 'librispeech-mini' share"):
        check_sets(read_study(path), tmp_path)


def test_every_arm_of_the_study_stands_on_one_that_comes_before(speech: Path, tmp_path: Path) -> None:
    study = read_study(small("ctc.toml", tmp_path, speech))
    seen: set[str] = set()
    for name, _ in expand(study):
        assert waits_for(study, name) <= seen
        seen.add(name)
    text = (tmp_path / "ctc.toml").read_text()
    (tmp_path / "ring.toml").write_text(text.replace("[arms.base]", '[arms.base]\nstart = "dense"'))
    with pytest.raises(SecateurError, match="wait for each other: base"):
        read_study(tmp_path / "ring.toml")
    (tmp_path / "none.toml").write_text(text.replace('preset = "conformer"', ""))
    with pytest.raises(SecateurError, match=r"arms\.base: no model to start from"):
        read_study(tmp_path / "none.toml")


def test_a_new_model_is_its_seed_and_its_preset() -> None:
    new = NewModel(preset="conformer", layers=1, width=16)
    first, again, other = (make_new(new, ["three two"], "en", seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[n], again[n]) for n in first)
    assert any(not torch.equal(first[n], other[n]) for n in first)
    with pytest.raises(SecateurError, match="did you mean 'conformer'"):
        make_new(NewModel(preset="confromer"), ["a"], "en", 0)
    with pytest.raises(SecateurError, match="has no 'layers'"):
        make_new(NewModel(preset="digits", layers=3), ["a"], "en", 0)
