"""The assistant: hears spoken digits in a recording and answers. It needs the exported model, numpy and onnxruntime.

python examples/founding/assistant.py runs/founding/pruned.onnx recording.wav
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from secateur.audio.arrays import resample
from secateur.audio.denoise import denoise
from secateur.audio.read import read_audio
from secateur.base.files import read_json
from secateur.features.front_end import extract, front_end
from secateur.features.rates import resampled

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NOTHING = len(WORDS)  # the eleventh class: a noise that is no digit
RATE = 8000  # Hz
FRONT_END = front_end("mfcc", RATE, deltas=2)  # 13 coefficients and two derivatives, every 10 ms
FRAMES = 64  # shorter words are padded, of longer ones the middle is taken

# Chosen on the development strings.
HOP = RATE // 100  # loudness is measured every 10 ms
RANGE_DB = 16.0  # below the loudest speech it is a pause
BRIDGE, SHORTEST, MARGIN = 10, 8, 4  # x 10 ms: a stop consonant inside a word, the shortest word, room around it
LEVEL = 0.1  # every word is brought to this root mean square

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Inputs:
    """What a network reads of a word; it is kept beside an exported one that reads less than all."""

    rate: int = RATE  # Hz, that words are brought to: half of it is the highest frequency that is left
    columns: tuple[int, ...] | None = None  # of the 39 features a frame; none: all


def named(columns: tuple[int, ...] | None) -> str:
    """Features in words.

    >>> named((0, 1, 14, 38))
    'mfcc 0, 1; deltas 1; delta-deltas 12'
    """
    if columns is None:
        return f"all {FRONT_END.inputs}"
    kinds = ("mfcc", "deltas", "delta-deltas")
    parts = [
        (kind, [c % FRONT_END.statics for c in columns if c // FRONT_END.statics == n]) for n, kind in enumerate(kinds)
    ]
    return "; ".join(f"{kind} {', '.join(map(str, numbers))}" for kind, numbers in parts if numbers)


def inputs_file(path: str | Path) -> Path:
    """Where the inputs of an exported network are."""
    return Path(path).with_suffix(".inputs.json")


def cleaned(audio: Floats) -> Floats:
    """A recording (samples,) at 8 kHz with steady noise turned down."""
    return denoise(audio, RATE)


def spoken(audio: Floats) -> list[tuple[int, int]]:
    """First and last sample of every stretch that is louder than the pauses: one a word, if the speaker pauses."""
    frames = len(audio) // HOP
    if frames == 0:
        return []
    power = np.square(audio[: frames * HOP].reshape(frames, HOP)).mean(1)
    power = np.convolve(power, np.full(3, 1 / 3), mode="same")
    level = 10 * np.log10(power + 1e-12)
    loud = level > np.percentile(level, 95) - RANGE_DB
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(int)))
    stretches: list[list[int]] = []
    for start, end in edges.reshape(-1, 2).tolist():
        if stretches and start - stretches[-1][1] <= BRIDGE:
            stretches[-1][1] = end
        else:
            stretches.append([start, end])
    return [
        (max(0, start - MARGIN) * HOP, min(frames, end + MARGIN) * HOP)
        for start, end in stretches
        if end - start >= SHORTEST
    ]


def features(word: Floats, rate: int = RATE, frames: int = FRAMES) -> Floats:
    """MFCC (frames, 39) of one word (samples,) at 8 kHz, in the middle of the window; at a lower `rate` without what
    is above half of it."""
    level = float(np.sqrt(np.mean(np.square(word)))) + 1e-6
    word = resample(word * np.float32(LEVEL / level), RATE, rate)
    found = extract(word, resampled(FRONT_END, rate))
    start = max(0, (len(found) - frames) // 2)
    found = found[start : start + frames]
    before = (frames - len(found)) // 2
    return np.pad(found, ((before, frames - len(found) - before), (0, 0)))


@dataclass(frozen=True)
class Model:
    """An exported network: features (batch, 64, 39) to probabilities (batch, 11)."""

    run: Callable[[Floats], Floats]
    inputs: Inputs = field(default_factory=Inputs)

    def __call__(self, batch: Floats) -> Floats:
        """All features are given; what the network does not read is left out here."""
        return self.run(batch if self.inputs.columns is None else batch[..., list(self.inputs.columns)])


def load(path: str | Path) -> Model:
    """The exported model, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    kept = read_json(inputs_file(path)) if inputs_file(path).exists() else None
    inputs = Inputs() if kept is None else Inputs(kept["rate"], tuple(kept["columns"]) if kept["columns"] else None)
    return Model(lambda batch: session.run(None, {name: batch})[0], inputs)


def words_in(audio: Floats, rate: int = RATE) -> Floats:
    """Features (words, 64, 39) of every stretch of speech in a cleaned recording (samples,) at 8 kHz."""
    words = [features(audio[start:end], rate) for start, end in spoken(audio)]
    return np.stack(words) if words else np.zeros((0, FRAMES, FRONT_END.inputs), np.float32)


def digits(model: Model, words: Floats) -> list[int]:
    """The digits among words (words, 64, 39), in the order they were spoken."""
    return [int(found) for found in model(words).argmax(1) if found != NOTHING] if len(words) else []


def answer(found: list[int]) -> str:
    """What the assistant says."""
    if not found:
        return "I did not hear a digit."
    heard = " ".join(WORDS[digit] for digit in found)
    if len(found) == 1:
        return f"You said {heard}."
    return f"You said {heard}: the number {''.join(map(str, found))}. Its digits add up to {sum(found)}."


def main() -> None:
    """Answer to every recording on the command line."""
    model = load(sys.argv[1])
    for path in sys.argv[2:]:
        print(answer(digits(model, words_in(cleaned(read_audio(path, RATE)), model.inputs.rate))))


if __name__ == "__main__":
    main()
