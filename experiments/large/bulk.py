"""Hours transcribed an hour, against transformers' pipeline: bulk.py OUT.json MODEL SPEECH WORK [key=value ...].

Recordings of about ten minutes are joined from the clips of the sets (so that their text is known), and listed again
and again under other names until there are `hours` of them. Both read the same files, on one GPU, in bf16; the pipeline
reads the first `peer_hours`.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from secateur.audio.read import read_audio
from secateur.base.files import read_json, write_json
from secateur.data.clip import read_clip
from secateur.data.manifest import Utterance, read_manifest, write_manifest
from secateur.decode.options import DecodingOptions
from secateur.evaluate.run import evaluate
from secateur.families.whisper.write_transformers import write_transformers
from secateur.models.checkpoint import load_checkpoint
from secateur.runtime.bulk import run as job
from secateur.runtime.bulk.run import BulkSettings, transcribe_all
from secateur.runtime.bulk.worker import TranscribeSpec

RATE = 16000
PAUSE = 0.4  # s between two clips


def recordings(speech: Path, work: Path, minutes: float) -> list[Utterance]:
    """Joined clips as FLAC files of `minutes`, with their text."""
    made: list[Utterance] = []
    parts: list[np.ndarray[Any, Any]] = []
    words: list[str] = []

    def flush() -> None:
        if parts:
            path = work / f"recording{len(made):03}.flac"
            audio = np.concatenate(parts)
            soundfile.write(path, audio, RATE, subtype="PCM_16")
            made.append(Utterance(path.stem, path, round(len(audio) / RATE, 3), " ".join(words), language="en"))
            parts.clear()
            words.clear()

    for name in ("test", "dev", "train"):
        for clip in read_manifest(speech / f"{name}.jsonl"):
            parts += [read_clip(clip, RATE), np.zeros(round(PAUSE * RATE), np.float32)]
            words.append(clip.text)
            if sum(map(len, parts)) > minutes * 60 * RATE:
                flush()
    flush()
    return made


def ours(model: str, clips: list[Utterance], work: Path, device: str, options: dict[str, Any]) -> tuple[list[str], Any]:
    """Texts and times of `transcribe --device`."""
    manifest, out = work / "in.jsonl", work / "out.jsonl"
    write_manifest(manifest, [replace(c, text="") for c in clips])
    times: list[float] = []
    store = job.Store
    began = time.perf_counter()

    class Timed(store):  # type: ignore[misc, valid-type]
        def add(self, piece: Any, rows: Any) -> None:
            super().add(piece, rows)
            times.append(time.perf_counter() - began)

    job.Store = Timed  # type: ignore[misc]
    spec = TranscribeSpec(model, DecodingOptions(language="en", **options), None, 1, device=device)
    seconds = float(sum(c.duration for c in clips))
    settings = BulkSettings(gpu_piece_seconds=max(60.0, min(7200.0, seconds / 6)))
    done = transcribe_all([str(manifest)], spec, out, settings)
    whole = time.perf_counter() - began
    texts = {u.id: u.text for u in read_manifest(out)}
    hours = seconds / 3600
    steady = hours * (len(times) - 1) / len(times) / (times[-1] - times[0]) * 3600 if len(times) > 1 else 0.0
    return [texts.get(c.id, "") for c in clips], {
        "hours": hours,
        "seconds": whole,
        "hours_an_hour": hours / whole * 3600,
        "steady_hours_an_hour": steady,
        "pieces": done["pieces"],
        "failed": done["failed"],
        "piece_times": times,
    }


def peers(model: str, clips: list[Utterance], batch: int, device: str) -> tuple[list[str], Any]:
    """Texts and times of transformers' pipeline, in windows of 30 s."""
    import torch
    import transformers
    from transformers import pipeline

    dtype = torch.bfloat16 if device != "cpu" else torch.float32
    pipe = pipeline(
        "automatic-speech-recognition", model=model, dtype=dtype, device=device, chunk_length_s=30, batch_size=batch
    )
    if pipe.tokenizer.pad_token_id is None:  # a batch is padded with it, and not every folder names one
        pipe.tokenizer.pad_token_id = pipe.tokenizer.eos_token_id
    english = pipe.model.config.vocab_size < 51865
    how = {} if english else {"generate_kwargs": {"language": "en", "task": "transcribe"}}
    pipe({"raw": np.zeros(RATE * 40, np.float32), "sampling_rate": RATE}, **how)  # kernels are chosen
    began = time.perf_counter()
    inputs = ({"raw": read_audio(c.audio, RATE), "sampling_rate": RATE} for c in clips)
    texts = [str(one["text"]) for one in pipe(inputs, **how)]
    seconds, hours = time.perf_counter() - began, sum(c.duration for c in clips) / 3600
    return texts, {"hours": hours, "seconds": seconds, "hours_an_hour": hours / seconds * 3600, "batch": batch,
                   "version": transformers.__version__}  # fmt: skip


def rate(clips: list[Utterance], texts: list[str]) -> float:
    """The word error rate of texts."""
    return float(evaluate(lambda _: texts, clips, model="bulk", data="joined", resamples=10).rate)


def main() -> int:
    out, model, speech, work = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
    given = dict(word.split("=", 1) for word in sys.argv[5:])
    hours, peer_hours = float(given.get("hours", 20)), float(given.get("peer_hours", 1.0))
    device, minutes = given.get("device", "cuda"), float(given.get("minutes", 10))
    work.mkdir(parents=True, exist_ok=True)
    base = recordings(speech, work, minutes)[: int(given.get("most", 1000))]
    clips = list(base)
    while sum(c.duration for c in clips) < hours * 3600:
        clips += [replace(c, id=f"{c.id}-{len(clips)}") for c in base]
    found: dict[str, Any] = {"model": model, "device": device, "recordings": len(clips), "files": len(base)}
    texts, found["ours"] = ours(model, clips, work, device, json.loads(given.get("options", "{}")))
    first = [c for i, c in enumerate(base) if sum(x.duration for x in base[: i + 1]) <= peer_hours * 3600] or base[:1]
    found["wer"] = {"ours_all": rate(base, texts[: len(base)]), "ours": rate(first, texts[: len(first)])}
    write_json(out, found)  # in case the peer fails
    if "model_type" not in read_json(Path(model) / "config.json"):
        network, tokenizer = load_checkpoint(model)
        model = str(write_transformers(work / "transformers", network, tokenizer))  # type: ignore[arg-type]
    if peer_hours:
        best: dict[str, Any] = {}
        for batch in map(int, given.get("batches", "64").split(",")):
            try:
                peer_texts, peer = peers(model, first, batch, device)
            except Exception as problem:  # whatever it is, ours is measured
                found.setdefault("peer_problems", []).append(f"{type(problem).__name__}: {problem}"[:500])
                continue
            peer["wer"] = rate(first, peer_texts)
            found.setdefault("peers", []).append(peer)
            best = max(best, peer, key=lambda one: one.get("hours_an_hour", 0.0))
        if best:
            found["times"] = found["ours"]["hours_an_hour"] / best["hours_an_hour"]
            found["steady_times"] = found["ours"]["steady_hours_an_hour"] / best["hours_an_hour"]
    write_json(out, found)
    print({k: v for k, v in found.items() if k != "ours"} | {"ours": found["ours"]}, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
