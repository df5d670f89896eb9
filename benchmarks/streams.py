"""Many WebSocket streams at once against one server on this machine: delays, memory, and that nothing is lost.

    python benchmarks/streams.py --streams 1 10 25 50 --out benchmarks/results/streams.json

Starts `secateur serve` on a free loopback port, then that many clients, each sending three recordings of its own
(speechocean762 test) with pauses of two seconds, in real time, a tenth of a second at a time; starts are spread over
eight seconds. Delay of a final text: from when its last word was sent until it is there, the 0.6 s of silence that end
an utterance included. `lost` counts streams that ended without all their audio acknowledged, or whose words differ in
number from those of the same clips alone by more than half. Emission latency of a word, from its end in the recording
(word times of the final text): until it is first shown, and until no later text changes it or a word before it.
Memory is the server's (VmHWM: the most it ever had; VmRSS: at the end).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import websockets
from recorded import how

from secateur.audio.read import read_audio
from secateur.base.errors import SecateurError
from secateur.base.files import write_json
from secateur.runtime.recogniser import Recogniser

BLOCK = 0.1  # seconds a message
RATE = 16000


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def memory(pid: int) -> dict[str, float]:
    """MB that a process has, and had at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmHWM", "VmRSS"))}
    return {name: round(int(value) / 1024, 1) for name, value in found.items()}


def cpu(pid: int) -> float:
    """Seconds of computing that a process has used, its start included."""
    values = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


async def stream(port: int, samples: np.ndarray[Any, Any], wait: float) -> dict[str, Any]:
    """One client in real time."""
    await asyncio.sleep(wait)
    data = (samples * 32767).astype("<i2").tobytes()
    size = round(BLOCK * RATE) * 2
    partials, finals, delays, latencies = 0, [], [], []
    shown: list[tuple[float, list[str]]] = []  # of the utterance that is being spoken
    seconds, begun = None, 0.0
    async with websockets.connect(f"ws://127.0.0.1:{port}/v1/listen", ping_interval=None) as client:
        await client.send(json.dumps({"type": "start", "sample_rate": RATE}))

        async def send() -> None:
            nonlocal begun
            begun = time.perf_counter()
            for number, at in enumerate(range(0, len(data), size)):
                await asyncio.sleep(max(0.0, begun + number * BLOCK - time.perf_counter()))
                await client.send(data[at : at + size])
            await client.send(json.dumps({"type": "end"}))

        sending = asyncio.ensure_future(send())
        async for message in client:
            event, now = json.loads(message), time.perf_counter() - begun
            if event["type"] == "partial":
                partials += 1
                shown.append((now, event["text"].split()))
            elif event["type"] == "final":
                finals.append(event["text"])
                delays.append(now - event["end"])
                latencies += emission_latencies([*shown, (now, event["text"].split())], event["words"])
                shown = []
            elif event["type"] == "done":
                seconds = event["seconds"]
        await sending
    whole = seconds is not None and abs(seconds - len(samples) / RATE) < 0.01
    return {
        "text": " ".join(finals), "partials": partials, "delays": delays, "latencies": latencies, "whole": whole,
    }  # fmt: skip


def emission_latencies(shown: list[tuple[float, list[str]]], words: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Seconds from each word's end until it is first shown in its place, and until it stands.

    `shown` is when each text of an utterance came, the last is final. A word stands from the first text on after which
    every one begins with the final text as far as that word.
    """
    final = shown[-1][1]
    assert len(final) == len(words), (final, words)
    latencies = []
    for number, word in enumerate(words, 1):
        first = next(when for when, text in shown if text[number - 1 : number] == final[number - 1 : number])
        since = shown[-1][0]
        for when, text in reversed(shown):
            if text[:number] != final[:number]:
                break
            since = when
        latencies.append((first - word["end"], since - word["end"]))
    return latencies


async def load(port: int, clips: list[Any], streams: int) -> list[dict[str, Any]]:
    """So many clients, their starts spread over eight seconds."""
    return await asyncio.gather(
        *(stream(port, clips[i % len(clips)], 8.0 * i / streams) for i in range(streams)), return_exceptions=False
    )


def measure(clips: list[Any], alone: list[str], streams: int, detector: str) -> dict[str, Any]:
    """One row: a fresh server, one load."""
    port = free_port()
    options = ["--port", str(port), "--assistant", "", "--detector", detector]
    command = [sys.executable, "-m", "secateur", "serve", *options]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        begun = time.perf_counter()
        found = asyncio.run(asyncio.wait_for(load(port, clips, streams), 300))
        wall = time.perf_counter() - begun
        kept, used = memory(process.pid), cpu(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)
    delays = np.array([delay for one in found for delay in one["delays"]])
    latencies = np.array([latency for one in found for latency in one["latencies"]])
    lost = 0
    for i, one in enumerate(found):
        wanted = len(alone[i % len(clips)].split())
        lost += not one["whole"] or abs(len(one["text"].split()) - wanted) > max(2, wanted / 2)
    audio = sum(len(clips[i % len(clips)]) for i in range(streams)) / RATE
    return {
        "streams": streams, "audio_s": round(audio, 1), "wall_s": round(wall, 1), "lost": lost,
        "delay_median_s": round(float(np.median(delays)), 2), "delay_95_s": round(float(np.percentile(delays, 95)), 2),
        "delay_max_s": round(float(delays.max()), 2), "words": len(latencies),
        **{
            f"{name}_{what}_s": round(float(np.percentile(latencies[:, column], share)), 2)
            for column, name in enumerate(("shown", "standing")) for what, share in (("median", 50), ("95", 95))
        },
        "partials_a_stream": round(sum(one["partials"] for one in found) / streams, 1),
        "cpu_a_second_of_audio": round(used / audio, 3),
        "memory_MB": kept["VmRSS"], "memory_most_MB": kept["VmHWM"],
    }  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 10, 25, 50])
    parser.add_argument("--detector", default="energy", help="of speech: energy, or silero at 35 ms a second of audio")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SECATEUR_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    folder = options.data / "speechocean762"
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text(encoding="utf-8").splitlines()[::29]][:50]
    singles = [read_audio(folder / row["audio"], RATE) for row in rows]
    texts = [found.text for found in Recogniser.load(threads=1).transcribe_batch(singles)]
    faint = (1e-4 * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32)
    thirds = [[(i + k) % len(rows) for k in (0, 7, 19)] for i in range(len(rows))]
    clips = [np.concatenate([part for k in three for part in (singles[k], faint)]) for three in thirds]
    alone = [" ".join(texts[k] for k in three) for three in thirds]
    table = []
    for streams in options.streams:
        table.append(measure(clips, alone, streams, options.detector))
        print(table[-1], flush=True)
    if options.out:
        write_json(options.out, {"how": how(), "detector": options.detector, "rows": table})


if __name__ == "__main__":
    try:
        main()
    except SecateurError as problem:
        sys.exit(f"streams.py: {problem}")
