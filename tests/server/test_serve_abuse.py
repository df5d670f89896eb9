"""Clients that are slow, silent, endless, many or hostile, against a real server: each is sent away, others are served.

After all of it the server answers as before, its gauges are at zero and its log holds no traceback.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import struct
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
websockets = pytest.importorskip("websockets")
pytest.importorskip("wyoming")

from running_server import Running, free_port, serving  # noqa: E402
from speech_clips import clips  # noqa: E402

LIMITS = {"patience": 0.5, "idle": 1, "connections": 24, "streams": 3, "megabytes": 1, "timeout": 20, "slowest": 50_000}
PATIENT = 15.0  # seconds that a test waits for what must come much sooner


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    words = [w for name, value in LIMITS.items() for w in (f"--limits.{name}", str(value))]
    with serving(*words, "--detector", "energy") as running:
        yield running
        wait_until(lambda: not any(gauges(running).values()))
        assert running.stop() == 0
        log = running.said()
        assert "Traceback" not in log and "never retrieved" not in log, log[-3000:]


@pytest.fixture(scope="module")
def clip(speech: Path) -> tuple[bytes, str]:
    """Two recordings with pauses, as 16-bit PCM, and what is said in them."""
    found = clips(speech, "librispeech-mini", 2)
    pause = bytes(2 * 16000 * 2)
    sound = [(audio[: 5 * 16000] * 32767).astype("<i2").tobytes() for audio, _ in found]
    return pause.join(sound) + pause, " ".join(text for _, text in found)


def gauges(server: Running) -> dict[str, float]:
    lines = [line.rsplit(" ", 1) for line in server.get("/metrics").splitlines()]
    return {name: float(value) for name, value in lines if name.startswith(("secateur_streams", "secateur_in_flight"))}


def wait_until(true: Any) -> None:
    end = time.monotonic() + PATIENT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def raw(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENT)


def drip(connection: socket.socket, start: bytes, byte: bytes) -> bytes:
    """Send `start`, then a byte every tenth of a second until the other end has had enough; its answer."""
    connection.sendall(start)
    connection.settimeout(0.1)
    answer, end = b"", time.monotonic() + PATIENT
    while time.monotonic() < end:
        with contextlib.suppress(TimeoutError):
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                return answer
            answer += piece
            if not piece:
                return answer
        with contextlib.suppress(OSError):
            connection.sendall(byte)
    raise AssertionError("it was allowed to go on")


def answered(connection: socket.socket) -> bytes:
    """All that comes until the other end closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            found += piece
    return found


HEAD = b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=b\r\n"


@pytest.mark.parametrize(
    ("start", "byte", "status"),
    [
        (b"", b"", 408),  # nothing at all
        (b"GET /hea", b"", 408),  # and then nothing
        (b"GET /healthz HTTP/1.1\r\nX: ", b"x", 408),  # a header that never ends
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nX: ", b"x", 200),
        (HEAD + FORM + b"Content-Length: 500000\r\n\r\n--b\r\n", b"x", 408),  # a body
        (HEAD + FORM + b"Transfer-Encoding: chunked\r\n\r\n5\r\n--b\r\n\r\n", b"1\r\nx\r\n", 408),
        (HEAD + FORM + b"Content-Length: 500000\r\nExpect: 100-continue\r\n\r\n", b"", 100),
        (b"GET /v1/listen HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upg", b"", 408),
    ],
)
def test_slow_requests_are_closed(start: bytes, byte: bytes, status: int, server: Running) -> None:
    with raw(server.port) as connection:
        answer = drip(connection, start, byte)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    if b"Content-Length: 500000" in start:
        assert b"comes too slowly" in answer


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
ZEROS = b"10000\r\n" + bytes(65536) + b"\r\n"
PART = b'Content-Disposition: form-data; name="file"; filename=x\r\n\r\n'


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (HEAD + FORM + CHUNKED + b"%x\r\n--b\r\n" % (5 + len(PART)) + PART + b"\r\n", ZEROS),
        (HEAD + FORM + b"Content-Length: 99999999999\r\n\r\n", bytes(65536)),
        (b"POST /v1/assistant HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n", b"[" * 65536),
        (b"POST /v1/nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", b"x" * 65536),
        (b"POST /healthz HTTP/1.1\r\nHost: localhost\r\n" + CHUNKED, ZEROS),
        (b"GET /healthz HTTP/1.1\r\nX: ", b"x" * 65536),
    ],
)
def test_endless_requests_are_closed_with_an_answer(start: bytes, piece: bytes, server: Running) -> None:
    sent = 0
    with raw(server.port) as connection:
        connection.sendall(start)
        with contextlib.suppress(ConnectionError):
            while sent < 200_000_000:
                connection.sendall(piece)
                sent += len(piece)
                if sent > 3_000_000:
                    time.sleep(0.002)
        answer = answered(connection)
    assert sent < 200_000_000
    expected = b"400" if start.startswith(b"GET") else b"405" if b"healthz" in start else b"413"
    assert not answer or answer.startswith(b"HTTP/1.1 " + expected), answer[:200]


def test_clients_that_leave_in_the_middle(server: Running) -> None:
    """Nobody is there to be told, and the log is not their book: see the end of `server`."""
    start = HEAD + FORM + b"Content-Length: 5000\r\n\r\n--b\r\n" + PART
    for data in (start, start + bytes(4000), HEAD + FORM + CHUNKED + b"5\r\n--b\r\n\r\n"):
        with raw(server.port) as connection:
            connection.sendall(data)
    wait_until(lambda: 'status="499"' in server.get("/metrics"))


def test_a_large_body_that_ends_is_told_so(server: Running) -> None:
    body = bytes(3_000_000)
    request = urllib.request.Request(server.url + "/v1/audio/transcriptions", body)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=PATIENT)
    assert refused.value.code == 413
    assert "larger than 1 MB" in json.loads(refused.value.read())["error"]["message"]


def handshake(port: int) -> socket.socket:
    """An open WebSocket whose frames a test makes itself."""
    connection = raw(port)
    connection.sendall(
        b"GET /v1/listen HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert connection.recv(4096).startswith(b"HTTP/1.1 101")
    return connection


def frame(opcode: int, payload: bytes = b"", last: bool = True) -> bytes:
    """A masked frame, the mask all zeros."""
    size = len(payload)
    length = struct.pack("!B", 0x80 | size) if size < 126 else struct.pack("!BH", 0xFE, size)
    return bytes([(0x80 if last else 0) | opcode]) + length + bytes(4) + payload


def flood(connection: socket.socket, piece: bytes, most: int = 400_000_000) -> int:
    """Send until the other end has had enough; bytes sent."""
    sent = 0
    with contextlib.suppress(ConnectionError, TimeoutError):
        while sent < most:
            connection.sendall(piece)
            sent += len(piece)
    return sent


def test_a_message_in_endless_empty_pieces_is_cut(server: Running) -> None:
    """They never add up to the limit on its bytes."""
    with handshake(server.port) as connection:
        connection.sendall(frame(2, b"x", last=False))
        assert flood(connection, frame(0, last=False) * 4000) < 400_000_000


@pytest.mark.parametrize("opcode", [9, 10])
def test_who_pings_and_never_reads_is_cut(opcode: int, server: Running) -> None:
    with handshake(server.port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        start = frame(1, json.dumps({"type": "start"}).encode())
        connection.sendall(start)
        assert flood(connection, frame(opcode, bytes(125)) * 40, 20_000_000) < 20_000_000


def test_silent_sockets_take_no_stream_from_others(server: Running, clip: tuple[bytes, str]) -> None:
    async def scene() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        url = f"ws://127.0.0.1:{server.port}/v1/listen"
        silent = [await websockets.connect(url) for _ in range(6)]
        found = await asyncio.gather(*(hear(server.port, clip[0][: 3 * 32000]) for _ in range(3)))
        ends = [json.loads(await one.recv()) for one in silent]
        return found[0], ends

    found, ends = asyncio.run(scene())
    assert found[-1]["type"] == "done"
    assert {one["status"] for one in ends} == {408}


async def hear(port: int, data: bytes, pace: float = 0.0) -> list[dict[str, Any]]:
    """A stream from start to end."""
    async with websockets.connect(f"ws://127.0.0.1:{port}/v1/listen") as client:
        await client.send(json.dumps({"type": "start"}))
        for at in range(0, len(data), 6400):
            await client.send(data[at : at + 6400])
            await asyncio.sleep(pace)
        await client.send(json.dumps({"type": "end"}))
        return [json.loads(message) async for message in client]


def test_streams_beyond_the_limit_are_refused_and_taken_later(server: Running) -> None:
    async def scene() -> list[str]:
        url, start = f"ws://127.0.0.1:{server.port}/v1/listen", json.dumps({"type": "start"})
        open_ones, told = [], []
        for _ in range(4):
            one = await websockets.connect(url)
            await one.send(start)
            open_ones.append(one)
            told.append(json.loads(await one.recv()))
        await open_ones[0].close()
        wait_until(lambda: gauges(server)['secateur_streams{protocol="websocket"}'] < 3)
        one = await websockets.connect(url)
        await one.send(start)
        told.append(json.loads(await one.recv()))
        for each in (*open_ones, one):
            await each.close()
        return [t.get("message", t["type"]) for t in told]

    told = asyncio.run(scene())
    assert told == ["ready"] * 3 + ["3 streams are open: try later", "ready"]


def test_one_address_does_not_take_everything(server: Running) -> None:
    """Half of the connections, half of the streams (of three: one); this machine's own address has no such bound."""
    there = ("127.0.0.2", 0)
    many = [socket.create_connection(("127.0.0.1", server.port), PATIENT, there) for _ in range(16)]
    answers = [answered(one).split(b"\r\n")[0] for one in many]
    for one in many:
        one.close()
    assert answers.count(b"HTTP/1.1 503 Service Unavailable") == 4

    async def scene() -> list[dict[str, Any]]:
        url, start = f"ws://127.0.0.1:{server.port}/v1/listen", json.dumps({"type": "start"})
        sockets = [await websockets.connect(url, local_addr=place) for place in (there, there, None, None)]
        told = []
        for one in sockets:
            await one.send(start)
            told.append(json.loads(await one.recv()))
        for one in sockets:
            await one.close()
        return told

    told = asyncio.run(scene())
    assert [one["type"] for one in told] == ["ready", "error", "ready", "ready"]
    assert told[1]["status"] == 429 and "from your address" in told[1]["message"]


def test_a_client_that_vanishes_in_the_middle_frees_its_place(server: Running) -> None:
    """Half open: no word, no FIN; the server cannot know, and closes after `idle` seconds."""
    gone = []
    for _ in range(3):
        connection = handshake(server.port)
        connection.sendall(frame(1, json.dumps({"type": "start"}).encode()) + frame(2, bytes(6400)))
        gone.append(connection)
    wait_until(lambda: gauges(server)['secateur_streams{protocol="websocket"}'] == 3)
    wait_until(lambda: gauges(server)['secateur_streams{protocol="websocket"}'] == 0)
    told = b""
    while b"Nothing came for 1 s" not in told:
        told += (piece := gone[0].recv(4096))
        assert piece
    for connection in gone:
        connection.close()


HOSTILE_STARTS: list[str | bytes] = [
    b"\x00\xff", "", "nonsense", "[]", "null", "[" * 60_000, '{"type": "start", "sample_rate": 1e400}',
    '{"type": "start", "sample_rate": NaN}', '{"type": "start", "sample_rate": ' + "9" * 5000 + "}",
    '{"type": "start", "model": "\\ud800"}', '{"type": "start", "language": "\\ud800x"}',
    '{"type": "start", "key": "\\ud800", "sample_rate": "\\ud800"}', '{"type": "start", "\\ud800": 1}',
    '{"type": "start", "language": "' + "e" * 70_000 + '"}', '{"type": "end"}', '{"type": "start", "model": []}',
]  # fmt: skip


@pytest.mark.parametrize("start", HOSTILE_STARTS, ids=range(len(HOSTILE_STARTS)))
def test_hostile_first_messages_get_one_answer(start: str | bytes, server: Running) -> None:
    async def scene() -> list[dict[str, Any]]:
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/v1/listen") as client:
            await client.send(start)
            return [json.loads(message) async for message in client]

    with contextlib.suppress(websockets.ConnectionClosedError):
        [told] = asyncio.run(scene())
        assert told["type"] == "error" and told["status"] in (400, 404)
        assert "\n" not in told["message"] and told["message"]


SPEAK = b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}}\n'


def chunk(data: dict[str, Any], payload: bytes = bytes(64)) -> bytes:
    head = {"type": "audio-chunk", "data": data, "payload_length": len(payload)}
    return SPEAK + json.dumps(head).encode() + b"\n" + payload


HOSTILE_EVENTS = [
    b"\n", b"nonsense\n", b"[]\n", b"{}\n", b"[" * 60_000 + b"\n", b"x" * 200_000, b'{"type": 5}\n', b"\xff\xfe\n",
    b'{"type": "describe", "data": [1]}\n', b'{"type": "transcribe", "data": {"name": []}}\n',
    b'{"type": "transcribe", "data": {"name": "\\ud800"}}\n', b'{"type": "describe", "data_length": 1e400}\n',
    b'{"type": "audio-chunk", "payload_length": 99999999999}\n', b'{"type": "describe", "data_length": -5}\n',
    b'{"type": "describe", "data_length": 4}\nnull', SPEAK + b'{"type": "audio-chunk"}\n',
    chunk({"rate": 16000, "width": 2, "channels": 1}, bytes(63)), chunk({"rate": 1, "width": 2, "channels": 1}),
    chunk({"rate": 10**9, "width": 2, "channels": 1}), chunk({"rate": 0, "width": 2, "channels": 1}),
    chunk({"rate": 16000, "width": 0, "channels": 1}), chunk({"rate": 16000, "width": 99, "channels": 1}),
    chunk({"rate": 16000, "width": 2, "channels": 0}), chunk({"rate": "a", "width": 2, "channels": 1}),
    b'{"type": "audio-chunk", "data": {"rate": 16000, "width": 2, "channels": 1}, "payload_length": 2}\nxx',
    b'{"type": "transcribe", "data": {"language": 7}}\n' + SPEAK,
]  # fmt: skip


@pytest.mark.parametrize("event", HOSTILE_EVENTS, ids=range(len(HOSTILE_EVENTS)))
def test_hostile_wyoming_events_get_one_answer(event: bytes, server: Running) -> None:
    with raw(server.wyoming) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(event)
        lines = answered(connection).split(b"\n")
    told = [json.loads(line) for line in lines if line.startswith(b"{") and b'"error"' in line]
    assert len(told) == 1, lines


def test_silent_wyoming_clients_are_closed(server: Running) -> None:
    with raw(server.wyoming) as connection:
        assert b"Nothing came" in answered(connection)
    with raw(server.wyoming) as connection:  # in the middle of an event
        assert b"Nothing came" in drip(connection, b'{"type": ', b" ")
    with raw(server.wyoming) as connection:  # after a command
        connection.sendall(SPEAK)
        assert b"Nothing came" in answered(connection)


def test_more_connections_than_allowed(server: Running) -> None:
    """Those beyond the limit are told so at once; when the others have lost patience there is room again."""
    many = [raw(server.port) for _ in range(int(LIMITS["connections"]) + 6)]
    answers = [answered(one).split(b"\r\n")[0] for one in many]
    for one in many:
        one.close()
    assert answers.count(b"HTTP/1.1 503 Service Unavailable") >= 6
    assert answers.count(b"HTTP/1.1 408 Request Timeout") >= 18
    assert json.loads(server.get("/healthz")) == {"status": "ok"}


def test_a_client_comes_back_after_a_restart(clip: tuple[bytes, str]) -> None:
    """SIGTERM in the middle: what was heard is sent, and the rest goes to the next server on the same port."""
    data, text = clip
    port, half = free_port(), 7 * 32000  # the first recording and its pause

    async def first(running: Running) -> list[dict[str, Any]]:
        async with websockets.connect(f"ws://127.0.0.1:{port}/v1/listen") as client:
            await client.send(json.dumps({"type": "start"}))
            await client.recv()
            await client.send(data[:half])
            await asyncio.sleep(0.5)
            running.process.send_signal(signal.SIGTERM)
            return [json.loads(message) async for message in client]

    async def again() -> list[dict[str, Any]]:
        for _ in range(200):
            with contextlib.suppress(OSError):
                return await hear(port, data[half:])
            await asyncio.sleep(0.1)
        raise AssertionError("nobody came back")

    with serving("--detector", "energy", at=port) as running:
        found = asyncio.run(first(running))
        assert running.process.wait(PATIENT) == 0
    assert found[-1]["type"] == "done" and found[-1]["seconds"] == pytest.approx(half / 32000, abs=0.01)
    with serving("--detector", "energy", at=port):
        found += asyncio.run(again())
    assert found[-1]["type"] == "done"
    heard = {w for one in found if one["type"] == "final" for w in one["text"].lower().split()}
    words = set(text.lower().split())
    assert len(heard & words) > 0.5 * len(heard)
    assert sum(one["type"] == "final" for one in found) >= 2
