"""A well-behaved client while others misbehave: is it served, how long does it wait, what does the server's memory do.

    python benchmarks/abuse.py --out benchmarks/results/abuse.json

One `secateur serve` a scene, with its default limits and the bundled model, on this machine. The client sends a clip of
some seconds (speechocean762 test) again and again, and hears a recording over the WebSocket in real time. First in
peace, then beside the abusers, who run in a process of their own and come back whenever they are sent away, then in
peace again; `times` is the median wait beside them over the median wait in peace. `failed` counts answers that are not
the text that the same clip has in peace.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import websockets
from recorded import how
from streams import free_port, memory, stream

from secateur.audio.read import read_audio
from secateur.base.errors import SecateurError
from secateur.base.files import write_json

HOST, RATE = "127.0.0.1", 16000
THEIRS = ("127.0.0.2", 0)  # where the abusers come from: one address that is not this machine's own
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
Abuser = Callable[[int], Awaitable[None]]
HEAD = b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"


async def drip(port: int, start: bytes, byte: bytes, pause: float = 1.0) -> None:
    """Send `start`, then a byte now and then."""
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=THEIRS)
    try:
        writer.write(start)
        while not reader.at_eof():
            await asyncio.sleep(pause)
            writer.write(byte)
            await writer.drain()
    finally:
        writer.close()


async def pour(port: int, start: bytes, piece: bytes) -> None:
    """Send without end, and read nothing."""
    _, writer = await asyncio.open_connection(HOST, port, local_addr=THEIRS)
    try:
        writer.write(start)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)  # 100 pieces a second: the machine is to be left to the server
    finally:
        writer.close()


async def silent_socket(port: int) -> None:
    """A WebSocket without a word."""
    async with websockets.connect(f"ws://{HOST}:{port}/v1/listen", ping_interval=None, local_addr=THEIRS) as client:
        await client.recv()


async def vanishing_stream(port: int) -> None:
    """A stream that starts, sends a second of noise and is not heard of again."""
    noise = (3000 * np.random.default_rng(0).standard_normal(RATE)).astype("<i2").tobytes()
    async with websockets.connect(f"ws://{HOST}:{port}/v1/listen", ping_interval=None, local_addr=THEIRS) as client:
        await client.send(json.dumps({"type": "start"}))
        await client.send(noise)
        async for message in client:
            if json.loads(message)["type"] == "error":
                return


async def unread_pings(port: int) -> None:
    """Pings, whose answers are not read."""
    key = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    shake = b"GET /v1/listen HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + key
    await pour(port, shake, (b"\x89\xfd" + bytes(4) + bytes(125)) * 100)


SCENES: dict[str, list[tuple[int, Abuser]]] = {
    "slow headers": [(200, lambda p: drip(p, b"GET /healthz HTTP/1.1\r\nX: ", b"x"))],
    "slow bodies": [(100, lambda p: drip(p, HEAD + b"Content-Length: 900000\r\n\r\n--b\r\n", b"x"))],
    "endless bodies": [(8, lambda p: pour(p, HEAD + CHUNKED, b"4000\r\n" + bytes(16384) + b"\r\n"))],
    "silent sockets": [(100, silent_socket)],
    "half-open streams": [(64, vanishing_stream)],
    "unread pings": [(8, unread_pings)],
}
SCENES["all together"] = [part for scene in SCENES.values() for part in scene]


async def abuse(scene: str, port: int) -> None:
    """All abusers of a scene, each coming back when it is sent away, until this process is ended."""

    async def again(one: Abuser) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, websockets.WebSocketException):
                await one(port)
            await asyncio.sleep(0.2)

    await asyncio.gather(*(again(one) for count, one in SCENES[scene] for _ in range(count)))


def asked(port: int, body: bytes) -> tuple[float, str]:
    """Seconds and text of one transcription."""
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    request = urllib.request.Request(f"http://{HOST}:{port}/v1/audio/transcriptions", body, headers)
    begun = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = str(json.loads(answer.read())["text"])
    except (OSError, ValueError) as problem:
        text = f"failed: {problem}"
    return time.perf_counter() - begun, text


def measure(scene: str, body: bytes, samples: Any, count: int) -> dict[str, Any]:
    """One row: a fresh server, in peace, beside the abusers, in peace again."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "secateur", "serve", "--port", str(port), "--assistant", "", "--detector", "energy"],
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://{HOST}:{port}/healthz", timeout=5).close()
                break
            time.sleep(0.1)
        asked(port, body)
        peace = [asked(port, body) for _ in range(count)]
        calm = memory(server.pid)
        others = subprocess.Popen([sys.executable, __file__, "--abuse", scene, "--port", str(port)])
        time.sleep(3)
        beside = [asked(port, body) for _ in range(count)]
        heard = asyncio.run(stream(port, samples, 0.0))
        others.send_signal(signal.SIGKILL)
        others.wait()
        time.sleep(2)
        after = [asked(port, body) for _ in range(count)]
        most = memory(server.pid)
    finally:
        server.send_signal(signal.SIGTERM)
        ended = server.wait(60)
    text = statistics.mode(found for _, found in peace)
    waits = [seconds for seconds, _ in (*peace, *after)]
    apart = sorted(seconds for seconds, _ in beside)
    return {
        "scene": scene, "abusers": sum(n for n, _ in SCENES[scene]), "asked": len(beside),
        "failed": sum(found != text for _, found in beside), "failed_after": sum(found != text for _, found in after),
        "peace_median_s": round(statistics.median(waits), 3), "median_s": round(statistics.median(apart), 3),
        "worst_s": round(apart[-1], 3), "times": round(statistics.median(apart) / statistics.median(waits), 2),
        "stream_whole": heard["whole"], "stream_delay_s": round(max(heard["delays"], default=0.0), 2),
        "memory_MB": calm["VmHWM"], "memory_most_MB": most["VmHWM"], "exit_code": ended,
    }  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", nargs="+", choices=list(SCENES), default=list(SCENES))
    parser.add_argument("--count", type=int, default=15, help="requests in each part of a scene")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SECATEUR_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--abuse", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.abuse:
        asyncio.run(abuse(options.abuse, options.port))
        return
    folder = options.data / "speechocean762"
    row = json.loads((folder / "test.jsonl").read_text(encoding="utf-8").splitlines()[40])
    sound = (folder / row["audio"]).read_bytes()
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.opus"\r\n\r\n' + sound + b"\r\n--b--\r\n"
    samples = np.concatenate([read_audio(folder / row["audio"], RATE), np.zeros(2 * RATE, np.float32)])
    table = []
    for scene in options.scenes:
        table.append(measure(scene, body, samples, options.count))
        print(table[-1], flush=True)
    if options.out:
        write_json(options.out, {"how": how(), "seconds_of_clip": round(len(samples) / RATE - 2, 1), "rows": table})


if __name__ == "__main__":
    try:
        main()
    except SecateurError as problem:
        sys.exit(f"abuse.py: {problem}")
