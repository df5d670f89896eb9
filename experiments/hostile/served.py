"""Spoilt requests against a real `secateur serve`: HTTP uploads, WebSocket frames, Wyoming events.

    python experiments/hostile/served.py --inputs 1000 --out experiments/hostile/results/served.json

Each is a valid request of one protocol, spoilt at random and sent over a connection of its own. Handled is an answer
(text, or an error that is not the server's own), or a closed connection; not handled are a status of 500, a connection
that is neither answered nor closed within `SECONDS`, and at the end a server that does not answer a good request with
its text, has a traceback in its log, or has grown by more than `MEGABYTES`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import platform
import random
import struct
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "hostile"), str(ROOT / "tests" / "serve"), str(ROOT / "benchmarks")]

from mutate import EDITS, spoil  # noqa: E402
from server import Running, serving  # noqa: E402
from streams import memory  # noqa: E402

from secateur.base.files import write_json  # noqa: E402

SECONDS, MEGABYTES, TOGETHER = 30, 300, 24
FAULTS = (b"HTTP/1.1 500",)


def upload() -> bytes:
    """A short sound as OpenAI's clients send it."""
    sound = io.BytesIO()
    wave = 0.1 * np.random.default_rng(0).standard_normal(3200)
    soundfile.write(sound, wave, 16000, format="WAV", subtype="PCM_16")
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ndefault\r\n'
    form += b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + sound.getvalue()
    form += b"\r\n--b--\r\n"
    head = "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    head += f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(form)}\r\n\r\n"
    return head.encode() + form


def command() -> bytes:
    """A typed command for the assistant."""
    body = json.dumps({"text": "turn on the kitchen light"})
    head = f"POST /v1/assistant HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    return (head + f"Content-Type: application/json\r\n\r\n{body}").encode()


def frames() -> bytes:
    """A stream: start, a fifth of a second of sound, end."""

    def frame(opcode: int, payload: bytes) -> bytes:
        size = len(payload)
        length = struct.pack("!B", 0x80 | size) if size < 126 else struct.pack("!BH", 0xFE, size)
        return bytes([0x80 | opcode]) + length + bytes(4) + payload

    shake = b"GET /v1/listen HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    shake += b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    sound = (3000 * np.random.default_rng(0).standard_normal(3200)).astype("<i2").tobytes()
    start = json.dumps({"type": "start", "sample_rate": 16000, "language": "en", "partials": True}).encode()
    return shake + frame(1, start) + frame(2, sound) + frame(1, b'{"type": "end"}')


def events() -> bytes:
    """A command over Wyoming."""
    form = {"rate": 16000, "width": 2, "channels": 1}
    sound = (3000 * np.random.default_rng(0).standard_normal(3200)).astype("<i2").tobytes()
    asked = {"type": "transcribe", "data": {"language": "en"}}
    lines = [{"type": "describe"}, asked, {"type": "audio-start", "data": form}]
    said = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    chunk = {"type": "audio-chunk", "data": form, "payload_length": len(sound)}
    return said + json.dumps(chunk).encode() + b"\n" + sound + b'{"type": "audio-stop"}\n'


async def tried(port: int, data: bytes) -> str:
    """What came of one request."""
    try:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            answer = b""
            with contextlib.suppress(ConnectionError):
                writer.write(data)
                await writer.drain()
                while piece := await reader.read(65536):
                    answer += piece
            writer.close()
    except TimeoutError:
        return "neither answered nor closed"
    if answer.startswith(FAULTS):
        return "the server's own error"
    return "answered" if answer else "closed"


async def many(port: int, seed: str, valid: bytes, count: int) -> tuple[Counter[str], dict[str, str]]:
    """Outcomes of so many spoilt requests, some at a time."""
    counts: Counter[str] = Counter()
    failures: dict[str, str] = {}
    turns = asyncio.Semaphore(TOGETHER)

    async def one(number: int) -> None:
        dice = random.Random(f"{seed} {number}")
        edits = [
            (dice.choice(EDITS), dice.random() * dice.choice((0.1, 1.0)), dice.getrandbits(32))
            for _ in range(dice.choice((1, 1, 2, 3, 5)))
        ]
        async with turns:
            found = await tried(port, spoil(valid, edits))
        counts[found] += 1
        if found not in ("answered", "closed"):
            failures.setdefault(found, f"{seed} {number}")

    await asyncio.gather(*(one(i) for i in range(count)))
    return counts, failures


def measure(running: Running, count: int, seed: int) -> list[dict[str, Any]]:
    """A row a protocol."""
    rows = []
    protocols = {"HTTP upload": upload, "HTTP command": command, "WebSocket": frames, "Wyoming": events}
    for name, make in protocols.items():
        before = memory(running.process.pid)["VmRSS"]
        port = running.wyoming if name == "Wyoming" else running.port
        counts, failures = asyncio.run(many(port, f"{name} {seed}", make(), count))
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{running.url}/healthz", timeout=10).close()
        good = asyncio.run(tried(running.port, upload()))
        grown = memory(running.process.pid)["VmRSS"] - before
        if good != "answered":
            failures["a good request afterwards"] = good
        if grown > MEGABYTES:
            failures["memory"] = f"{grown:.0f} MB more"
        failed = sum(n for outcome, n in counts.items() if outcome not in ("answered", "closed"))
        rows.append({"kind": name, "tried": count, "read": counts["answered"], "refused": counts["closed"],
                     "failed": failed + len(failures) * (not failed), "grown_MB": round(grown, 1),
                     "failures": [f"{k}: {v}" for k, v in failures.items()]})  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Spoil, send, count, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000, help="of each protocol")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    limits = ["--limits.patience", "2", "--limits.idle", "2", "--limits.timeout", "20"]
    with serving("--detector", "energy", *limits) as running:
        rows = measure(running, options.inputs, options.seed)
        code = running.stop(timeout=60)
        log = running.said()
    faults = log.count("Traceback")
    if code or faults:
        rows[-1]["failed"] += 1
        rows[-1]["failures"].append(f"exit code {code}, {faults} tracebacks: {log[-1500:]}")
        print(log[-3000:])
    if options.out:
        write_json(options.out, {"python": platform.python_version(), "tracebacks": faults, "rows": rows})
    sys.exit(any(row["failed"] for row in rows))


if __name__ == "__main__":
    main()
