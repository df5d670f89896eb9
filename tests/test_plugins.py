"""Another package adds a criterion, a schedule, a method, features, a family, a format and a skill; all are used."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kaldialign")

import secateur  # noqa: E402
from secateur.base import plugins  # noqa: E402
from secateur.base.errors import SecateurError  # noqa: E402
from secateur.base.plugins import PluginError, plugins_blamed  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.data.manifest import read_manifest  # noqa: E402
from secateur.export.job import export_checked  # noqa: E402
from secateur.features.front_end import extract, extractor, front_end  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.models.family import families  # noqa: E402
from secateur.models.groups import Group, Place  # noqa: E402
from secateur.prune.importance import CRITERIA, Criterion, Evidence  # noqa: E402
from secateur.prune.method import check_settings  # noqa: E402
from secateur.prune.schedule import SCHEDULES  # noqa: E402
from secateur.prune.settings import PruneSettings  # noqa: E402
from secateur.prune.shrink import mask, shrink  # noqa: E402
from secateur.runtime.recogniser import Recogniser  # noqa: E402
from secateur.text.units import characters_of  # noqa: E402

PACKAGE = Path(__file__).resolve().parent / "plugin_package"
BUNDLED = Path(secateur.__file__).resolve().parent / "data" / "bundled"


FAULTY = """
from secateur.prune.importance import CRITERIA, Criterion

SHORT = Criterion(lambda group, evidence: CRITERIA["magnitude"](group, evidence)[1:])

def crash(group, evidence):
    return {}["group"]

CRASH = Criterion(crash)

def no_file(target, model, text):
    open(target.parent / "none" / "a").close()

def nothing(target, model, text):
    return target

def backwards(progress):
    return 1 / 0
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder like site-packages, with the package and the record of it that pip would leave."""
    folder = tmp_path_factory.mktemp("site-packages")
    (folder / "toy_asr").symlink_to(PACKAGE / "toy_asr")
    record = folder / "toy_asr-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-asr\nVersion: 1.0\n")
    (record / "entry_points.txt").write_bytes((PACKAGE / "entry_points.txt").read_bytes())
    (folder / "faulty_parts.py").write_text(FAULTY)
    record = folder / "faulty_parts-2.1.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty-parts\nVersion: 2.1\n")
    (record / "entry_points.txt").write_text(
        "[secateur.criteria]\nshort = faulty_parts:SHORT\ncrash = faulty_parts:CRASH\n"
        "[secateur.writers]\nno-file = faulty_parts:no_file\nnothing = faulty_parts:nothing\n"
        "[secateur.schedules]\nbackwards = faulty_parts:backwards\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        # Processes that a job starts (the proof that an export runs without torch) see the package, too.
        patch.setenv("PYTHONPATH", ":".join([str(folder), str(Path(secateur.__file__).resolve().parent.parent)]))
        plugins.installed.cache_clear()
        yield folder
    plugins.installed.cache_clear()


@pytest.fixture(scope="module")
def checkpoint(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy with random weights."""
    from toy_asr.config import ToyConfig  # type: ignore[import-not-found]
    from toy_asr.network import ToyNetwork  # type: ignore[import-not-found]

    torch.manual_seed(0)
    units = characters_of(u.text for u in read_manifest(BUNDLED / "train.jsonl"))
    model = ToyNetwork(ToyConfig(units.outputs))
    return save_checkpoint(tmp_path_factory.mktemp("toy") / "random", model, units)


def test_adapt_prunes_exports_and_transcribes_with_parts_of_another_package(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = secateur.adapt(
        model=str(checkpoint), train=[str(BUNDLED / "train.jsonl")], dev=[str(BUNDLED / "dev.jsonl")],
        test=[str(BUNDLED / "test.jsonl")], out=str(tmp_path / "run"), device="cpu", precision="fp32", timed_clips=1,
        conditions=("pause-1", "nonspeech"), condition_clips=2,
        training={"steps": 6, "batch_seconds": 20.0, "validate_every": 100.0, "save_every": 1000, "l2_sp": 0.0},
        prune={
            "method": "toy-once", "criterion": "toy-product", "schedule": "toy-late", "remove": 0.4, "kinds": ("ffn",),
            "own": {"moment": 0.4}, "audio_seconds": None, "text_tokens": None,
        },
    )  # fmt: skip
    models = done["models"]
    assert models["pruned"]["parameters"] < 0.62 * models["original"]["parameters"]
    config = json.loads((Path(done["exported"]) / "config.json").read_text())
    assert (config["family"], config["front_end"]["kind"]) == ("toy", "toy-bands")
    assert config["hidden"] < 26
    clip = read_manifest(BUNDLED / "test.jsonl")[0].audio
    small, text = load_checkpoint(tmp_path / "run" / "pruned")
    network = export_checked(small, text, tmp_path / "again", "fp32", [str(clip)])
    assert network["parity"]["frames_equal"] == network["parity"]["frames"] > 20
    capsys.readouterr()
    assert main(["transcribe", str(clip), "--model", done["exported"], "--json"]) == 0
    (transcript,) = json.loads(capsys.readouterr().out)["files"]
    assert transcript["text"] == Recogniser.load(tmp_path / "run" / "pruned").transcribe(clip).text != ""


def test_masked_is_shrunk_in_a_family_of_another_package(checkpoint: Path) -> None:
    model, _ = load_checkpoint(checkpoint)
    features = torch.randn(2, 30, 12, generator=torch.Generator().manual_seed(1))
    keep = {"up": list(range(0, 40, 3))}
    small = shrink(model, keep)
    mask(model, keep)
    frames = torch.tensor([30, 17])
    torch.testing.assert_close(model(features, frames)[0], small(features, frames)[0])
    assert small.config.hidden == len(keep["up"])


def test_its_features_are_the_same_in_numpy_and_torch(site: Path) -> None:
    config = front_end("toy-bands", bins=9)
    random = np.random.default_rng(0)
    clips = [random.standard_normal(n).astype(np.float32) * 0.1 for n in (4000, 2500)]
    audio = np.zeros((2, 4000), np.float32)
    for row, clip in zip(audio, clips, strict=True):
        row[: len(clip)] = clip
    features, frames = extractor(config)(torch.from_numpy(audio), torch.tensor([4000, 2500]))
    for clip, row, count in zip(clips, features, frames.tolist(), strict=True):
        right = extract(clip, config)
        assert right.shape == (count, 9) == (config.frames(len(clip)), config.inputs)
        np.testing.assert_allclose(row[:count].numpy(), right, atol=1e-4)


def test_the_command_line_knows_its_names_and_formats(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(checkpoint), "--out", str(tmp_path / "names.txt"), "--format", "toy-text"]) == 0
    assert (tmp_path / "names.txt").read_text().splitlines()[0] == "up.weight [40, 12, 3]"
    assert main(["models", "show", str(checkpoint)]) == 0
    assert "toy" in capsys.readouterr().out
    assert "toy" in [family.name for family in families()]
    with pytest.raises(SecateurError, match="did you mean 'toy-once'"):
        check_settings(PruneSettings(method="toy-one"))
    with pytest.raises(SecateurError, match=r"prune.own: unknown key 'momant'.*did you mean 'moment'"):
        check_settings(PruneSettings(method="toy-once", own={"momant": 0.4}))
    with pytest.raises(SecateurError, match=r"prune\.every: the method 'toy-once' has no such setting"):
        check_settings(PruneSettings(method="toy-once", every=3))


def test_its_skill_answers(site: Path) -> None:
    from secateur.assistant.assistant import Assistant
    from secateur.assistant.grammar.match import Match
    from secateur.assistant.skill import Context
    from secateur.assistant.skills import load

    assert load()["toy.echo"]({"what": "tea"}, Context()) == "toy: tea"
    assistant = Assistant(cast(Any, None), load(), Context())
    answer, done = assistant._answer(Match("toy.echo", {}, 0.0, 1))
    assert not done
    assert "the module of skills 'toy' of the package toy-asr raised KeyError: 'what'" in answer


def test_a_broken_part_is_one_line_that_names_it(site: Path) -> None:
    with pytest.raises(SecateurError) as caught:
        check_settings(PruneSettings(method="gradual", criterion="toy-broken"))
    assert "'toy-broken' of another package (toy_asr.nowhere:NOTHING) cannot be loaded" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_criterion_that_scores_other_units_than_the_group_has(checkpoint: Path) -> None:
    group = load_checkpoint(checkpoint)[0].groups()[0]
    evidence = Evidence({name: np.ones((40, 12, 3), np.float32) for name in ("up.weight",)})
    for criterion, line in (
        (CRITERIA["short"], "the criterion 'short' of the package faulty-parts gave scores of the shape (39,) for the"),
        (Criterion(lambda g, e: [0.5] * g.units), "the criterion <lambda> gave a list for the group up: scores have "),
        (Criterion(lambda g, e: np.ones((40, 1))), "the shape (40, 1) for the group up: scores have the shape (40,)"),
    ):
        small = Group("up", "ffn", 40, (Place("up.weight", 0),))
        assert group.units == small.units
        with pytest.raises(PluginError, match=re.escape(line)):
            criterion(small, evidence)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("prune {model} --one-shot --prune.criterion crash", "the criterion 'crash' of the package faulty-parts raised "
         "KeyError: 'group' (faulty_parts, line 7, in crash)"),
        ("prune {model} --one-shot --prune.criterion short", "the criterion 'short' of the package faulty-parts gave"),
        ("export {model} --format no-file", "the export format 'no-file' of the package faulty-parts raised FileNotF"),
        ("export {model} --format nothing", "the export format 'nothing' of the package faulty-parts wrote nothing"),
    ],
)  # fmt: skip
def test_what_a_part_raises_is_one_line_that_names_its_package(
    words: str, line: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *rest = words.format(model=checkpoint).split()
    if command == "prune":
        data = ["--dev", str(BUNDLED / "dev.jsonl"), "--test", str(BUNDLED / "test.jsonl"), "--prune.kinds", "ffn"]
        rest = ["--model", *rest, "--train", str(BUNDLED / "train.jsonl"), *data, "--prune.audio-seconds", "none"]
        rest += ["--prune.text-tokens", "none"]
    assert main([command, *rest, "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err.splitlines()
    assert error[-1].startswith(f"secateur: {line}")
    assert any(one.startswith("Traceback") for one in error) == (" raised " in line)
    assert command == "prune" or not list(tmp_path.iterdir())


def test_a_fault_keeps_its_cause_and_ours_are_not_blamed_on_others(site: Path) -> None:
    line = "the schedule 'backwards' of the package faulty-parts raised ZeroDivisionError: division by zero"
    with pytest.raises(PluginError, match=line) as caught, plugins_blamed():
        SCHEDULES["backwards"](0.5)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError), plugins_blamed():
        1 / 0  # noqa: B018


def test_nothing_of_it_is_imported_before_it_is_asked_for(site: Path) -> None:
    code = (
        "import sys\nfrom secateur.prune.method import METHODS\nfrom secateur.models.family import FAMILIES\n"
        "assert 'toy-once' in METHODS and 'toy' in FAMILIES\nprint([m for m in sys.modules if 'toy' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
