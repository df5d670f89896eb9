"""Where speech begins and ends, and the tone of a room, on clips whose borders are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from secateur.audio.tone_torch import edges, levels, quietest, room_tone  # noqa: E402

RATE = 16000


def spoken(before: float, seconds: float, after: float, floor: float, seed: int = 0) -> np.ndarray[Any, Any]:
    """A buzz of syllables between two stretches of hiss at `floor` (rms)."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    voice = 0.2 * np.sin(2 * np.pi * 150 * time) * (0.6 + 0.4 * np.cos(2 * np.pi * 4 * time))
    sound = np.concatenate([np.zeros(int(before * RATE)), voice, np.zeros(int(after * RATE))])
    return (sound + floor * random.standard_normal(len(sound))).astype(np.float32)


def padded(clips: list[np.ndarray[Any, Any]]) -> tuple[Any, Any]:
    lengths = torch.tensor([len(clip) for clip in clips])
    audio = torch.zeros(len(clips), int(lengths.max()))
    for row, clip in zip(audio, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    return audio, lengths


def test_edges_are_where_speech_begins_and_ends_at_any_noise_floor() -> None:
    made = [(0.5, 1.0, 0.3, 0.001), (0.0, 2.0, 1.2, 0.02), (1.4, 0.4, 0.0, 0.0), (0.06, 3.0, 0.1, 0.005)]
    found = edges(*padded([spoken(*one) for one in made]), RATE) / RATE
    for (before, seconds, _, _), (start, end) in zip(made, found.tolist(), strict=True):
        assert abs(start - before) <= 0.06 and abs(end - before - seconds) <= 0.06


def test_padding_and_neighbours_do_not_move_edges() -> None:
    clips = [spoken(0.3, 0.7, 0.5, 0.003, seed) for seed in range(3)] + [spoken(0.2, 5.0, 0.2, 0.003)]
    together = edges(*padded(clips), RATE)
    assert all(torch.equal(edges(*padded([clip]), RATE)[0], row) for clip, row in zip(clips, together, strict=True))
    hiss = 0.01 * torch.ones(1, RATE)  # nothing stands out: speech from end to end
    assert edges(hiss, torch.tensor([RATE]), RATE).tolist() == [[0, RATE]]


def test_room_tone_is_as_loud_as_the_clips_pause_and_has_no_period() -> None:
    clips = [spoken(0.6, 1.0, 0.6, floor, seed) for seed, floor in enumerate((0.002, 0.02))]
    audio, lengths = padded(clips)
    starts = quietest(audio, lengths, RATE) / RATE
    assert all(start <= 0.6 or start >= 1.5 for start in starts.tolist())
    sources = torch.tensor([[0] * 100, [1] * 100])
    tone = room_tone(audio, lengths, sources, RATE, torch.Generator().manual_seed(0))
    rms = tone[:, RATE:].square().mean(1).sqrt().tolist()
    assert rms == pytest.approx([0.002, 0.02], rel=0.2)
    db, _ = levels(tone, torch.tensor([tone.shape[1]] * 2), RATE)
    assert (db[:, 5:-5].std(1) < 1.5).all()
    spectrum = torch.fft.rfft(tone[1, RATE : 3 * RATE]).abs()
    assert float(spectrum.max()) < 6 * float(spectrum.mean())  # no line stands out
