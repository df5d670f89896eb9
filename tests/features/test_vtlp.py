"""Vocal tract length perturbation: formants land where the factor says, on real features, row by row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from secateur.audio.augment_options import AugmentOptions  # noqa: E402
from secateur.base.errors import SecateurError  # noqa: E402
from secateur.features.front_end import (  # noqa: E402
    FrontEnd,
    extract,
    front_end,
)
from secateur.features.vtlp import FrequencyWarp, bin_centres, warped_from  # noqa: E402

FRONT_ENDS = [FrontEnd(), FrontEnd(bins=128), front_end("fbank"), FrontEnd(kept_bins=tuple(range(4, 70)))]


def tone(hz: float, front: FrontEnd) -> torch.Tensor:
    """Features (1, frames, bins) of a narrow band around `hz` that changes over time."""
    time = np.arange(front.sample_rate) / front.sample_rate
    sound = sum(np.sin(2 * np.pi * (hz + d) * time + d) for d in (-40, -20, 0, 20, 40)) * 0.1
    return torch.from_numpy(extract(sound.astype(np.float32), front))[None]


def peak(features: torch.Tensor, front: FrontEnd) -> float:
    """Where the energy is, in Hz."""
    return float(bin_centres(front)[list(front.reads)][int(features.mean((0, 1)).argmax())])


@pytest.mark.parametrize("front", FRONT_ENDS)
@pytest.mark.parametrize(("hz", "factor"), [(1500.0, 1.2), (2500.0, 0.85), (3500.0, 1.1)])
def test_a_band_moves_by_the_factor(front: FrontEnd, hz: float, factor: float) -> None:
    warp = FrequencyWarp(AugmentOptions(warp_chance=1.0), front)
    moved = warp.warped(tone(hz, front), torch.tensor([factor]))
    assert peak(moved, front) == pytest.approx(hz * factor, rel=0.07)
    assert moved.shape == tone(hz, front).shape


def test_the_warp_is_continuous_rising_and_ends_where_it_was() -> None:
    hz = torch.linspace(0, 8000, 400)
    for factor in (0.7, 0.85, 1.0, 1.2, 1.4):
        source = warped_from(hz, torch.tensor([factor]), 8000.0)[0]
        assert float(source[0]) == 0 and float(source[-1]) == pytest.approx(8000, abs=1)
        steps = source.diff()
        assert bool((steps > 0).all()) and float(steps.max()) < 60
    torch.testing.assert_close(warped_from(hz, torch.ones(1), 8000.0)[0], hz)


def test_rows_have_their_own_factors_and_one_leaves_a_row_alone(speech: Path) -> None:
    from secateur.data.clip import read_clip
    from secateur.data.manifest import read_manifest

    clip = read_clip(read_manifest(speech / "free-spoken-digits" / "test.jsonl")[0], 16000)
    features = torch.from_numpy(extract(clip, FrontEnd()))[None].expand(3, -1, -1)
    warp = FrequencyWarp(AugmentOptions(warp_chance=1.0), FrontEnd())
    moved = warp.warped(features, torch.tensor([1.0, 1.15, 0.9]))
    assert torch.equal(moved[0], features[0])
    assert not torch.allclose(moved[1], features[1]) and not torch.allclose(moved[1], moved[2])
    back = warp.warped(moved[1:2], torch.tensor([1 / 1.15]))
    inner = slice(5, 60)
    correlation = np.corrcoef(back[0, :, inner].flatten(), features[0, :, inner].flatten())[0, 1]
    assert correlation > 0.97


def test_the_envelope_alone_leaves_fine_structure_where_it_is() -> None:
    front = FrontEnd()
    bins = torch.arange(80)
    fine = 0.3 * (bins % 2 * 2 - 1).float()
    features = (torch.exp(-0.5 * ((bins - 30) / 8) ** 2) + fine)[None, None].repeat(1, 5, 1)
    warp = FrequencyWarp(AugmentOptions(warp_chance=1.0, warp_kind="envelope"), front)
    moved = warp.warped(features, torch.tensor([1.2]))[0, 0]
    assert int((moved - fine).argmax()) > 32
    assert float((moved[1:] - moved[:-1]).abs()[5:75].mean()) == pytest.approx(0.6, abs=0.05)


def test_the_share_of_clips_and_the_range_are_those_of_the_options() -> None:
    front, random = FrontEnd(), torch.Generator().manual_seed(0)
    features = tone(1500.0, front)[:, :20].expand(400, -1, -1)
    warp = FrequencyWarp(AugmentOptions(warp_chance=0.3, warp=(1.1, 1.2)), front)
    moved = warp(features, random)
    changed = (moved - features).abs().amax((1, 2)) > 1e-4
    assert 0.22 < float(changed.float().mean()) < 0.38
    assert all(1500 * 1.05 < peak(row[None], front) < 1500 * 1.27 for row in moved[changed][:10])
    again = warp(features, torch.Generator().manual_seed(0))
    assert torch.equal(again, moved)


@pytest.mark.parametrize("front", [front_end("mfcc"), front_end("waveform"), replace(front_end("fbank"), deltas=1)])
def test_features_without_frequencies_are_refused(front: FrontEnd) -> None:
    with pytest.raises(SecateurError, match=r"warp_chance: .* no axis of frequencies"):
        FrequencyWarp(AugmentOptions(warp_chance=0.5), front)


def test_a_wrong_range_is_refused() -> None:
    with pytest.raises(ValueError, match="warp: expected two numbers"):
        AugmentOptions(warp=(1.2, 0.9))
