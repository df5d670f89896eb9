"""One recogniser in its own process, for `runtime.py`: a line of JSON in (an audio array's file), a line out.

    python recognise.py secateur FOLDER THREADS
    python recognise.py faster-whisper FOLDER THREADS     (any interpreter that has faster-whisper and numpy)

Each answer is {"text", "seconds"}: the time from samples in memory to text, features included.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Transcribe = Callable[[Any], str]


def secateur(folder: str, threads: int) -> Transcribe:
    """Greedy, one attempt, no timestamps."""
    from secateur.models.decoding.options import DecodingOptions
    from secateur.serve.recogniser import Recogniser

    recogniser = Recogniser.load(folder, threads=threads)
    options = DecodingOptions(language="en", timestamps=False, temperatures=(0.0,))
    return lambda samples: recogniser.transcribe(samples, options).text


def faster_whisper(folder: str, threads: int) -> Transcribe:
    """The same: greedy, one attempt, no timestamps; int8, its fastest type on a CPU."""
    from faster_whisper import WhisperModel

    model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads)

    def transcribe(samples: Any) -> str:
        segments, _ = model.transcribe(
            samples, language="en", beam_size=1, temperature=0.0, without_timestamps=True,
            condition_on_previous_text=False,
        )  # fmt: skip
        return " ".join(segment.text.strip() for segment in segments)

    return transcribe


def main() -> None:
    """Answer until standard input ends."""
    kind, folder, threads = sys.argv[1:]
    start = time.perf_counter()
    transcribe = {"secateur": secateur, "faster-whisper": faster_whisper}[kind](folder, int(threads))
    load = time.perf_counter() - start
    transcribe(np.zeros(16000, np.float32))  # the first run allocates
    answer = {"load": load}
    print(json.dumps(answer), flush=True)
    for line in sys.stdin:
        samples = np.load(json.loads(line))
        start = time.perf_counter()
        text = transcribe(samples)
        print(json.dumps({"text": text, "seconds": time.perf_counter() - start}), flush=True)


if __name__ == "__main__":
    main()
