"""One home a setting: Python, command line, TOML files and studies mean the same, and every option explains itself."""

from __future__ import annotations

import importlib
import json
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import secateur
from secateur.api import JOBS, AdaptSettings
from secateur.api.job import settings_of
from secateur.base.errors import SecateurError
from secateur.base.option_fields import part_of, renamed, walk
from secateur.base.options import Settings, from_dict, option
from secateur.cli import COMMANDS, main
from secateur.cli.command import build_options, make_parser
from secateur.decode.options import DecodingOptions
from secateur.evaluate.conditions import chosen
from secateur.prune.settings import PruneSettings

# The least that each job needs: words of the command line, and the same in Python.
LEAST: dict[str, tuple[list[str], tuple[Any, ...], dict[str, Any]]] = {
    "adapt": (["--train", "a.jsonl", "--out", "run"], (), {"train": "a.jsonl", "out": "run"}),
    "train": (["--train", "a.jsonl", "--out", "run"], (), {"train": Path("a.jsonl"), "out": Path("run")}),
    "prune": (["--train", "a.jsonl,b.jsonl", "--out", "run"], (), {"train": ["a.jsonl", "b.jsonl"], "out": "run"}),
    "evaluate": (["tiny.en", "a.jsonl"], ("tiny.en", "a.jsonl"), {}),
    "compare": (["a.json", "b.json"], ("a.json", "b.json"), {}),
    "sensitivity": (["m", "--data", "a.jsonl", "--out", "map"], ("m",), {"data": "a.jsonl", "out": "map"}),
    "export": (["m", "--out", "x"], ("m",), {"out": "x"}),
    "transcribe": (["a.wav", "b.wav"], ("a.wav", "b.wav"), {}),
    "study": (["s.toml"], ("s.toml",), {}),
    "doctor": (["m"], ("m",), {}),
}


def module_of(name: str) -> ModuleType:
    return importlib.import_module(f"secateur.cli.{name}")


def commands() -> Iterator[tuple[str, ModuleType]]:
    """Every command, those of families included."""
    for name in COMMANDS:
        module = module_of(name)
        for sub, one in getattr(module, "COMMANDS", {"": module}).items():
            yield f"{name} {sub}".strip(), one


def on_the_command_line(name: str, words: list[str]) -> Any:
    module = module_of(name)
    return build_options(module.Options, make_parser(module, name).parse_all(words))


@pytest.mark.parametrize("name", JOBS)
def test_python_and_the_command_line_mean_the_same(name: str, tmp_path: Path) -> None:
    words, inputs, options = LEAST[name]
    asked = settings_of(JOBS[name].settings, name, inputs, options)
    assert on_the_command_line(name, words) == asked
    assert module_of(name).Options is JOBS[name].settings
    config = tmp_path / "job.toml"
    config.write_text("")
    assert on_the_command_line(name, [*words, "--config", str(config)]) == asked


@pytest.mark.parametrize("name", [n for n in JOBS if n in ("adapt", "train", "prune")])
def test_parts_are_given_in_every_way(name: str, tmp_path: Path) -> None:
    words, inputs, options = LEAST[name]
    flags = ["--training.epochs", "3", "--training.spec-augment.time-masks", "1", "--training.augment", "none"]
    flat = settings_of(JOBS[name].settings, name, inputs, {
        **options, "training__epochs": 3, "training__spec_augment__time_masks": 1, "training__augment": None,
    })  # fmt: skip
    nested = settings_of(JOBS[name].settings, name, inputs, {
        **options, "training": {"epochs": 3, "spec_augment": {"time_masks": 1}, "augment": None},
    })  # fmt: skip
    config = tmp_path / "job.toml"
    config.write_text('[training]\nepochs = 3\naugment = "none"\n[training.spec_augment]\ntime_masks = 1\n')
    assert on_the_command_line(name, [*words, *flags]) == flat == nested
    assert on_the_command_line(name, [*words, "--config", str(config)]) == flat
    assert flat.training.epochs == 3 and flat.training.spec_augment.time_width == 20 and flat.training.augment is None


def test_a_study_of_one_arm_means_the_same(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from secateur.study.settings import arm_settings, read_study

    study = tmp_path / "study.toml"
    study.write_text(
        'train = ["a.jsonl"]\ndev = ["d.jsonl"]\nmodel = "tiny.en"\ncontrol = "dense"\n[tests]\nt = "t.jsonl"\n'
        "[arms.dense]\n[arms.pruned]\n[arms.pruned.prune]\n[arms.new]\nmodel = \"\"\n[arms.new.new]\npreset = 'bigru'\n"
        '[arms.told]\nteacher = "dense"\n'
    )
    found = read_study(study)
    alone = {n: settings_of(JOBS[n].settings, n, (), LEAST[n][2]) for n in ("adapt", "train", "prune")}
    for job in alone.values():
        assert arm_settings(found, "dense", 0).train == job.training.resolved(pretrained=True, teacher=False)
    assert arm_settings(found, "pruned", 0).prune == alone["prune"].prune == alone["adapt"].prune
    new, told = arm_settings(found, "new", 0).train, arm_settings(found, "told", 0).train
    assert new is not None and told is not None
    assert new == alone["train"].training.resolved(pretrained=False, teacher=False) and new.l2_sp == 0
    assert told == alone["train"].training.resolved(pretrained=True, teacher=True) and told.distillation == 0.7


def test_a_model_that_nothing_has_trained_is_not_held_near_its_start(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from secateur.study.settings import arm_settings, read_study

    line = {"id": "a", "audio": "a.wav", "duration": 1.0, "text": "one two", "speaker": "s"}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    fresh = str(tmp_path / "fresh")
    assert main(["models", "new", "digits", "--train", str(tmp_path / "a.jsonl"), "--out", fresh]) == 0
    study = tmp_path / "study.toml"
    study.write_text(
        f'train = ["a.jsonl"]\ndev = ["d.jsonl"]\nmodel = "{fresh}"\n[tests]\nt = "t.jsonl"\n[arms.dense]\n'
        '[arms.known]\nmodel = "tiny.en"\n[arms.more]\nstart = "dense"\n'
    )
    found = read_study(study)
    pull = {name: arm_settings(found, name, 0).train.l2_sp for name in found.arms}  # type: ignore[union-attr]
    assert pull == {"dense": 0.0, "known": 0.01, "more": 0.01}


def test_what_was_given_is_kept_whatever_the_start_is() -> None:
    from secateur.train.settings import TrainSettings

    asked = TrainSettings(l2_sp=0.3, distillation=0.2)
    for pretrained in (True, False):
        found = asked.resolved(pretrained=pretrained, teacher=pretrained)
        assert found.l2_sp == 0.3 and found.distillation == 0.2


@pytest.mark.parametrize("command", [name for name, _ in commands()])
def test_every_option_has_one_sentence_of_help(command: str) -> None:
    module = dict(commands())[command]
    assert issubclass(module.Options, Settings) or not fields(module.Options)
    for path, one, _ in walk(module.Options):
        text = one.metadata.get("help", "")
        assert text.endswith(".") and text[0].isupper() and len(text) > 12, f"{command} {path}: {text!r}"
        assert "\n" not in text and len(text) < 260, path
    shown = make_parser(module, command).format_help()
    for path, one, _ in walk(module.Options):
        flag = path.upper() if one.metadata.get("positional") else "--" + path.replace("_", "-")
        assert re.search(rf"(?m)^ +{re.escape(flag)}\b", shown), flag


def settings_classes(cls: type, seen: set[type]) -> set[type]:
    """`cls` and all settings inside it."""
    if cls not in seen:
        seen.add(cls)
        for hint in typing.get_type_hints(cls).values():
            part = part_of(hint)
            if part is not None:
                settings_classes(part, seen)
    return seen


def test_studies_explain_themselves_too() -> None:
    pytest.importorskip("torch")
    from secateur.study.settings import StudyArm, StudySettings

    classes = settings_classes(StudySettings, set()) | {StudyArm}
    for cls in classes:
        for one in fields(cls):
            named = f"{cls.__name__}.{one.name}"
            assert part_of(typing.get_type_hints(cls)[one.name]) or one.metadata.get("help"), named


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("--learn", "--train"), ("--retain", "--rehearsal"), ("--train.epochs", "--training.epochs"),
        ("--train.l2-start", "--training.l2-sp"), ("--training.distil", "--training.distillation"),
        ("--train.helper", "--training.auxiliary"), ("--train.blend", "--training.interpolation"),
        ("--prune.harm", "--prune.search-by"), ("--training.short-first", "--training.sortagrad"),
    ],
)  # fmt: skip
def test_an_old_name_is_refused_with_the_new_one(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--out", "x", old, "1"]) == 2
    assert f"'{old}' is called '{new}' now" in capsys.readouterr().err


def test_an_old_table_is_refused_with_the_new_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "old.toml"
    for text, line in (
        ("[train]\nepochs = 3\n", "the table 'train' is called 'training' now"),
        ('learn = ["a.jsonl"]\n', "'learn' is called 'train' now"),
        ("[training]\nl2_start = 0.1\n", "training: 'l2_start' is called 'l2_sp' now"),
    ):
        config.write_text(text)
        assert main(["train", "--out", "x", "--config", str(config)]) == 2
        assert line in capsys.readouterr().err


def test_the_nearest_name_may_lie_in_a_part() -> None:
    with pytest.raises(SecateurError, match=r"unknown key 'epochs' \(did you mean 'training.epochs'\?\)"):
        secateur.adapt(train="a.jsonl", out="x", epochs=3)
    with pytest.raises(SecateurError, match=r"unknown key 'trai' \(did you mean 'train'\?\)"):
        secateur.api.train(trai="a.jsonl", out="x")
    with pytest.raises(SecateurError, match=r"prune: unknown key 'remov' \(did you mean 'remove'\?\)"):
        secateur.prune(train="a.jsonl", out="x", prune__remov=0.2)
    with pytest.raises(SecateurError, match="evaluate: takes 2 values without a name, found 3: name the others"):
        secateur.evaluate("m", "a.jsonl", "b.jsonl")
    with pytest.raises(SecateurError, match=r"found 2: name the others, such as out=\.\.\."):
        secateur.export("tiny.en", "exported")
    for keyword in ("training.steps", "training__steps"):
        with pytest.raises(SecateurError, match=r"'training.step'\?\), in a call training__step=\.\.\.|found -3"):
            secateur.adapt(**{"train": "a.jsonl", "out": "x", keyword: -3})
    with pytest.raises(SecateurError, match=r"did you mean 'training.steps'\?\), in a call training__steps=\.\.\."):
        secateur.adapt(train="a.jsonl", out="x", steps=3)


def test_what_other_programs_call_an_option_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of Whisper, faster-whisper, `transformers`, pruning tools: on the command line, in TOML and Python."""
    for command, flag, here in (
        ("transcribe", "--initial_prompt", "words"), ("transcribe", "--beam-size", "beam"),
        ("transcribe", "--output_dir", "out"), ("evaluate", "--vad_filter", "vad"),
        ("adapt", "--num_train_epochs", "training.epochs"), ("adapt", "--sparsity", "prune.remove"),
        ("prune", "--training.batch_size", "training.batch-seconds"), ("export", "--quantize", "precision"),
    ):  # fmt: skip
        assert main([command, flag, "3"]) == 2
        assert f"(here it is '--{here}')" in capsys.readouterr().err
    config = tmp_path / "job.toml"
    config.write_text('train = ["a.jsonl"]\n[training]\nlr = 1e-4\n')
    assert main(["train", "--out", "x", "--config", str(config)]) == 2
    assert "training: unknown key 'lr' (here it is 'learning_rate')" in capsys.readouterr().err
    with pytest.raises(SecateurError, match=r"'sparsity' \(here it is 'prune.remove'\), in a call prune__remove="):
        secateur.adapt(train="a.jsonl", out="x", sparsity=0.3)


def test_every_part_that_has_the_name_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "job.toml"
    for key, part in (("steps", "training.steps"), ("ema", "training.ema"), ("time_masks", "training.spec_augment.t")):
        config.write_text(f"{key} = 2\n")
        assert main(["adapt", "--train", "a.jsonl", "--out", "x", "--config", str(config)]) == 2
        assert f"unknown key '{key}' (did you mean '{part}" in capsys.readouterr().err
        with pytest.raises(SecateurError, match=rf"unknown key '{key}' \(did you mean '{part}"):
            secateur.prune(train="a.jsonl", out="x", **{key: 2})
        flag = f"--{key.replace('_', '-')}"
        assert main(["adapt", flag, "2"]) == 2
        assert f"unknown option '{flag}' (did you mean '--{part.replace('_', '-')}" in capsys.readouterr().err
    with pytest.raises(SecateurError, match=r"did you mean one of training.learning_rate, prune.learning_rate\?"):
        from_dict(TwoParts, {"learning_rate": 1.0})


@dataclass(frozen=True)
class Rate(Settings):
    """A part that is there twice."""

    learning_rate: float = option(0.1, "Learn at this rate.")


@dataclass(frozen=True)
class TwoParts(Settings):
    """Two parts have settings of one name, and a third is flat."""

    training: Rate = option(Rate())
    prune: Rate = option(Rate())


def test_keys_of_another_job_are_named_before_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "evaluate.toml"
    for text, line in (
        ('manifest = "a.jsonl"\nmodel = "m"\nbeam = 2\n', "evaluate.toml: unknown key 'manifest'"),
        ("[training]\nstepz = 2\n", "evaluate.toml: training: unknown key 'stepz' (did you mean 'steps'?)"),
        ('model = "m"\n', "--out is missing"),
    ):
        config.write_text(text)
        assert main(["adapt", "--config", str(config)]) == 2
        assert line in capsys.readouterr().err


def test_one_setting_given_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    least: dict[str, Any] = {"train": "a.jsonl", "out": "x"}
    for twice in (
        {"prune__remove": 0.2, "prune": {"remove": 0.3}}, {"prune": {"remove": 0.3}, "prune__remove": 0.2},
        {"prune__remove": 0.2, "prune": PruneSettings(remove=0.4)},
    ):  # fmt: skip
        with pytest.raises(SecateurError, match=r"prune: prune.remove is given twice in this call: leave out one"):
            secateur.prune(**least, **twice)
    with pytest.raises(SecateurError, match=r"training.spec_augment.time_masks is given twice"):
        secateur.adapt(**least, training__spec_augment__time_masks=1, training={"spec_augment": {"time_masks": 2}})
    with pytest.raises(SecateurError, match=r"evaluate: model is given twice"):
        secateur.evaluate("tiny.en", "a.jsonl", model="base.en")
    for twice in ({"decoding__beam": 3}, {"decoding": {"beam": 3}}, {"decoding": DecodingOptions(beam=3)}):
        with pytest.raises(SecateurError, match=r"'beam' and 'decoding.beam' are one setting, given twice"):
            secateur.transcribe("a.wav", beam=2, **twice)
    # What an object leaves at its default is not given.
    for mixed in ({"prune": PruneSettings(every=7)}, {"prune": {"every": 7}}):
        found = settings_of(JOBS["prune"].settings, "prune", (), {"prune__remove": 0.2, **mixed, **least}).prune
        assert (found.remove, found.every) == (0.2, 7)
    found = settings_of(
        JOBS["transcribe"].settings, "t", ["a.wav"], {"beam": 2, "decoding": DecodingOptions(best_of=3)}
    )
    assert (found.decoding.beam, found.decoding.best_of) == (2, 3)
    config = tmp_path / "job.toml"
    config.write_text("beam = 2\n")
    assert on_the_command_line("transcribe", ["a.wav", "--config", str(config), "--beam", "4"]).decoding.beam == 4


def test_none_asks_for_no_condition() -> None:
    words = ["--train", "a.jsonl", "--out", "x", "--conditions", "none"]
    assert on_the_command_line("adapt", words).conditions == ()
    with pytest.raises(SecateurError, match="'none' stands alone"):
        chosen(("pause", "none"))


def test_a_call_with_settings_is_the_same_as_with_keywords() -> None:
    settings = AdaptSettings(train=(Path("no.jsonl"),), out=Path("x"))
    for call in (lambda: secateur.adapt(settings), lambda: secateur.adapt(train="no.jsonl", out="x")):
        with pytest.raises(SecateurError, match=r"no.jsonl: no such file"):
            call()


@dataclass(frozen=True)
class Inner(Settings):
    """A part."""

    share: float = option(0.5, "Take this share.", unit="share", least=0, below=1)
    seed: int = option(0, "Seed it.")
    kind: str = option("a", "Choose one.", was=("sort",))


@dataclass(frozen=True)
class Outer(Settings):
    """A whole with a flat part, which has another default here."""

    seed: int = option(7, "Seed something else.")
    inner: Inner = option(Inner(share=0.25), "Inside.", flat=True, was=("core",))


def test_a_flat_part_needs_no_prefix_unless_a_name_is_taken() -> None:
    assert from_dict(Outer, {"share": "0.75", "seed": 3}) == Outer(3, Inner(0.75))
    assert from_dict(Outer, {"inner": {"seed": 4}}) == Outer(7, Inner(0.25, 4))
    assert [path for path, _, _ in walk(Outer)] == ["seed", "share", "inner.seed", "kind"]
    assert renamed(Outer, "sort") == "kind" and renamed(Outer, "core.seed") == "inner.seed"
    assert renamed(Outer, "kind") == "" and renamed(Outer, "nothing") == ""


@pytest.mark.parametrize("value", [-0.1, 1.0, 30, float("nan"), float("inf")])
def test_a_value_out_of_its_range_is_refused_however_it_comes(value: float) -> None:
    for make in (lambda: Inner(share=value), lambda: from_dict(Inner, {"share": value}, "x.toml")):
        with pytest.raises(SecateurError, match="share must be at least 0 and below 1"):
            make()


def test_settings_classes_are_frozen_and_light() -> None:
    import subprocess
    import sys

    code = "import sys, secateur\n[secateur.adapt, secateur.api.JOBS]\n"
    code += "print([m for m in ('torch', 'onnx', 'kaldialign') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    for one in JOBS.values():
        assert is_dataclass(one.settings) and one.settings.__dataclass_params__.frozen  # type: ignore[attr-defined]
