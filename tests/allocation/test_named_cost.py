"""Plans that cost no more than a named model: measured, joint over merges, rows, ranks and units; or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kaldialign")

from small_models import small_whisper  # noqa: E402

from secateur.allocation import latency, named_cost  # noqa: E402
from secateur.allocation.latency import SECONDS, TOKENS, TimedExport  # noqa: E402
from secateur.allocation.named_cost import CLIPS, NamedModel, planned_cost, variants  # noqa: E402
from secateur.base.errors import SecateurError  # noqa: E402
from secateur.base.files import read_json  # noqa: E402
from secateur.data.job import JobData  # noqa: E402
from secateur.data.manifest import read_manifest  # noqa: E402
from secateur.export.onnx import export_onnx  # noqa: E402
from secateur.families.whisper.config import uniform  # noqa: E402
from secateur.families.whisper.model import Whisper  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.models.family import family_of  # noqa: E402
from secateur.prune.initial_model import InitialModel, make_initial_model  # noqa: E402
from secateur.prune.settings import PruneSettings, parse_target  # noqa: E402
from secateur.runtime.contents import read_contents  # noqa: E402
from secateur.study.oneshot import prune_without_training  # noqa: E402
from secateur.text.tokenizer import Tokenizer  # noqa: E402

WHOLE = {"vocabulary": False, "audio_seconds": None, "text_tokens": None, "method": "gradual"}
GIVEN = {**WHOLE, "merge_frames": ("0:2",), "low_rank": {"decoder.layers.0.ffn.*": 0.9}}  # one variant is left


@pytest.fixture(scope="module")
def data(speech: Path) -> JobData:
    torch.set_num_threads(1)
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if 0.3 < u.duration < 0.8]
    return JobData(training=clips[:20], dev=clips[20:26], tests={})


LAYER = 2_000_000  # multiply-accumulates that take as long as what a layer takes besides them


class Counted(TimedExport):
    """An export whose time is its work, counted: what is planned depends on no clock. Its files are the real ones."""

    def __init__(self, model: Any, text: Any, precision: str = "fp32", *_: Any, **more: Any) -> None:
        self.runs, self.work = [lambda: None], work(model.config, SECONDS, TOKENS)

    @classmethod
    def of_folder(cls, path: Path, config: Any, seconds: float, tokens: int, sessions: int = 2) -> TimedExport:
        timed = cls.__new__(cls)
        timed.bytes, timed.runs, timed.work = read_contents(path).bytes, [lambda: None], work(config, seconds, tokens)
        return timed

    def seconds(self, number: int = 0) -> float:
        return 1e-9 * self.work


def work(config: Any, seconds: float, tokens: int) -> float:
    """Multiply-accumulates of a clip, and what every layer takes besides."""
    parts = family_of(config).parts(config, min(seconds, config.max_seconds), tokens)
    return sum(parts.values()) + LAYER * (len(config.encoder) + len(config.decoder))


@pytest.fixture(autouse=True)
def quick(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "MODELS", 3)
    for module in (latency, named_cost):
        monkeypatch.setattr(module, "TimedExport", Counted)


def maker(model: Whisper, text: Tokenizer) -> Callable[[PruneSettings], InitialModel]:
    """What gives the initial model for settings."""
    return lambda how: make_initial_model(model, text, [], how)


def whisper_of(layers: int, ffn: int) -> tuple[Whisper, Tokenizer]:
    """Many layers take long, many feed-forward units many bytes."""
    small, text = small_whisper()
    torch.manual_seed(0)
    config = uniform(
        width=64, heads=4, ffn=ffn, encoder_layers=layers, decoder_layers=2, vocabulary=small.config.vocabulary,
        tokens=small.config.tokens, audio_context=small.config.audio_context, text_context=small.config.text_context,
        bins=small.config.front_end.bins,
    )  # fmt: skip
    return Whisper(replace(config, padded=small.config.padded, front_end=small.config.front_end)).eval(), text


def slow_and_small(folder: Path) -> Path:
    """A model whose time others stay below easily, and whose bytes they do not."""
    save_checkpoint(folder, *whisper_of(8, 32))
    return folder


def test_a_plan_takes_at_most_what_the_named_model_takes(data: JobData, tmp_path: Path) -> None:
    model, text = whisper_of(2, 1024)
    named = slow_and_small(tmp_path / "named")
    settings = PruneSettings(target=f"cost={named}", precision="int8", low_rank=GIVEN["low_rank"], **WHOLE)
    summary = prune_without_training(model, text, data, settings, tmp_path / "out")
    plan = read_json(tmp_path / "out" / "allocation.json")
    assert set(plan["reached"]) == {"short", "long", "size"} and max(plan["reached"].values()) <= 1
    assert len(plan["trail"]) >= 2 and summary["prune"]["merge_frames"] == plan["chosen"]["merge_frames"]
    built, codec = load_checkpoint(tmp_path / "out")
    assert bool(built.config.frame_merging) == bool(plan["chosen"]["merge_frames"])
    ours = TimedExport.of_clips(built, codec, "int8", [CLIPS["short"]])[0]
    theirs = TimedExport.of_clips(*load_checkpoint(named), "int8", [CLIPS["short"]])[0]
    assert ours.bytes <= 1.02 * theirs.bytes


def test_what_cannot_be_reached_says_what_comes_nearest(data: JobData, tmp_path: Path) -> None:
    model, text = whisper_of(2, 1024)
    named = slow_and_small(tmp_path / "named")
    settings = PruneSettings(target=f"cost={named}", kinds=("head",), protect=0.2, **GIVEN)
    with pytest.raises(
        SecateurError, match=r"not reachable; nearest is '.*' with short .*, long .*, size \d"
    ) as problem:
        planned_cost(model, text, maker(model, text), data, settings, tmp_path / "out")
    assert "\n" not in str(problem.value)
    assert not (tmp_path / "out").exists()


def test_a_model_that_costs_less_loses_nothing_and_a_stored_plan_is_used_again(data: JobData, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "named", *whisper_of(8, 512))
    model, text = small_whisper()
    settings = PruneSettings(target=f"cost={tmp_path / 'named'}", **GIVEN)
    made = planned_cost(model, text, maker(model, text), data, settings, tmp_path)
    assert not made.target and made.remove is None and made.merge_frames == ("0:2",) and made.amounts == {}
    assert planned_cost(model, text, maker(model, text), data, settings, tmp_path) == made


def test_an_export_is_compared_in_its_own_precision(tmp_path: Path) -> None:
    model, text = small_whisper()
    folder = export_onnx(model, text, tmp_path / "out", "int8")
    with pytest.raises(SecateurError, match=r"--prune\.precision int8"):
        NamedModel(str(folder), "fp32", padded=True)
    ratios = NamedModel(str(folder), "int8", padded=True).ratios(
        dict(zip(CLIPS, TimedExport.of_clips(model, text, "int8", list(CLIPS.values())), strict=True))
    )
    assert ratios["size"] == pytest.approx(1, abs=0.01)


def test_variants_leave_alone_what_the_settings_say() -> None:
    model, _ = small_whisper()
    every = variants(model.config, PruneSettings(), 5000)
    shown = [variant.shown for variant in every]
    assert "units only" in shown and "frames merged 0:2" in shown and any("2500 rows" in one for one in shown)
    given = PruneSettings(merge_frames=("1:2",), rows=300)
    fixed = variants(model.config, given, 300)
    assert {(v.settings.merge_frames, v.settings.rows) for v in fixed} == {(("1:2",), 300)}
    assert not [v for v in variants(model.config, replace(given, vocabulary=False), 9000) if v.settings.rows != 300]


@pytest.mark.parametrize("text", ["cost=", "cost", "costs=tiny.en"])
def test_a_target_without_a_model_is_one_line(text: str) -> None:
    with pytest.raises(SecateurError, match=r"cost=tiny\.en|did you mean|expected one of"):
        parse_target(text)
    assert parse_target("cost=runs/mine/dense").model == "runs/mine/dense"
