"""Front-ends at lower sample rates and with fewer frames: what is left has the values that it had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from secateur.audio.arrays import resample  # noqa: E402
from secateur.audio.noise_bank import NoiseBank  # noqa: E402
from secateur.audio.read import read_audio  # noqa: E402
from secateur.audio.resample_torch import resample_rows  # noqa: E402
from secateur.base.errors import SecateurError  # noqa: E402
from secateur.base.options import from_dict, to_dict  # noqa: E402
from secateur.data.manifest import read_manifest  # noqa: E402
from secateur.features.front_end import FrontEnd, extract, extractor, front_end  # noqa: E402
from secateur.features.rates import resampled, spaced  # noqa: E402
from secateur.features.specaugment import SpecAugmentOptions, fitted  # noqa: E402

KINDS = [
    FrontEnd(),
    FrontEnd(kept_bins=(3, 40, 79)),
    front_end("fbank", energy=True, deltas=1, normalise="mean"),
    front_end("mfcc", deltas=2, normalise="mean_variance"),
]


@pytest.mark.parametrize("whole", KINDS, ids=lambda f: f.kind)
def test_at_half_the_rate_what_is_left_has_its_values(speech: Path, whole: FrontEnd) -> None:
    path = read_manifest(speech / "librispeech-mini" / "dev.jsonl")[3].audio
    low = resampled(whole, 8000)
    assert (low.sample_rate, low.window, low.hop, low.frame_ms) == (8000, 200, 80, 10.0)
    assert from_dict(FrontEnd, to_dict(low)) == low and resampled(low, 8000) is low
    audio, quiet = read_audio(path, 16000), read_audio(path, 8000)
    before, after = extract(audio, whole), extract(quiet, low)
    same = before[: len(after), [whole.reads.index(one) for one in low.reads]]
    error, spread = np.sqrt(np.square(after - same).mean()), same.std()
    # A cepstrum mixes all bins: the missing ones are only guessed.
    assert error < (0.6 if whole.kind == "mfcc" else 0.04) * spread
    assert low.inputs == {"whisper": 61 if whole.kept_bins is None else 2, "fbank": 120, "mfcc": 39}[whole.kind]
    features, _ = extractor(low)(torch.from_numpy(quiet)[None], torch.tensor([len(quiet)]))
    assert np.abs(features[0].numpy() - after).max() < 1e-4


def test_frames_further_apart_are_every_second_frame(speech: Path) -> None:
    audio = read_audio(read_manifest(speech / "librispeech-mini" / "dev.jsonl")[3].audio, 16000)[: 320 * 100]
    found, every = extract(audio, spaced(FrontEnd(), 20)), extract(audio, FrontEnd())[::2]
    above = every > every.min()  # the floor is that of the loudest frame, which may be another one
    assert len(found) == 100 and above.mean() > 0.8 and np.abs(found - every)[above].max() < 1e-5
    assert spaced(FrontEnd(), 12.5).hop == 200 and spaced(resampled(FrontEnd(), 8000), 15).hop == 120


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: resampled(FrontEnd(), 22050), "22050 Hz is not below the model's 16000"),
        (lambda: resampled(FrontEnd(kept_bins=(78, 79)), 8000), "none of the bins that the model reads"),
        (lambda: resampled(FrontEnd(), 20), "nothing is left"),
        (lambda: spaced(FrontEnd(), 5), "below the model's 10"),
        (lambda: spaced(FrontEnd(), 40), "gaps between frames of 25 ms"),
        (lambda: front_end("whisper", 8000, high_hz=8000.0), "do not fit 0 to 4000 Hz"),
        (lambda: front_end("whisper", 8000, high_hz=8000.0, kept_bins=(0, 70)), "do not fit 0 to 4000 Hz"),
    ],
)
def test_the_impossible_is_one_line(change: object, message: str) -> None:
    with pytest.raises(SecateurError, match=message):
        change()  # type: ignore[operator]


def test_masks_hide_as_large_a_share_of_what_is_left() -> None:
    usual = SpecAugmentOptions()
    assert fitted(usual, FrontEnd()) == usual == fitted(usual, front_end("mfcc", deltas=2))
    small = fitted(usual, spaced(FrontEnd(kept_bins=tuple(range(40))), 20))
    assert (small.time_width, small.frequency_width) == (10, 8)


@pytest.mark.parametrize("rate", [8000, 11025])
def test_a_teacher_hears_what_the_student_hears(speech: Path, rate: int) -> None:
    path = read_manifest(speech / "librispeech-mini" / "dev.jsonl")[3].audio
    quiet = read_audio(path, rate)
    rows = torch.zeros(2, len(quiet) + 999)
    rows[0, : len(quiet)], rows[1, :5000] = torch.from_numpy(quiet), torch.from_numpy(quiet[:5000])
    found, lengths = resample_rows(rows, torch.tensor([len(quiet), 5000]), rate, 16000)
    wanted = resample(quiet, rate, 16000)
    n = min(len(wanted), int(lengths[0])) - 200
    assert abs(len(wanted) - int(lengths[0])) <= 2 and int(lengths[1]) == 5000 * 16000 // rate
    assert np.abs(found[0, 200:n].numpy() - wanted[200:n]).max() < 0.02 * np.abs(wanted).max()
    assert not found[1, int(lengths[1]) :].any()


def test_noise_follows_the_rate() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000).astype(np.float32)
    bank = NoiseBank([tone, tone[:8000]])
    low = bank.at(8000)
    assert low.lengths.tolist() == [8000, 4000] and low.at(8000) is low and bank.at(16000) is bank
    loudest = np.abs(np.fft.rfft(low.samples[:8000].numpy())).argmax()
    assert loudest == 440
