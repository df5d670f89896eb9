"""Hours transcribed an hour, against the batched pipelines of transformers and faster-whisper:
bulk.py OUT.json MODEL SPEECH WORK [key=value ...].

Recordings of `minutes` are joined from the clips of the sets (so that their text is known), and listed again and again
under other names until there are `hours` of them. All read the same files, on one GPU, with 16 bits and `beams`; the
`peers` (see `peers.py`) read the first `peer_hours`, or as many as they finish in `peer_seconds`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from peers import environment, prepared

from secateur.base.files import read_json, write_json
from secateur.data.clip import read_clip
from secateur.data.manifest import Utterance, read_manifest, write_manifest
from secateur.decode.options import DecodingOptions
from secateur.evaluate.run import evaluate
from secateur.runtime.bulk import run as job
from secateur.runtime.bulk.run import BulkSettings, transcribe_all
from secateur.runtime.bulk.worker import TranscribeSpec

RATE = 16000
PAUSE = 0.4  # s between two clips
PEERS = "transformers:64,transformers-timestamps:64,faster-whisper:32"  # and their batches, in windows


def recordings(speech: Path, work: Path, minutes: float, most: int) -> list[Utterance]:
    """Joined clips as at most `most` FLAC files of `minutes`, with their text."""
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
            if len(made) == most:
                return made
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


def peer(
    name: str, model: str, clips: list[Utterance], work: Path, batch: int, given: dict[str, str]
) -> dict[str, Any]:
    """What `peers.py` measured, or the problem it ended with."""
    manifest, out = work / "peer.jsonl", work / "peer.json"
    write_manifest(manifest, [replace(c, text="") for c in clips])
    out.unlink(missing_ok=True)
    limit, device = float(given.get("peer_seconds", 30)), given.get("device", "cuda")
    try:
        folder = prepared(name, model, work)
        words = [f"batch={batch}", f"seconds={limit}", f"device={device}", f"beams={given.get('beams', 1)}"]
        command = [
            sys.executable,
            str(Path(__file__).with_name("peers.py")),
            str(out),
            name,
            str(folder),
            str(manifest),
        ]
        done = subprocess.run(
            [*command, *words], env=environment(work / "libraries", device), timeout=2 * limit + 30, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        if done.returncode or not out.exists():
            return {"problem": f"ended with {done.returncode}: {done.stderr[-600:]}"}
        return dict(read_json(out))
    except Exception as problem:  # whatever it is, ours is measured
        return {"problem": f"{type(problem).__name__}: {problem}"[:600]}


def rate(clips: list[Utterance], texts: list[str]) -> float:
    """The word error rate of texts."""
    return float(evaluate(lambda _: texts, clips, model="bulk", data="joined", resamples=10).rate)


def main() -> int:
    out, model, speech, work = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
    given = dict(word.split("=", 1) for word in sys.argv[5:])
    hours, peer_hours = float(given.get("hours", 20)), float(given.get("peer_hours", 1.0))
    device, minutes = given.get("device", "cuda"), float(given.get("minutes", 10))
    work.mkdir(parents=True, exist_ok=True)
    base = recordings(speech, work, minutes, int(given.get("most", 1000)))
    clips = list(base)
    while sum(c.duration for c in clips) < hours * 3600:
        clips += [replace(c, id=f"{c.id}-{len(clips)}") for c in base]
    found: dict[str, Any] = {"model": model, "device": device, "recordings": len(clips), "files": len(base)}
    texts, found["ours"] = ours(model, clips, work, device, json.loads(given.get("options", "{}")))
    first = [c for i, c in enumerate(base) if sum(x.duration for x in base[: i + 1]) <= peer_hours * 3600] or base[:1]
    found["wer"] = {"ours_all": rate(base, texts[: len(base)]), "ours": rate(first, texts[: len(first)])}
    write_json(out, found)  # in case a peer fails
    for word in given.get("peers", PEERS).split(","):
        name, batch = word.split(":")
        one = peer(name, model, first, work, int(batch), given)
        done = one.pop("texts", [])
        if "problem" in one:
            found.setdefault("peer_problems", []).append({"name": name, "batch": int(batch), **one})
        else:
            same = {"wer": rate(first[: len(done)], done), "ours_wer": rate(first[: len(done)], texts[: len(done)])}
            times = {f"{kind}times": found["ours"][f"{kind}hours_an_hour"] / one["hours_an_hour"]
                     for kind in ("", "steady_")}  # fmt: skip
            found.setdefault("peers", []).append({**one, **same, **times})
        write_json(out, found)
    print({k: v for k, v in found.items() if k != "ours"} | {"ours": found["ours"]}, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
