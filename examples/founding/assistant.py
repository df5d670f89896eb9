"""The assistant: hears spoken digits in a recording and answers. It needs the exported model, numpy and onnxruntime.

python examples/founding/assistant.py runs/founding/pruned.onnx recording.wav
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from secateur.audio.denoise import denoise
from secateur.audio.read import read_audio
from secateur.features.extract import extract
from secateur.features.front_end import front_end

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


def features(word: Floats) -> Floats:
    """MFCC (64, 39) of one word (samples,), in the middle of the window."""
    level = float(np.sqrt(np.mean(np.square(word)))) + 1e-6
    found = extract(word * np.float32(LEVEL / level), FRONT_END)
    start = max(0, (len(found) - FRAMES) // 2)
    found = found[start : start + FRAMES]
    before = (FRAMES - len(found)) // 2
    return np.pad(found, ((before, FRAMES - len(found) - before), (0, 0)))


Model = Callable[[Floats], Floats]  # features (batch, 64, 39) to probabilities (batch, 11)


def load(path: str | Path) -> Model:
    """The exported model, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})[0]


def words_in(audio: Floats) -> Floats:
    """Features (words, 64, 39) of every stretch of speech in a cleaned recording (samples,) at 8 kHz."""
    words = [features(audio[start:end]) for start, end in spoken(audio)]
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
        print(answer(digits(model, words_in(cleaned(read_audio(path, RATE))))))


if __name__ == "__main__":
    main()
