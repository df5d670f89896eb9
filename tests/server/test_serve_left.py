"""Clients that are killed while their work waits or runs, and the memory of long recordings: both are given up."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("fastapi")
pytest.importorskip("wyoming")
pytest.importorskip("websockets")
from running_server import Running, serving
from speech_clips import clips
from websockets.sync.client import connect

LONG = 180  # seconds: dozens of windows
PATIENT = 120.0


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving("--limits.workers", "1", "--detector", "energy") as running:
        yield running
        assert running.stop(signal.SIGTERM) == 0
        log = running.said()
        assert "Traceback" not in log and "never retrieved" not in log, log[-3000:]


@pytest.fixture(scope="module")
def sound(speech: Path) -> np.ndarray:
    """Half a minute of speech by several people, as 16-bit samples."""
    every = np.concatenate([samples for samples, _ in clips(speech, "librispeech-mini", 12)])
    return (every[: 30 * 16000] * 32767).astype("<i2")


@pytest.fixture(scope="module")
def long(sound: np.ndarray) -> bytes:
    return flac(np.tile(sound, LONG // 30))


def flac(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 16000, format="FLAC")
    return file.getvalue()


def request(data: bytes, **fields: str) -> bytes:
    """A whole POST of a form."""
    parts = [f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()]
    parts.append(b'--b\r\nContent-Disposition: form-data; name="file"; filename=x\r\n\r\n' + data + b"\r\n--b--\r\n")
    body = b"".join(parts)
    head = "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    return f"{head}Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def ask(server: Running, data: bytes) -> socket.socket:
    """A client that has sent its request and waits."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENT)
    connection.sendall(data)
    return connection


def reset(connection: socket.socket) -> None:
    """Gone as a machine that is switched off and comes back: RST, not FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Numbers:
    """The counters of a server since this was made."""

    def __init__(self, server: Running) -> None:
        self.server, self._before = server, self._now(server)

    def __call__(self, name: str) -> float:
        name = f"secateur_{name}"
        return self._now(self.server).get(name, 0.0) - self._before.get(name, 0.0)

    def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENT
        while not true():
            assert time.monotonic() < end, self.server.get("/metrics")
            time.sleep(0.05)

    @staticmethod
    def _now(server: Running) -> dict[str, float]:
        lines = [line.rsplit(" ", 1) for line in server.get("/metrics").splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}


WAITING, RUNNING = 'abandoned_total{at="waiting"}', 'abandoned_total{at="running"}'
BEGUN, DONE = "wait_seconds_count", "recognition_seconds_count"


@contextlib.contextmanager
def busy(server: Running, numbers: Numbers, long: bytes) -> Iterator[socket.socket]:
    """The one worker has a long file to work at."""
    connection = ask(server, request(long))
    numbers.until(lambda: numbers(BEGUN) == 1)
    yield connection
    connection.close()


def killed_program(server: Running, data: bytes) -> Callable[[], None]:
    """A client in a process of its own; what kills it."""
    code = (
        "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
        "s.sendall(sys.stdin.buffer.read()); print('sent', flush=True); s.recv(1)"
    )
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", code, str(server.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(data)
    process.stdin.close()
    assert process.stdout.readline() == b"sent\n"

    def kill() -> None:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

    return kill


def test_what_waits_is_dropped_and_what_runs_stops(server: Running, sound: np.ndarray, long: bytes) -> None:
    short = flac(sound[: 3 * 16000])
    numbers = Numbers(server)
    with busy(server, numbers, long) as holder, contextlib.ExitStack() as stack:
        kills = [killed_program(server, request(long)), ask(server, request(long)).close]
        gone = ask(server, request(short))
        kills.append(lambda: reset(gone))
        listener = stack.enter_context(connect(f"ws://127.0.0.1:{server.port}/v1/listen"))
        listener.send(json.dumps({"type": "start"}))
        assert json.loads(listener.recv(PATIENT))["type"] == "ready"
        for _ in range(8):  # far more than is read ahead
            listener.send(sound[: 15 * 16000].tobytes())
        kills.append(lambda: reset(listener.socket))
        home = socket.create_connection(("127.0.0.1", server.wyoming), timeout=PATIENT)
        about = {"rate": 16000, "width": 2, "channels": 1}
        home.sendall(json.dumps({"type": "audio-start", "data": about}).encode() + b"\n")
        piece = sound[:16000].tobytes()
        event = json.dumps({"type": "audio-chunk", "data": about, "payload_length": len(piece)}).encode()
        home.sendall(b"".join([event + b"\n" + piece] * 30))
        kills.append(home.close)
        staying = ask(server, request(short))
        numbers.until(lambda: numbers("waiting") == 6)
        for kill in kills:
            kill()
        numbers.until(lambda: numbers(WAITING) == 5)
        numbers.until(lambda: numbers("in_flight") == 2)  # the one that runs, and the one that stays
        assert numbers(DONE) == 0 and numbers(RUNNING) == 0
        reset(holder)
        numbers.until(lambda: numbers(RUNNING) == 1)
        answer = b"".join(iter(lambda: staying.recv(65536), b""))
        staying.close()
    assert answer.startswith(b"HTTP/1.1 200") and len(json.loads(answer.split(b"\r\n\r\n")[1])["text"]) > 10
    numbers.until(lambda: numbers("in_flight") == 0)
    assert numbers(WAITING) == 5 and numbers(RUNNING) == 1
    assert numbers("audio_seconds_total") == pytest.approx(3)  # of the one that stayed
    assert numbers('requests_total{path="/v1/audio/transcriptions",status="499"}') == 4


def test_a_stream_of_events_that_nobody_reads_stops(server: Running, long: bytes) -> None:
    numbers = Numbers(server)
    connection = ask(server, request(long, stream="true"))
    while b"transcript.text.delta" not in connection.recv(65536):
        pass
    reset(connection)
    numbers.until(lambda: numbers("in_flight") == 0)
    assert 0 < numbers("audio_seconds_total") < LONG


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_the_memory_of_a_long_recording_is_handed_back(server: Running, sound: np.ndarray, long: bytes) -> None:
    def transcribed(data: bytes) -> None:
        with ask(server, request(data)) as connection:
            assert b"200 OK" in b"".join(iter(lambda: connection.recv(65536), b""))

    def megabytes() -> float:
        return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096 / 1e6

    for _ in range(3):
        transcribed(flac(sound[: 10 * 16000]))
    before, numbers = megabytes(), Numbers(server)
    transcribed(long)
    numbers.until(lambda: numbers(DONE) == 2)  # the second is what hands it back
    assert megabytes() - before < 25
