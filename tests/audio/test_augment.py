"""Augmentation of batches: what is drawn, how often, from which noise, and that a seed decides it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speech_clips import clips

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode  # noqa: E402

from secateur.audio.augment import AugmentOptions, NoiseBank, augment  # noqa: E402
from secateur.base.errors import SecateurError  # noqa: E402
from secateur.base.options import from_dict  # noqa: E402

EVERYTHING = AugmentOptions(room_chance=0.5, noise_chance=0.5, telephone_chance=0.3, gain_chance=0.5)
NOTHING = AugmentOptions(speeds=(1.0,), noise_chance=0.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def batch(speech: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Eight real clips at a tenth of their level, so that nothing meets full scale; junk in the padding."""
    found = [audio[:48000] / 10 for audio, _ in clips(speech, "speechocean762", 8)]
    audio = torch.ones(8, 50000)
    for row, clip in zip(audio, found, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    return audio, torch.tensor([len(clip) for clip in found])


@pytest.fixture(scope="module")
def noise(speech: Path) -> NoiseBank:
    """The real noises that training may use."""
    folder = speech / "noise"
    lines = [json.loads(line) for line in (folder / "noise.jsonl").read_text().splitlines()]
    return NoiseBank.read([folder / one["audio"] for one in lines if one["split"] == "train"])


def test_drawn_ratio_comes_out(batch: tuple[torch.Tensor, torch.Tensor], noise: NoiseBank) -> None:
    audio, lengths = batch
    for wanted in (0.0, 7.0, 20.0):
        options = AugmentOptions(speeds=(1.0,), noise_chance=1.0, snr_db=(wanted, wanted))
        noisy, after = augment(audio, lengths, options, seeded(), noise)
        assert torch.equal(after, lengths)
        for row, length in enumerate(lengths.tolist()):
            added = (noisy - audio)[row, :length]
            measured = 10 * torch.log10(audio[row, :length].square().mean() / added.square().mean())
            assert abs(measured - wanted) < 0.1


def test_ratios_are_spread_over_the_range(noise: NoiseBank) -> None:
    audio = torch.sin(torch.arange(4000) / 3).expand(200, -1) * 0.1
    options = AugmentOptions(speeds=(1.0,), noise_chance=1.0, snr_db=(5.0, 20.0))
    noisy, _ = augment(audio, torch.full((200,), 4000), options, seeded(), noise)
    measured = 10 * torch.log10(audio.square().mean(1) / (noisy - audio).square().mean(1))
    assert 4.9 < measured.min() < 6 and 19 < measured.max() < 20.1
    assert abs(measured.mean() - 12.5) < 1


def test_the_seed_decides_and_lengths_fit(batch: tuple[torch.Tensor, torch.Tensor], noise: NoiseBank) -> None:
    first, lengths = augment(*batch, EVERYTHING, seeded(5), noise)
    again, _ = augment(*batch, EVERYTHING, seeded(5), noise)
    other, _ = augment(*batch, EVERYTHING, seeded(6), noise)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.isfinite(first).all() and first.abs().max() <= 1
    assert int(lengths.max()) <= first.shape[1]
    ratios = (batch[1] / lengths).tolist()
    assert all(min(abs(ratio - speed) for speed in (0.9, 1.0, 1.1)) < 1e-3 for ratio in ratios)
    assert len({round(ratio, 1) for ratio in ratios}) > 1
    for row, length in zip(first, lengths.tolist(), strict=True):
        assert torch.all(row[length:] == 0)


def test_nothing_only_clears_the_padding(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    audio, lengths = augment(*batch, NOTHING, seeded())
    for row, before, length in zip(audio, batch[0], lengths.tolist(), strict=True):
        assert torch.equal(row[:length], before[:length]) and torch.all(row[length:] == 0)


@pytest.mark.parametrize("name", ["room_chance", "telephone_chance", "gain_chance", "noise_chance"])
def test_a_chance_is_the_share_of_clips(noise: NoiseBank, name: str) -> None:
    audio = 0.01 * torch.randn(400, 1000, generator=seeded(1))
    options = from_dict(AugmentOptions, {"speeds": [1.0], "noise_chance": 0.0, name: 0.25})
    changed, _ = augment(audio, torch.full((400,), 1000), options, seeded(), noise)
    assert 0.17 < (changed != audio).any(1).float().mean() < 0.33


def test_loud_rows_are_turned_down_rather_than_clipped() -> None:
    audio = torch.sin(torch.arange(8000) / 5).expand(4, -1) * torch.tensor([0.01, 0.1, 0.5, 0.9])[:, None]
    louder = AugmentOptions(speeds=(1.0,), gain_chance=1.0, gain_db=(6.0, 6.0))
    changed, _ = augment(audio, torch.full((4,), 8000), louder, seeded())
    gains = (changed[:, 100] / audio[:, 100]).tolist()
    assert gains[:3] == pytest.approx([10 ** (6 / 20)] * 3, rel=0.01)
    assert gains[3] == pytest.approx(1 / 0.9, rel=1e-3) and changed.abs().max() <= 1


def test_noise_is_repeated_when_too_short_and_all_clips_are_drawn() -> None:
    ramp = np.linspace(0.1, 1.0, 100).astype(np.float32)
    bank = NoiseBank([ramp, -ramp])
    drawn = bank.draw(64, 1000, seeded())
    assert drawn.shape == (64, 1000) and len(bank) == 2
    assert torch.equal(drawn[:, :900], drawn[:, 100:])  # period of 100 samples
    assert 16 < (drawn[:, 0] > 0).sum() < 48
    assert len(set(drawn[:, 0].abs().tolist())) > 20  # starts differ


def test_noise_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(SecateurError, match="at least one clip"):
        NoiseBank([])
    soundfile.write(tmp_path / "quiet.wav", np.zeros(16000), 16000)
    with pytest.raises(SecateurError, match=r"quiet\.wav: silent"):
        NoiseBank.read([tmp_path / "quiet.wav"])


@pytest.mark.parametrize(
    "values", [{"noise_chance": 1.5}, {"snr_db": [20, 5]}, {"snr_db": [5]}, {"speeds": []}, {"rt60": [0, 1]}]
)
def test_wrong_options_are_named(values: dict[str, object]) -> None:
    with pytest.raises(SecateurError, match=f"augment: {next(iter(values))}(: expected| must be)"):
        from_dict(AugmentOptions, values, "augment")


def test_fp32_under_autocast(batch: tuple[torch.Tensor, torch.Tensor], noise: NoiseBank) -> None:
    plain, _ = augment(*batch, EVERYTHING, seeded(), noise)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = augment(*batch, EVERYTHING, seeded(), noise)
    assert mixed.dtype == torch.float32 and torch.equal(mixed, plain)


def test_no_value_is_read_back(noise: NoiseBank) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):  # tensors without values: reading one is an error
        audio, lengths = torch.empty(8, 50000), torch.empty(8, dtype=torch.long)
        changed, after = augment(audio, lengths, EVERYTHING, seeded(), noise)
        with pytest.raises(DataDependentOutputException):
            int(after.max())
    assert changed.shape == (8, 55556) and after.shape == (8,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("where", ["cuda", "cpu"])
def test_gpu_does_not_wait(batch: tuple[torch.Tensor, torch.Tensor], noise: NoiseBank, where: str) -> None:
    bank = NoiseBank([noise.samples.numpy() / 32767], "cuda")
    audio, lengths = batch[0].cuda(), batch[1].cuda()
    generator = torch.Generator(device=where).manual_seed(0)
    augment(audio, lengths, EVERYTHING, generator, bank)  # filters are computed once
    torch.cuda.set_sync_debug_mode("error")
    try:
        changed, after = augment(audio, lengths, EVERYTHING, generator, bank)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.isfinite(changed).all() and int(after.max()) <= changed.shape[1]
