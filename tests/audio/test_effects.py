"""Effects on padded batches, measured: speed, signal-to-noise ratio, decay time of a room, telephone band."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soxr
from speech_clips import clips

torch = pytest.importorskip("torch")

from secateur.audio.effects import add_noise, change_speed, power, reverberate, telephone  # noqa: E402

RATE = 16000


def tone(hz: float, seconds: float = 1.0) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hz * torch.arange(int(seconds * RATE)) / RATE)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def batch(speech: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Six real clips of different lengths, junk in the padding."""
    found = [audio for audio, _ in clips(speech, "speechocean762", 6)]
    audio = torch.randn(6, max(map(len, found)), generator=seeded())
    for row, clip in zip(audio, found, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    return audio, torch.tensor([len(clip) for clip in found])


def assert_padding_is_zero(audio: torch.Tensor, lengths: torch.Tensor) -> None:
    for row, length in zip(audio, lengths.tolist(), strict=True):
        assert torch.all(row[length:] == 0)


@pytest.mark.parametrize("speed", [0.9, 1.1, 0.95, 1.25])
def test_speed_is_that_of_a_good_resampler(batch: tuple[torch.Tensor, torch.Tensor], speed: float) -> None:
    audio, lengths = batch
    changed, new = change_speed(audio, lengths, (speed,), torch.zeros(6, dtype=torch.long))
    assert_padding_is_zero(changed, new)
    for before, length, after, new_length in zip(audio, lengths.tolist(), changed, new.tolist(), strict=True):
        assert new_length == int(np.ceil(round(length / speed, 6)))
        # Played faster by s: as if recorded at s times the rate.
        expected = soxr.resample(before[:length].numpy(), speed * RATE, RATE)
        n = min(len(expected), new_length)
        error, whole = (np.abs(np.fft.rfft(x)) ** 2 for x in (after[:n].numpy() - expected[:n], expected[:n]))
        # The filters roll off differently in the last tenth below the lower Nyquist frequency; the rest must agree.
        band = int(0.9 * min(1.0, speed) * len(error))
        assert 10 * np.log10(error[:band].sum() / whole.sum()) < -60


def test_speed_moves_pitch_without_aliases() -> None:
    rows = torch.stack([tone(1000), tone(1000), tone(7800)])
    changed, lengths = change_speed(rows, torch.full((3,), RATE), (0.9, 1.1), torch.tensor([0, 1, 1]))
    assert lengths.tolist() == [17778, 14546, 14546]
    for row, hz in ((0, 900), (1, 1100)):
        heard = changed[row, : lengths[row]]
        assert abs(int(torch.fft.rfft(heard, RATE * 2).abs().argmax()) / 2 - hz) <= 1
    assert power(changed, lengths)[2] < 1e-4  # 8580 Hz does not exist at this rate


def test_speeds_are_chosen_row_by_row(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    audio, lengths = batch
    speeds = (0.9, 1.0, 1.1)
    changed, new = change_speed(audio, lengths, speeds, torch.tensor([0, 1, 2, 0, 1, 2]))
    for row in range(6):
        alone, length = change_speed(audio[row : row + 1], lengths[row : row + 1], speeds, torch.tensor([row % 3]))
        assert new[row] == length[0]
        assert torch.allclose(changed[row, : length[0]], alone[0, : length[0]], atol=1e-6)
    assert torch.equal(changed[1, : lengths[1]], audio[1, : lengths[1]])  # speed 1 is left alone


def test_signal_to_noise_ratio_is_measured_on_real_samples(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    audio, lengths = batch
    noise = torch.randn(audio.shape, generator=seeded(1)) * torch.linspace(0.1, 3, audio.shape[1])
    wanted = torch.tensor([-5.0, 0.0, 5.0, 10.0, 20.0, 40.0])
    noisy = add_noise(audio * 1.0, lengths, noise, wanted)
    for row, length in enumerate(lengths.tolist()):
        clean = audio[row, :length].double()
        added = noisy[row, :length].double() - clean
        measured = 10 * torch.log10(clean.square().mean() / added.square().mean())
        assert abs(measured - wanted[row]) < 0.1
        assert torch.equal(noisy[row, length:], audio[row, length:])


def test_silence_and_silent_noise_stay_finite() -> None:
    audio = torch.stack([torch.zeros(RATE), tone(440)])
    noise = torch.stack([tone(100), torch.zeros(RATE)])
    noisy = add_noise(audio, torch.full((2,), RATE), noise, torch.zeros(2))
    assert torch.equal(noisy, audio)


def test_room_decays_by_60_db_in_the_time_asked_for() -> None:
    click = torch.zeros(3, RATE)
    click[:, 1000] = 1.0
    wanted = torch.tensor([0.2, 0.4, 0.6])
    tail = torch.randn(3, RATE, generator=seeded())
    heard = reverberate(click, torch.full((3,), RATE), wanted, torch.full((3,), 3.0), tail, RATE)
    assert heard.abs().argmax(1).tolist() == [1000] * 3  # the direct sound stays in place
    assert torch.all(heard[:, :1000].abs() < 1e-5)  # and nothing comes before it
    for row in range(3):
        direct, rest = heard[row, 1000].square(), heard[row, 1001:].square()
        assert abs(10 * torch.log10(direct / rest.sum()) - 3.0) < 0.1
        left = 10 * torch.log10(rest.flip(0).cumsum(0).flip(0) / rest.sum())  # Schroeder's integral
        slope = float((left < -25).int().argmax() - (left < -5).int().argmax()) / RATE / 20 * 60
        assert abs(slope / float(wanted[row]) - 1) < 0.15


def test_room_keeps_length_and_power(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    audio, lengths = batch
    tail = torch.randn(6, 8000, generator=seeded())
    heard = reverberate(audio, lengths, torch.full((6,), 0.4), torch.full((6,), 6.0), tail, RATE)
    assert heard.shape == audio.shape
    assert_padding_is_zero(heard, lengths)
    assert torch.allclose(power(heard, lengths), power(audio, lengths), rtol=1e-4)
    assert torch.nn.functional.cosine_similarity(heard[0, : lengths[0]], audio[0, : lengths[0]], dim=0) > 0.7


def test_telephone_band(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    heard = telephone(torch.stack([tone(f) for f in (60, 1000, 3000, 4200, 7000)]), torch.full((5,), RATE), RATE)
    gain = (10 * torch.log10(heard[:, 2000:-2000].square().mean(1) * 2)).tolist()
    assert gain[0] < -30 and gain[3] < -40 and gain[4] < -40
    assert abs(gain[1]) < 0.1 and abs(gain[2]) < 0.1
    assert torch.allclose(heard[1, 2000:-2000], tone(1000)[2000:-2000], atol=0.01)  # no delay
    audio, lengths = batch
    assert_padding_is_zero(telephone(audio, lengths, RATE), lengths)
