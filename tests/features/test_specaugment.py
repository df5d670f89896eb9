"""SpecAugment: what is hidden, where, how often, and that a seed decides it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from secateur.features.specaugment import SpecAugmentOptions, spec_augment  # noqa: E402


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def features(batch: int = 64, most: int = 300, bins: int = 80) -> tuple[torch.Tensor, torch.Tensor]:
    """Random features, no two values alike; clips of 0 to `most` frames; junk in the padding."""
    frames = torch.linspace(0, most, batch).long()
    return torch.randn(batch, most, bins, generator=seeded(1)), frames


def test_hides_within_the_clip_and_with_its_mean() -> None:
    mel, frames = features()
    hidden = spec_augment(mel, frames, SpecAugmentOptions(), seeded(0))
    changed = hidden != mel
    for row, n in enumerate(frames.tolist()):
        assert not changed[row, n:].any()
        if n:
            assert torch.allclose(hidden[row][changed[row]], mel[row, :n].mean(), atol=1e-5)
    assert changed[32:].any(2).any(1).all()  # every longer clip has something hidden


def test_masks_are_whole_stretches_no_wider_than_asked() -> None:
    mel, frames = features(batch=256)
    one_band = SpecAugmentOptions(time_masks=0, frequency_masks=1, frequency_width=9)
    columns = (spec_augment(mel, frames, one_band, seeded(0)) != mel).any(1).sum(1)
    assert columns.max() == 9 and columns[frames > 0].min() == 0
    one_stretch = SpecAugmentOptions(time_masks=1, frequency_masks=0, time_width=40, time_share=0.25)
    changed = (spec_augment(mel, frames, one_stretch, seeded(0)) != mel).any(2)
    widths = changed.sum(1)
    assert torch.all(widths <= torch.minimum(frames * 0.25, torch.tensor(40.0)))
    assert widths.max() == 40
    edges = torch.diff(changed.int(), dim=1).abs().sum(1)
    assert edges.max() <= 2  # one stretch has at most two edges


def test_widths_and_places_are_drawn_evenly() -> None:
    mel = torch.randn(20000, 40, 2, generator=seeded(1))
    frames = torch.full((20000,), 40)
    options = SpecAugmentOptions(time_masks=1, frequency_masks=0, time_width=4, time_share=1.0)
    changed = (spec_augment(mel, frames, options, seeded(0)) != mel).any(2)
    shares = torch.bincount(changed.sum(1), minlength=5) / 20000
    assert torch.allclose(shares, torch.full((5,), 0.2), atol=0.015)
    starts = changed[changed.sum(1) == 4].int().argmax(1)
    assert starts.min() == 0 and starts.max() == 36
    assert abs(starts.float().mean() - 18) < 0.6


def test_the_seed_decides() -> None:
    mel, frames = features()
    first = spec_augment(mel, frames, SpecAugmentOptions(), seeded(3))
    assert torch.equal(first, spec_augment(mel, frames, SpecAugmentOptions(), seeded(3)))
    assert not torch.equal(first, spec_augment(mel, frames, SpecAugmentOptions(), seeded(4)))


def test_rows_have_masks_of_their_own() -> None:
    mel = torch.randn(1, 200, 80, generator=seeded(1)).expand(8, -1, -1)
    hidden = spec_augment(mel, torch.full((8,), 200), SpecAugmentOptions(), seeded(0))
    assert len({tuple((row != mel[0]).all(1).tolist()) for row in hidden}) > 4  # frames hidden whole


def test_no_masks_and_fewer_bins_than_the_width() -> None:
    mel, frames = features(bins=4)
    none = SpecAugmentOptions(time_masks=0, frequency_masks=0)
    assert torch.equal(spec_augment(mel, frames, none, seeded(0)), mel)
    wide = spec_augment(mel, frames, SpecAugmentOptions(frequency_width=50), seeded(0))
    assert wide.shape == mel.shape and torch.isfinite(wide).all()


def test_keeps_bfloat16() -> None:
    mel, frames = features()
    assert spec_augment(mel.bfloat16(), frames, SpecAugmentOptions(), seeded(0)).dtype == torch.bfloat16


def test_no_value_is_read_back() -> None:
    mel, frames = torch.empty(4, 100, 80, device="meta"), torch.empty(4, dtype=torch.long, device="meta")
    assert spec_augment(mel, frames, SpecAugmentOptions(), seeded(0)).shape == mel.shape  # reading would be an error
