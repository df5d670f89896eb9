"""Recordings through another recogniser, in a process of its own:
peers.py OUT.json NAME MODEL CLIPS.jsonl [key=value ...].

NAME is `transformers` (its batched pipeline, windows of 30 s), `transformers-timestamps` (the same joined by timestamp
tokens: slower, with less text lost where windows meet) or `faster-whisper` (its batched pipeline, segments of its own
voice detector). The clock starts when the model is loaded and has run once, and stops after the recording during which
`seconds` are over: hours an hour are of what was done by then.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from secateur.audio.read import read_audio
from secateur.base.files import read_json, write_json
from secateur.data.manifest import Utterance, read_manifest

RATE = 16000


def environment(folder: Path, device: str) -> dict[str, str]:
    """The environment of a peer's process: beside a GPU every core, and PyTorch's own cuBLAS under the name that
    CTranslate2 looks for.

    CTranslate2's wheel is built for CUDA 12 and opens `libcublas.so.12`; the nine functions that it calls are the same
    in cuBLAS 13. `folder` gets the link.
    """
    if device == "cpu":
        return dict(os.environ)
    env = {**os.environ, "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0)))}
    nvidia = importlib.util.find_spec("nvidia")
    roots = [Path(p) for p in (nvidia.submodule_search_locations or [] if nvidia else [])] + [Path("/usr/local")]
    for pattern in ("libcublas.so.12", "libcublas.so.13"):
        found = [p for root in roots for p in sorted([*root.glob(f"*/lib*/{pattern}"), *root.glob(f"*/{pattern}")])]
        if found:
            folder.mkdir(parents=True, exist_ok=True)
            link = folder / "libcublas.so.12"
            link.unlink(missing_ok=True)
            link.symlink_to(found[0])
            paths = [str(folder), str(found[0].parent), env.get("LD_LIBRARY_PATH", "")]
            env["LD_LIBRARY_PATH"] = ":".join(filter(None, paths))
            break
    return env


Texts = Callable[[Iterable[Any]], Iterator[str]]  # of audio (samples,)


def transformers_texts(model: str, batch: int, beams: int, device: str, timestamps: bool = False) -> Texts:
    """The pipeline of transformers: by itself it searches with five beams."""
    import torch
    from transformers import pipeline

    dtype = torch.bfloat16 if device != "cpu" else torch.float32
    pipe = pipeline(
        "automatic-speech-recognition", model=model, dtype=dtype, device=device, chunk_length_s=30, batch_size=batch
    )
    if pipe.tokenizer.pad_token_id is None:  # a batch is padded with it, and not every folder names one
        pipe.tokenizer.pad_token_id = pipe.tokenizer.eos_token_id
    how: dict[str, Any] = {"num_beams": beams}
    if pipe.model.config.vocab_size >= 51865:
        how |= {"language": "en", "task": "transcribe"}

    def texts(audio: Iterable[Any]) -> Iterator[str]:
        inputs = ({"raw": one, "sampling_rate": RATE} for one in audio)
        return (str(one["text"]) for one in pipe(inputs, generate_kwargs=how, return_timestamps=timestamps))

    return texts


def faster_whisper_texts(model: str, batch: int, beams: int, device: str) -> Texts:
    """faster-whisper's pipeline: one recording after another, the segments of each in batches."""
    if importlib.util.find_spec("av") is None:
        sys.modules["av"] = types.ModuleType("av")  # only its own file reader needs it, at import already
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    pipe = BatchedInferencePipeline(
        WhisperModel(model, device=device, compute_type="float16" if device != "cpu" else "float32")
    )

    def texts(audio: Iterable[Any]) -> Iterator[str]:
        for one in audio:
            segments, _ = pipe.transcribe(one, language="en", beam_size=beams, batch_size=batch)
            yield " ".join(segment.text.strip() for segment in segments)

    return texts


LOADERS = {
    "transformers": transformers_texts, "transformers-timestamps": partial(transformers_texts, timestamps=True),
    "faster-whisper": faster_whisper_texts,
}  # fmt: skip


def prepared(name: str, model: str, work: Path) -> Path:
    """`model` in the layout that the peer reads, written once."""
    from secateur.families.whisper.write_ctranslate2 import write_ctranslate2
    from secateur.families.whisper.write_transformers import write_transformers
    from secateur.weights.fetch import load_model

    name = name.removesuffix("-timestamps")
    if name == "transformers" and "model_type" in read_json(Path(model) / "config.json"):
        return Path(model)
    folder = work / name
    if not folder.exists():
        write = write_transformers if name == "transformers" else write_ctranslate2
        write(folder, *load_model(model))  # type: ignore[arg-type]
    return folder


def measure(texts: Texts, clips: list[Utterance], seconds: float) -> tuple[list[str], float, float]:
    """`(texts of the first recordings, hours of audio in them, seconds)`."""
    first = read_audio(clips[0].audio, RATE)[: RATE * 40]
    list(texts([first]))  # kernels are chosen
    done: list[str] = []
    began = time.perf_counter()
    for text in texts(read_audio(c.audio, RATE) for c in clips):
        done.append(text)
        if time.perf_counter() - began > seconds:
            break
    return done, sum(c.duration for c in clips[: len(done)]) / 3600, time.perf_counter() - began


def main() -> int:
    out, name, model, clips = Path(sys.argv[1]), sys.argv[2], sys.argv[3], read_manifest(Path(sys.argv[4]))
    given = dict(word.split("=", 1) for word in sys.argv[5:])
    batch, beams = int(given.get("batch", 32)), int(given.get("beams", 1))
    texts = LOADERS[name](model, batch, beams, given.get("device", "cuda"))
    done, hours, seconds = measure(texts, clips, float(given.get("seconds", 60)))
    found = {"name": name, "version": version(name.removesuffix("-timestamps")), "batch": batch, "beams": beams}
    pace = {"hours": hours, "seconds": seconds, "hours_an_hour": hours / seconds * 3600}
    write_json(out, {**found, **pace, "texts": done})
    return 0


if __name__ == "__main__":
    sys.exit(main())
