"""A native CTC model learns real spoken digits, is pruned while it learns, and reads the same from its files."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kaldialign")
from small_arm import answer, values  # noqa: E402

from secateur.cli import main  # noqa: E402
from secateur.data.job import JobData  # noqa: E402
from secateur.data.manifest import read_manifest, write_manifest  # noqa: E402
from secateur.evaluate.scoring import score  # noqa: E402
from secateur.families.ctc.model import CtcModel  # noqa: E402
from secateur.families.ctc.new_model import digits_ctc  # noqa: E402
from secateur.models.checkpoint import load_checkpoint  # noqa: E402
from secateur.prune.settings import PruneSettings  # noqa: E402
from secateur.study.arm import ArmSettings, run_arm  # noqa: E402
from secateur.text.units import characters_of  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402


@pytest.fixture(scope="module")
def digits(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one speaker's digits, pruned while it learns (`arm`), and the manifests."""
    folder = tmp_path_factory.mktemp("digits")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if u.duration > 0.2]
    speaker = sorted({u.speaker for u in clips})[0]
    clips = [u for u in clips if u.speaker == speaker]
    learn, dev = [u for i, u in enumerate(clips) if i % 10], clips[::10]
    units = characters_of(u.text for u in clips)
    model = CtcModel(digits_ctc(units.outputs))
    train = TrainSettings(
        steps=150, batch_seconds=16.0, learning_rate=3e-3, ema=0.9, spec_augment=None, augment=None, validate_every=20.0
    )
    kinds = tuple(sorted({g.kind for g in model.groups() if g.maskable and g.kind not in ("input", "vocabulary")}))
    prune = PruneSettings(remove=0.2, kinds=kinds, every=10, begin=0.3, end=0.6)
    data = JobData(training=learn, dev=dev, tests={})
    _, _, results = run_arm(ArmSettings("digits", train, prune), model, units, data, folder / "arm")
    assert results["dev"].rate < 0.5  # one of ten at chance is 0.9
    again, its_text = load_checkpoint(folder / "arm")
    assert values(again) < 0.82 * values(model)
    assert score(again, its_text, data, "dev", dev, "again").rate == pytest.approx(results["dev"].rate, abs=0.1)
    write_manifest(folder / "learn.jsonl", learn)
    write_manifest(folder / "dev.jsonl", dev)
    return folder


def test_digits_are_learnt_pruned_exported_and_read_with_a_lexicon(
    digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lm, dev = digits / "lm.npz", digits / "dev.jsonl"
    made = answer(capsys, "lm", "--train", digits / "learn.jsonl", "--out", lm, "--test", dev)
    assert made["unknown"] == 0 and made["words"] == 13 and made["perplexity"] < 13  # ten, and <s> </s> <unk>
    greedy = answer(capsys, "evaluate", digits / "arm", dev)
    held = answer(capsys, "evaluate", digits / "arm", dev, "--lm", lm, "--tune-on", digits / "dev.jsonl")
    assert held["rate"] <= greedy["rate"] and held["insertions"] == 0
    tried = held["settings"]["tried"]
    assert len(tried) >= 10 and min(t["rate"] for t in tried) == pytest.approx(held["rate"], abs=0.05)
    first = read_manifest(dev)[0]
    onnx = digits / "onnx"
    made = answer(capsys, "export", digits / "arm", "--out", onnx, "--precision", "fp32", "--clips", first.audio)
    assert made["parity"]["frames_equal"] == made["parity"]["frames"]
    chosen = held["settings"]
    told = [f"--lm={lm}", f"--lm-weight={chosen['lm_weight']}", f"--word-bonus={chosen['word_bonus']}",
            f"--blank-penalty={chosen['blank_penalty']}"]  # fmt: skip
    shipped = answer(capsys, "evaluate", onnx, dev, *told)
    assert shipped["rate"] == pytest.approx(held["rate"], abs=0.04)
    heard = answer(capsys, "transcribe", first.audio, "--model", onnx, "--word-times", *told)["files"][0]
    assert heard["text"] in {u.text for u in read_manifest(digits / "learn.jsonl")}
    (word,) = heard["segments"][0]["words"]
    assert word["text"] == heard["text"] and 0 <= word["start"] < word["end"] <= first.duration + 0.01


def test_a_language_model_for_the_wrong_model_is_one_line(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = read_manifest(digits / "dev.jsonl")[0].audio
    assert main(["transcribe", str(clip), "--lm", str(digits / "dev.jsonl"), "--model", str(digits / "arm")]) == 2
    assert "not a language model that is known here" in capsys.readouterr().err
    assert main(["transcribe", str(clip), "--lm", str(digits / "no.npz")]) == 2
    assert "no.npz" in capsys.readouterr().err
