"""A native CTC model learns real spoken digits, is pruned while it learns, and reads the same from its files."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kaldialign")

from secateur.data.manifest import read_manifest  # noqa: E402
from secateur.jobs.arm import ArmSettings, JobData, run_arm, score  # noqa: E402
from secateur.models.checkpoint import load_checkpoint  # noqa: E402
from secateur.models.ctc.model import CtcModel  # noqa: E402
from secateur.models.ctc.presets import digits_ctc  # noqa: E402
from secateur.prune.settings import PruneSettings  # noqa: E402
from secateur.text.units import characters_of  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402


def test_digits_are_learnt_pruned_and_read_back(speech: Path, tmp_path: Path) -> None:
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
    data = JobData(learn=learn, dev=dev, tests={})
    _, _, results = run_arm(ArmSettings("digits", train, prune), model, units, data, tmp_path / "arm")
    assert results["dev"].rate < 0.5  # one of ten at chance is 0.9
    again, its_text = load_checkpoint(tmp_path / "arm")
    full, left = (sum(p.numel() for p in m.parameters()) for m in (model, again))
    assert left < 0.82 * full
    assert score(again, its_text, data, "dev", dev, "again").rate == pytest.approx(results["dev"].rate, abs=0.1)
