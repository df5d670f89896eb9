"""What a user can get wrong is refused before anything trains, in one line, and leaves nothing behind."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from small_ctc import small_ctc  # noqa: E402
from small_models import small_whisper  # noqa: E402

import secateur.train.loop  # noqa: E402
from secateur.api.data import Work  # noqa: E402
from secateur.api.job_time import in_minutes, job_seconds  # noqa: E402
from secateur.api.train import TrainJobSettings  # noqa: E402
from secateur.base.errors import SecateurError  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.data.job import JobData  # noqa: E402
from secateur.data.manifest import read_manifest, write_manifest  # noqa: E402
from secateur.models.checkpoint import save_checkpoint  # noqa: E402
from secateur.prune.sensitivity_map import SensitivityMap, write_map  # noqa: E402
from secateur.study.record import begin, complete, fingerprint, finish  # noqa: E402
from secateur.text.units import characters_of  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402


@pytest.fixture(scope="module")
def place(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short digits of six speakers in three sets, and a small Whisper."""
    folder = tmp_path_factory.mktemp("place")
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if 0.3 < u.duration < 0.9]
    speakers = sorted({u.speaker for u in clips})
    known = sorted({u.text for u in clips})[:5]
    for name, who in (("train", speakers[:2]), ("dev", speakers[2:3]), ("test", speakers[3:4])):
        chosen = [u for u in clips if u.speaker in who and (u.text in known) == (name != "test")]
        write_manifest(folder / f"{name}.jsonl", chosen[:12])
    train, test = ([u for u in clips if u.speaker == speakers[i]] for i in (0, 3))
    write_manifest(folder / "same.jsonl", [u for u in train if u.text not in known][:3])  # a speaker of train
    write_manifest(folder / "test_speaker.jsonl", [u for u in test if u.text in known][:3])
    long = read_manifest(speech / "free-spoken-digits" / "train.jsonl")
    write_manifest(folder / "long.jsonl", sorted(long, key=lambda u: -u.duration)[:4])
    (folder / "file").write_text("not a folder")
    write_manifest(folder / "wordless.jsonl", [replace(u, text="") for u in test[:3]])
    (folder / "plan.json").write_text('{"amounts": {"fnn": 0.5}}')
    units = {g.name: g.units + 1 for g in small_whisper()[0].groups()}
    write_map(folder / "map.json", SensitivityMap("other", "dev", "en", "wer", 1, 1, 0.5, 1.0, "taylor", units, ()))
    save_checkpoint(folder / "model", *small_whisper())
    save_checkpoint(folder / "ctc", small_ctc("subsampled gru"), characters_of(["abcdefghij klmno"]))
    (folder / "small8").mkdir()
    (folder / "small8" / "export.json").write_text('{"precision": "int8"}')
    return folder


def words(job: str, place: Path, *more: str) -> list[str]:
    sets = [w for name in ("train", "dev", "test") for w in (f"--{name}", str(place / f"{name}.jsonl"))]
    given = [job, *sets, "--model", str(place / "model"), "--out", str(place / "run"), "--device", "cpu"]
    return [*given, *(one.format(place=place) for one in more)]


@pytest.fixture
def nothing_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(*_: object, **__: object) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr(secateur.train.loop._Loop, "run_all", trained)


FOR_ALL = [
    (["--training.epochs", "0"], "epochs must be above 0, found 0"),
    (["--training.dropout", "1.5"], "dropout must be at least 0 and below 1, found 1.5"),
    (["--training.learning-rate", "nan"], "learning_rate must be"),
    (["--training.distillation-on", "retain"], "'retain' is not one of rehearsal, all"),
    (["--training.lora-rank", "2", "--training.lora-share", "0.1"], "give one of the two"),
    (["--training.auxiliary", "pinyin"], "Chinese"),
    (["--training.lora-share", "0.99"], "updates of this model's linear layers have at most"),
    (["--training.lora-rank", "2", "--training.interpolation", "0.5"], "cannot go with low-rank updates"),
    (["--training.lora-rank", "2", "--training.four-bits", "*.ffn.*"], "four_bits cannot go with low-rank updates"),
    (["--training.four-bits", "*.fnn.*"], "no matrix of the model is named *.fnn.*"),
    (["--train", "{place}/none.jsonl"], "none.jsonl: no such file"),
    (["--rehearsal", "{place}/none.jsonl"], "none.jsonl: no such file"),
    (["--noise", "{place}/none.wav"], "none.wav: no such file"),
    (["--test", "{place}/same.jsonl"], "train and test share 1 speakers"),
    (["--dev", "{place}/same.jsonl"], "train and dev share 1 speakers"),
    (["--rehearsal", "{place}/test_speaker.jsonl"], "share 1 speakers"),
    (["--train", "{place}/long.jsonl", "--longest", "30", "--same-speakers"], "does not fit the audio context of 1.2"),
    (["--longest", "0.01"], "every clip is longer than --longest"),
    (["--model", "{place}/nothing"], "nothing"),
    (["--model", "tiny.em"], "did you mean 'tiny.en'?"),
    (["--device", "tpu"], "no device 'tpu'"),
    (["--training.mwer-beam", "5"], "training.mwer_beam has no effect without training.mwer"),
    (["--training.augment.rt60", "0.2,0.7"], "rt60 has no effect without training.augment.room_chance"),
    (["--training.augment.noise-chance", "0.7"], "noise_chance has no effect without --noise"),
    (["--training.intermediate-ctc", "0.3"], "intermediate_ctc has no effect on a model of the family 'whisper'"),
    (["--training.distillation", "0.5"], "training.distillation has no effect without a teacher"),
    (["--training.distillation-on", "all"], "distillation_on has no effect without training.distillation"),
    (["--training.distillation-temperature", "2"], "distillation_temperature has no effect without training"),
    (["--training.epochs", "many"], "epochs: expected a number, found 'many'"),
    (["--training.interpolation", "test"], "interpolation: expected a number or dev, found 'test'"),
    (["--same-speakers", "perhaps"], "same_speakers: expected yes or no, found 'perhaps'"),
    (["--rehearsal", "{place}/test.jsonl"], "test.jsonl is both --rehearsal and --test"),
    (["--rehearsal", "{place}/plan.json,{place}/plan.json"], "plan.json is twice in --rehearsal"),
    (["more.jsonl"], "'more.jsonl' belongs to no option"),
    (["--out", "{place}/file"], "is a file, not a folder"),
    (["--out", "{place}/file/below"], "is a file, not a folder"),
]
FOR_PRUNING = [
    (["--prune.method", "foo"], "'foo' is not one of"),
    (["--prune.method", "gradul"], "did you mean 'gradual'?"),
    (["--prune.remove", "30"], "remove must be at least 0 and below 1, found 30; 30 % is 0.3"),
    (["--prune.remove", "-0.1"], "remove must be at least 0 and below 1"),
    (["--prune.remove", "0.999"], "the budget cannot be reached"),
    (["--prune.criterion", "tailor"], "did you mean 'taylor'?"),
    (["--prune.criterion", "sensitivity"], "map"),
    (["--prune.criterion", "sensitivity", "--prune.map", "{place}/none.json"], "none.json"),
    (["--prune.kinds", "ffm"], "did you mean 'ffn'?"),
    (["--prune.amounts", "fnn=0.5"], "fnn"),
    (["--prune.amounts", "ffn"], "expected NAME=VALUE"),
    (["--prune.begin", "0.7"], "begin must be at most end, found 0.7 and 0.5"),
    (["--prune.target", "latency=2"], "latency takes a share"),
    (["--prune.target", "speed=0.5"], "expected one of latency"),
    (["--prune.plan", "{place}/none.json"], "none.json: no such file"),
    (["--prune.amounts", "ffn=30"], "amounts: 'ffn' loses a share from 0 to below 1, found 30; 30 % is 0.3"),
    (["--prune.merge-kind", "learned"], "prune.merge_kind has no effect without prune.merge_frames"),
    (["--prune.target", "size=0.5", "--prune.remove", "0.5"], "prune.target and prune.remove both say how much"),
    (["--prune.audio-seconds", "21000"], "prune.audio_seconds 21000 is more than the"),
    (["--prune.width", "0.3"], "width: 0.3 of 24 dimensions is less than 8: give at least 0.334"),
    (["--prune.width", "1.5"], "width must be above 0 and at most 1, found 1.5"),
    (["--model", "{place}/ctc", "--prune.width", "0.8"], "the residual stream of the family 'ctc' cannot be cut"),
    (["--prune.languages", "de"], "this model knows English only"),
    (["--prune.audio-seconds", "0.4"], "does not fit the audio context of 0.4 s"),
    (["--prune.method", "gradual", "--prune.pattern", "2:4"], "the method 'gradual' has no such setting"),
    (["--training.lora-rank", "2", "--prune.method", "sparse"], "use gradual, refit, early-bird"),
    (["--prune.plan", "{place}/plan.json"], "no group or kind matches 'fnn'"),
    (["--prune.plan", "{place}/dev.jsonl"], "dev.jsonl"),
    (["--prune.target", "parameters=0.001"], "the budget cannot be reached"),
    (["--prune.target", "macs=0.001"], "the budget cannot be reached"),
    (["--prune.amounts", "ffn=0.5", "--prune.remove", "0.5"], "prune.amounts and prune.remove both say how much"),
    (["--prune.plan", "{place}/plan.json", "--prune.remove", "0.5"], "prune.plan and prune.remove both say how much"),
    (["--prune.map", "{place}/map.json"], "prune.map has no effect without prune.target or --prune.criterion"),
    (["--prune.vocabulary", "no", "--prune.frequent", "99"], "prune.frequent has no effect without prune.vocabulary"),
    (["--prune.target", "cost=foo"], "no model or folder 'foo'"),
    (["--prune.target", "cost=tiny.em"], "did you mean 'tiny.en'?"),
    (["--prune.target", "cost={place}/small8"], "an export in int8, and plans are measured in fp32"),
    (["--prune.target", "wer=+1", "--prune.map", "{place}/map.json"], "units, this one"),
    (["--prune.criterion", "sensitivity", "--prune.map", "{place}/map.json"], "the sensitivity map is of another"),
]
FOR_ADAPT = [
    (["--precision", "int4"], "'int4' is not one of fp32, fp16, int8"),
    (["--rate-factor", "0"], "rate_factor must be above 0"),
    (["--timed-clips", "0"], "timed_clips must be at least 1"),
    (["--conditions", "pauze-4"], "no condition 'pauze-4' (did you mean 'pause-"),
    (["--conditions", "pause-2,joined"], "the condition 'joined' cannot be measured here: the clips are too few"),
    (["--conditions", "joined-300"], "the condition 'joined-300' cannot be measured here: the clips are too few"),
    (["--conditions", "pause-inf"], "no condition 'pause-inf'"),
    (["--conditions", "joined-1e9"], "no condition 'joined-1e9'"),
    (["--conditions", "previous", "--condition-clips", "2"], "the condition 'previous' cannot be measured here"),
    (["--conditions", "timestamps", "--prune.timestamps", "no"], "prune.timestamps removes those tokens"),
    (["--test", "{place}/wordless.jsonl"], "conditions are made from clips with words, and here is none"),
    (["--demo"], "--demo brings its own data: leave out --train"),
]
FOR_ONE_RUN = [
    (["--teacher", "{place}/model"], "a teacher has no effect on rehearsal clips where there are none"),
    (["--teacher", "{place}/model", "--training.distillation", "0"], "--teacher has no effect with training.dist"),
    (["--teacher", "tiny.em"], "did you mean 'tiny.en'?"),
    (["--window", "99"], "--window has no effect without --stream"),
    (["--new.units", "pieces"], "new.units has no effect: a new model needs --new.preset"),
]
FOR_ONE_SHOT = [
    (["--one-shot", "--training.epochs", "3"], "training.epochs has no effect: nothing is trained"),
    (["--one-shot", "--training.mix.joined", "0.5"], "training.mix.joined has no effect: nothing is trained"),
    (["--one-shot", "--prune.every", "4"], "prune.every has no effect with --one-shot"),
    (["--one-shot", "--prune.method", "wanda"], "leave it out; --prune.criterion wanda ranks by it"),
    (["--one-shot", "--teacher", "tiny.en"], "--teacher has no effect: nothing is trained"),
    (["--by", "error", "--prune.remove", "0.2"], "prune.remove has no effect: what goes is chosen by its error"),
    (["--by-error.most", "2"], "by_error.most has no effect: it needs --by error"),
]
FOR_CTC = [
    (["--training.label-smoothing", "0.1"], "training.label_smoothing has no effect on a model of the family 'ctc'"),
    (["--training.mix.prompts", "0.1"], "training.mix.prompts has no effect on a model of the family 'ctc'"),
    (["--training.style", "sentence"], "training.style has no effect on a model of the family 'ctc'"),
    (["--prune.text-tokens", "100"], "prune.text_tokens has no effect on a model of the family 'ctc'"),
    (["--prune.vocabulary", "script"], "prune.vocabulary has no effect on a model of the family 'ctc'"),
    (["--training.intermediate-ctc", "0.3"], "intermediate_ctc is for networks with a Conformer"),
    (["--training.mwer", "0.3"], "training.mwer is for encoder-decoder models"),
]
CASES = [
    *((job, more, line) for job in ("adapt", "train", "prune") for more, line in FOR_ALL),
    *((job, more, line) for job in ("adapt", "prune") for more, line in FOR_PRUNING),
    *(("adapt", more, line) for more, line in FOR_ADAPT),
    *((job, more, line) for job in ("train", "prune") for more, line in FOR_ONE_RUN),
    *(("prune", more, line) for more, line in FOR_ONE_SHOT),
    *(("prune", ["--model", "{place}/ctc", *more], line) for more, line in FOR_CTC),
]


@pytest.mark.usefixtures("nothing_trains")
@pytest.mark.parametrize(("job", "more", "line"), CASES, ids=[f"{j} {' '.join(m)}" for j, m, _ in CASES])
def test_it_is_refused_before_anything_trains(
    job: str, more: list[str], line: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(job, place, *more)) == 2
    told = capsys.readouterr()
    assert line in told.err.strip().splitlines()[-1], told.err
    assert told.err.strip().splitlines()[-1].startswith("secateur: ") and not told.out
    assert not (place / "run").exists()


@pytest.mark.usefixtures("nothing_trains")
@pytest.mark.parametrize("job", ["adapt", "train", "prune"])
def test_a_check_looks_at_everything_and_writes_nothing(
    job: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(place.rglob("*"))
    assert main(words(job, place, "--check", "--json", "--training.epochs", "2", "--training.batch-seconds", "4")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["clips"] == {"train": 12, "rehearsal": 0, "dev": 12, "test": 12}
    assert found["steps"] >= 2 and found["gigabytes"] >= 0 and found["minutes"] >= 0.1
    assert found["minutes_of"].keys() == {"reading", "training", "decoding", "export"} and found["not_counted"]
    assert (found["removal"] is None) == (job == "train")
    assert sorted(place.rglob("*")) == before
    noise = ["--noise", str(place / "dev.jsonl")]  # a manifest names recordings, too
    assert main(words(job, place, "--check", *noise)) == 0
    assert "nothing is wrong with it: 12 train" in capsys.readouterr().out


def test_the_minutes_count_controls_decoding_and_exports(place: Path) -> None:
    train, dev, test = (read_manifest(place / f"{name}.jsonl") for name in ("train", "dev", "test"))
    data, config = JobData(train, dev, {"test": test}), small_whisper()[0].config
    one = Work(TrainSettings(steps=2))
    both = replace(one, precision="int8", exports=2, trained=2, decoded=(16, 4))
    alone, job = (job_seconds(data, config, work, 6e9, 1, 1e10) for work in (one, both))
    assert (alone["training"], job["training"]) == (2.0, 4.0) and alone["export"] == 0 < 9 < job["export"]
    assert job["decoding"] > 2 * alone["decoding"] > 0 and job["reading"] == alone["reading"] > 0
    assert in_minutes(dict.fromkeys(job, 0.01))["all"] == 0.1 and in_minutes(job)["all"] * 60 >= sum(job.values())


@pytest.mark.usefixtures("nothing_trains")
def test_a_budget_that_rows_alone_exceed_is_told_with_what_to_do(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["--check", "--json", "--prune.remove", "0"]
    assert main(words("prune", place, *ask)) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)["removal"]
    assert found["first"] > 0.005 and found["units"] == 0
    assert "--prune.vocabulary no" in told.err and f"{100 * found['first']:.0f} %" in told.err
    keep = [*ask, "--prune.vocabulary", "no", "--prune.text-tokens", "none", "--prune.audio-seconds", "none"]
    assert main(words("prune", place, *keep)) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["removal"]["first"] == 0 and "alone" not in told.err


@pytest.mark.usefixtures("nothing_trains")
def test_what_an_export_lacks_is_told_before_the_model_is_read(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, out = str(place / "model"), str(place / "exported")
    for more, line in (
        (["--precision", "int8-static"], "--calibrate"),
        (["--precision", "auto"], "--dev"),
        (["--precision", "fp32", "--four-bits", "*"], "--four-bits"),
        (["--tolerance", "-1"], "tolerance must be at least 0"),
        (["--dev", str(place / "none.jsonl")], "no such file"),
        (["--format", "sherpa"], "sherpa"),
        (["--format", "gguf"], "gguf"),
    ):
        assert main(["export", model, "--out", out, *more]) == 2
        assert line in capsys.readouterr().err
    assert main(["export", model, "--out", out, "--check"]) == 0
    assert not Path(out).exists()


def test_an_exported_model_is_not_exported_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "export.json").write_text("{}")
    for name in ("secateur-en", str(tmp_path / "mine")):
        assert main(["export", name, "--out", str(tmp_path / "x")]) == 2
        assert f"{name} is an exported model already (" in capsys.readouterr().err


def test_a_model_of_clips_of_their_own_length_is_padded_elsewhere(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noted = {}
    for padded in (True, False):
        folder = place / f"padded-{padded}"
        shutil.copytree(place / "model", folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"padded": padded}))
        for form in ("onnx", "transformers"):
            words = ["export", str(folder), "--out", str(place / "x"), "--format", form, "--check"]
            assert main(words) == 0
            noted[padded, form] = "and what reads transformers pads them to" in capsys.readouterr().err
    assert noted == {(p, f): not p and f == "transformers" for p, f in noted}


def test_only_the_very_same_run_goes_on_in_a_folder(place: Path, tmp_path: Path) -> None:
    settings = TrainJobSettings(train=(place / "train.jsonl",), out=tmp_path / "run")
    data, model = [place / "train.jsonl"], str(place / "model")
    record = begin("train", settings, data, model, settings.out)
    finish(settings.out, record)
    again = begin("train", replace(settings, device="cuda", check=True), data, model, settings.out)
    assert again["finished"] and again["data"] == record["data"]
    train = replace(settings.training, epochs=3, seed=4)
    with pytest.raises(SecateurError, match=r"training.epochs was 9.0, is 3; training.seed was 0, is 4"):
        begin("train", replace(settings, training=train), data, model, settings.out)
    path = settings.out / "run.json"
    older = json.loads(path.read_text())
    for part, name in (
        ("training", "label_smoothing"),
        ("training", "spec_augment"),
        (None, "stream"),
    ):  # of before it was there
        del (older["settings"][part] if part else older["settings"])[name]
    path.write_text(json.dumps(older))
    assert begin("train", settings, data, model, settings.out)["finished"]
    train = replace(settings.training, label_smoothing=0.1)
    with pytest.raises(SecateurError, match=r"\(training.label_smoothing was None, is 0.1\)"):
        begin("train", replace(settings, training=train), data, model, settings.out)
    with pytest.raises(SecateurError, match="job was train, is prune"):
        begin("prune", settings, data, model, settings.out)
    save_checkpoint(tmp_path / "other", *small_whisper(seed=1))
    other = tmp_path / "other" / "config.json"
    other.write_text(other.read_text().replace("small", "smell"))
    with pytest.raises(SecateurError, match="the model's files are others"):
        begin("train", settings, data, str(tmp_path / "other"), settings.out)


def test_a_job_stopped_before_its_first_checkpoint_starts_from_the_same_weights(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    starts: list[dict[str, torch.Tensor]] = []

    def stop(self: secateur.train.loop._Loop) -> None:
        starts.append({name: value.clone() for name, value in self.model.state_dict().items()})
        raise KeyboardInterrupt

    monkeypatch.setattr(secateur.train.loop._Loop, "run_all", stop)
    job = [*words("adapt", place, "--conditions", ""), "--out", str(place / "stopped")]
    assert main(job) == 130
    (place / "stopped" / ".run.json.abc.tmp").write_text("half")
    (place / "stopped" / "original" / ".config.json.abc.tmp").write_text("half")
    assert "goes on" not in capsys.readouterr().err
    assert main(job) == 130
    assert f"{place / 'stopped'}: this very run began here and did not end: it goes on" in capsys.readouterr().err
    assert not list((place / "stopped").glob("**/.*.tmp"))
    assert len(starts) == 2 and starts[0].keys() == starts[1].keys()
    assert all(torch.equal(value, starts[1][name]) for name, value in starts[0].items())


def test_a_run_killed_while_it_noted_its_end_is_noted_and_cleared(place: Path, tmp_path: Path) -> None:
    settings = TrainJobSettings(train=(place / "train.jsonl",), out=tmp_path / "run")
    begin("train", settings, [place / "train.jsonl"], str(place / "model"), settings.out)
    half = settings.out / ".run.json.abc.tmp"
    half.write_text('{"job": "tra')
    complete(settings.out)
    assert json.loads((settings.out / "run.json").read_text())["finished"] and not half.exists()


def test_a_folder_of_an_unknown_run_is_refused(place: Path, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    settings = TrainJobSettings(train=(place / "train.jsonl",), out=tmp_path)
    with pytest.raises(SecateurError, match=r"metrics.jsonl of a run without a record"):
        begin("train", settings, [place / "train.jsonl"], "tiny.en", tmp_path)
    assert not (tmp_path / "run.json").exists()


def test_a_fingerprint_changes_with_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    seen = set()
    for content in (b"", b"a", b"ab", b"ba"):
        path.write_bytes(content)
        seen.add(fingerprint(path))
    assert len(seen) == 4
    with pytest.raises(SecateurError, match="no such file"):
        fingerprint(tmp_path / "none")


@pytest.mark.usefixtures("nothing_trains")
def test_a_teacher_that_cannot_teach_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words("train", place, "--teacher", str(place / "ctc"), "--training.distillation-on", "all")) == 2
    assert "secateur: " in capsys.readouterr().err


def test_a_demo_honours_what_was_given(tmp_path: Path) -> None:
    from secateur.api import AdaptSettings
    from secateur.base.options import from_dict

    plain = from_dict(AdaptSettings, {"demo": True, "out": "x"})
    assert plain.training.steps == 40 and plain.prune.remove == 0.4 and plain.longest == 12.0
    asked = {"training": {"epochs": 9.0, "seed": 3}, "prune": {"remove": 0.3}, "longest": 21.0}
    found = from_dict(AdaptSettings, {"demo": "yes", "out": "x", **asked})
    assert found.training.steps is None and found.training.epochs == 9.0 and found.training.seed == 3
    assert found.training.learning_rate == plain.training.learning_rate
    assert found.prune.remove == 0.3 and found.prune.frequent == plain.prune.frequent and found.longest == 21.0
