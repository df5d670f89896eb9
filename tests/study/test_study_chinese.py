"""The Mandarin study's own file, on a handful of real clips with a small model: helper, vocabulary, pinyin columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
for package in ("kaldialign", "pypinyin", "jieba", "opencc", "wetext"):
    pytest.importorskip(package)

from small_models import small_config, small_tokenizer  # noqa: E402

from secateur.base.files import read_json  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.data.manifest import read_manifest, write_manifest  # noqa: E402
from secateur.evaluate.alternatives import alternatives_in, has_alternatives  # noqa: E402
from secateur.evaluate.result import read_result  # noqa: E402
from secateur.families.whisper.model import Whisper  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.study.outcome import study_outcome  # noqa: E402
from secateur.study.settings import arm_settings, new_of, read_study  # noqa: E402
from secateur.study.table import markdown  # noqa: E402

ARMS = ("dense", "pruned-pinyin")
CHANGES = {
    'model = "/tmp/stage/base"': 'model = "{folder}/model"', "seeds = [0, 1, 2]": "seeds = [0]",
    "longest = 19.9": "longest = 3.4", "steps = 500": "steps = 4", "batch_seconds = 160.0": "batch_seconds = 12.0",
    "audio_seconds = 20.0": "audio_seconds = 3.6", "text_tokens = 128": "text_tokens = 96",
    "end = 0.5": "end = 0.5\nevery = 1",
}  # fmt: skip

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


@pytest.fixture(scope="module")
def place(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short clips of the set, a small multilingual model, and the study's file with its numbers made small."""
    folder = tmp_path_factory.mktemp("mandarin")
    for split, count in (("train", 6), ("dev", 2), ("test", 3)):
        clips = read_manifest(speech / "commonvoice-zh-cn" / f"{split}.jsonl")
        write_manifest(
            folder / "commonvoice-zh-cn" / f"{split}.jsonl", [u for u in clips if 1.5 < u.duration < 3.4][:count]
        )
    tokenizer = small_tokenizer()
    end = tokenizer.end
    tokens = replace(
        small_config(end).tokens, multilingual=True, transcribe=end + 8, translate=end + 9,
        languages={"zh": end + 10, "en": end + 11},
    )  # fmt: skip
    torch.manual_seed(0)
    config = replace(small_config(end), audio_context=190, text_context=128, vocabulary=end + 12, tokens=tokens)
    save_checkpoint(folder / "model", Whisper(config), tokenizer)
    text = (EXPERIMENTS / "study" / "base_zh.toml").read_text()
    for old, new in CHANGES.items():
        assert old in text, old
        text = text.replace(old, new.format(folder=folder))
    (folder / "study.toml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def done(place: Path, forked_runs: None) -> Path:
    """The study's main arms, run once."""
    words = ["study", str(place / "study.toml"), "--data", str(place), "--out", str(place / "out"), "--devices", "cpu"]
    assert main([*words, "--parallel", "2", "--only", ",".join(ARMS)]) == 0
    return place / "out"


def test_every_arm_is_counted_in_characters_and_in_pinyin(done: Path, place: Path) -> None:
    outcome = study_outcome(place / "study.toml", done / "results")
    arms = {a.arm: a for a in outcome.arms}
    assert set(arms) == set(ARMS)
    for name in ARMS:
        found = arms[name].sets["commonvoice-zh-cn"]
        kept = read_result(done / f"{name}-0" / "results" / "commonvoice-zh-cn.json")
        assert kept.sounds is not None and found.pinyin is not None
        assert (found.rate, found.pinyin.rate) == (pytest.approx(kept.rate), pytest.approx(kept.sounds.pinyin))
        assert (found.pinyin.against is None) == (name == "dense")
    table = markdown(outcome)
    assert "| pinyin, % | against control, points (95 %) | tones, % |" in table[0]
    assert "parameters removed or zero" in table[0] and all(line.count("|") == table[0].count("|") for line in table)


def test_pruned_arms_lose_what_they_should(done: Path, place: Path) -> None:
    summaries = {name: read_json(done / f"{name}-0" / "summary.json") for name in ARMS}
    assert summaries["dense"]["removed_or_zero"] == 0
    pruned = summaries["pruned-pinyin"]
    assert pruned["removed_weights"] == pytest.approx(0.42, abs=0.01)
    assert pruned["removed_or_zero"] > pruned["removed"] > 0
    model, tokenizer = load_checkpoint(done / "pruned-pinyin-0")
    assert set(model.config.tokens.languages) == {"zh"}
    assert tokenizer.decode(tokenizer.encode("龘靐，GPS 3号 😀")).strip() == "龘靐，GPS 3号 😀"  # bytes spell anything


def test_the_helper_is_kept_only_beside_arms_that_had_one(done: Path) -> None:
    assert (done / "pruned-pinyin-0" / "pinyin_head.safetensors").exists()
    assert not (done / "dense-0" / "pinyin_head.safetensors").exists()
    model, _ = load_checkpoint(done / "pruned-pinyin-0")
    rows = {n: read_result(done / f"{n}-0" / "results" / "commonvoice-zh-cn.json").rows for n in ARMS}
    assert all("pinyin_heard" in row.extras for row in rows["pruned-pinyin"])  # for correction by sound
    assert not any("pinyin_heard" in row.extras for row in rows["dense"])
    assert not [name for name in model.state_dict() if "head" in name or "extra" in name]


def test_runs_are_corrected_by_sound_with_what_their_head_heard(done: Path, place: Path, tmp_path: Path) -> None:
    words, sets = str(tmp_path / "words.json"), place / "commonvoice-zh-cn"
    assert main(["text", "learn", str(sets / "train.jsonl"), "--out", words]) == 0
    run = done / "pruned-pinyin-0"
    rows = {part: str(run / "results" / f"{part}.json") for part in ("commonvoice-zh-cn", "dev")}
    given = ["text", "correct", "--words", words, "--result", rows["commonvoice-zh-cn"], "--dev", rows["dev"]]
    out = tmp_path / "corrected.json"
    assert main([*given, "--out", str(out)]) == 0
    # From the checkpoint, head included: the same clips, the same words, so the same numbers.
    again = tmp_path / "again.json"
    command = ["evaluate", str(run), str(sets / "test.jsonl"), "--correct", words, "--tune-on", str(sets / "dev.jsonl")]
    assert main([*command, "--alternatives", "3", "--device", "cpu", "--out", str(again)]) == 0
    kept, found = read_result(out), read_result(again)
    assert found.settings["corrected"]["head"] is not None and kept.settings["corrected"]["head"] is not None
    assert all(str(row.extras["pinyin_heard"]).startswith("parts") for row in found.rows)
    assert all(1 <= len(alternatives_in(row)) <= 3 for row in found.rows) and not has_alternatives(kept.rows)
    assert found.settings["corrected"]["rescored"]["dev"] is not None
    assert [row.id for row in found.rows] == [row.id for row in kept.rows] and found.metric == kept.metric == "cer"


def test_the_study_of_models_from_nothing_compares_what_it_says() -> None:
    study = read_study(EXPERIMENTS / "study" / "ctc_zh.toml")
    assert new_of(study, "pinyin").units == "pinyin" and new_of(study, "characters").units == "characters"
    steps = {name: arm_settings(study, name, 0).train.steps for name in study.arms}  # type: ignore[union-attr]
    assert steps["pinyin"] == steps["characters"] > steps["pinyin-on"] == steps["pinyin-sparse-50"]
    assert study.control_of("pinyin-sparse-50") == "pinyin-on"
