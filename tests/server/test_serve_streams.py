"""WebSocket and Wyoming clients against a real server, and how it stops."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import socket
import time
import urllib.error
import urllib.request
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running_server import Running, free_port, serving
from speech_clips import clips

from secateur.cli import main
from secateur.runtime.recogniser import Recogniser

websockets = pytest.importorskip("websockets")
wyoming = pytest.importorskip("wyoming")
pytest.importorskip("fastapi")

KEY = "kept-secret"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    options = ["--limits.idle", "3", "--limits.streams", "3", "--limits.seconds", "60"]
    with serving(*options, SECATEUR_API_KEY=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def clip(speech: Path) -> tuple[bytes, str]:
    """A short recording as 16-bit samples, and what our own recogniser writes."""
    samples, _ = clips(speech, "speechocean762", 40)[5]
    return (samples * 32767).astype("<i2").tobytes(), Recogniser.load(threads=1).transcribe(samples).text


async def listen(running: Running, data: bytes, piece: int = 6400, **start: Any) -> list[dict[str, Any]]:
    """All answers to one stream, sent in pieces of `piece` bytes."""
    found = []
    async with websockets.connect(f"ws://127.0.0.1:{running.port}/v1/listen") as socket:
        await socket.send(json.dumps({"type": "start", "key": KEY, **start}))
        for at in range(0, len(data), piece):
            await socket.send(data[at : at + piece])
        await socket.send(json.dumps({"type": "end"}))
        async for message in socket:
            found.append(json.loads(message))
    return found


def same_words(text: str, other: str) -> float:
    """The share of words that both have."""
    a, b = set(text.lower().split()), set(other.lower().split())
    return len(a & b) / max(1, len(a | b))


@pytest.mark.parametrize("piece", [6400, 997])  # also samples cut in two
def test_pcm_becomes_partial_and_final_texts(server: Running, clip: tuple[bytes, str], piece: int) -> None:
    data, text = clip
    found = asyncio.run(listen(server, data, piece))
    kinds = [one["type"] for one in found]
    assert kinds[0] == "ready"
    assert kinds[-1] == "done"
    finals = [one for one in found if one["type"] == "final"]
    assert same_words(" ".join(one["text"] for one in finals), text) > 0.6
    assert found[-1]["seconds"] == pytest.approx(len(data) / 32000, abs=0.01)
    assert finals[-1]["end"] <= found[-1]["seconds"] + 0.01


def test_another_rate_is_resampled(server: Running, clip: tuple[bytes, str]) -> None:
    import soxr

    samples = np.frombuffer(clip[0], "<i2").astype(np.float32) / 32768
    higher = (soxr.resample(samples, 16000, 44100) * 32767).clip(-32767, 32767).astype("<i2").tobytes()
    found = asyncio.run(listen(server, higher, sample_rate=44100, partials=False))
    assert {one["type"] for one in found} == {"ready", "final", "done"}
    assert found[-1]["seconds"] == pytest.approx(len(samples) / 16000, abs=0.05)


@pytest.mark.parametrize(
    ("start", "status"),
    [({"key": "guess"}, 401), ({"sample_rate": 1}, 400), ({"model": "other"}, 404), ({"langauge": "en"}, 400)],
)
def test_streams_that_are_refused(server: Running, start: dict[str, Any], status: int) -> None:
    async def first() -> dict[str, Any]:
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/v1/listen") as socket:
            await socket.send(json.dumps({"type": "start", "key": KEY, **start}))
            return dict(json.loads(await socket.recv()))

    found = asyncio.run(first())
    assert (found["type"], found["status"]) == ("error", status)


def test_pages_of_other_sites_are_refused(server: Running) -> None:
    async def come(origin: str) -> str:
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/v1/listen", origin=origin) as socket:
            await socket.send(json.dumps({"type": "start", "key": KEY}))
            return str(json.loads(await socket.recv())["type"])

    assert asyncio.run(come(server.url)) == "ready"
    with pytest.raises(websockets.InvalidStatus, match="403"):
        asyncio.run(come("http://elsewhere.example"))
    headers = {"Origin": "http://elsewhere.example", "Authorization": f"Bearer {KEY}", "Content-Type": "text/plain"}
    request = urllib.request.Request(server.url + "/v1/assistant", b'{"text": "turn on the lamp"}', headers)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=10)


def test_silent_clients_and_one_stream_too_many(server: Running) -> None:
    async def scene() -> list[dict[str, Any]]:
        url = f"ws://127.0.0.1:{server.port}/v1/listen"
        sockets = [await websockets.connect(url) for _ in range(4)]
        for one in sockets:
            await one.send(json.dumps({"type": "start", "key": KEY}))
        assert [json.loads(await one.recv())["type"] for one in sockets] == ["ready"] * 3 + ["error"]
        await sockets[3].close()
        sockets[3] = await websockets.connect(url)
        await sockets[3].send(json.dumps({"type": "start", "key": KEY}))
        answers = [json.loads(await one.recv()) for one in sockets]  # three have been silent for too long
        for one in sockets:
            await one.close()
        return answers

    answers = asyncio.run(scene())
    assert sorted(one["status"] for one in answers) == [408, 408, 408, 429]


async def transcribe(port: int, data: bytes, rate: int = 16000) -> list[Any]:
    """A command over Wyoming by the package's own client; every event that came back."""
    from wyoming.asr import Transcribe, TranscriptStop
    from wyoming.audio import wav_to_chunks
    from wyoming.client import AsyncTcpClient
    from wyoming.info import Describe

    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(data)
    file.seek(0)
    found = []
    async with AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(Describe().event())
        found.append(await client.read_event())
        for _ in range(2):  # two commands over one connection
            file.seek(0)
            await client.write_event(Transcribe(language="en").event())
            with wave.open(file, "rb") as sound:
                for event in wav_to_chunks(sound, 1024, start_event=True, stop_event=True):
                    await client.write_event(event.event())
            while True:
                event = await asyncio.wait_for(client.read_event(), 20)
                assert event is not None
                found.append(event)
                if TranscriptStop.is_type(event.type):
                    break
    return found


def test_wyoming_describe_and_transcribe(server: Running, clip: tuple[bytes, str]) -> None:
    from wyoming.asr import Transcript, TranscriptChunk
    from wyoming.info import Info

    data, text = clip
    found = asyncio.run(transcribe(server.wyoming, data))
    info = Info.from_event(found[0])
    assert info.asr[0].supports_transcript_streaming
    assert info.asr[0].models[0].languages == ["en"]
    texts = [Transcript.from_event(event).text for event in found if Transcript.is_type(event.type)]
    assert len(texts) == 2
    assert texts[0] == texts[1]
    assert same_words(texts[0], text) > 0.6
    chunks = [TranscriptChunk.from_event(event).text for event in found if TranscriptChunk.is_type(event.type)]
    assert "".join(chunks) == texts[0] * 2
    assert [event.type for event in found[1:]][:2] == ["transcript-start", "transcript-chunk"]


def test_wyoming_answers_pings(server: Running) -> None:
    from wyoming.client import AsyncTcpClient
    from wyoming.ping import Ping, Pong

    async def ping(text: str | None) -> Any:
        async with AsyncTcpClient("127.0.0.1", server.wyoming) as client:
            await client.write_event(Ping(text).event())
            return await asyncio.wait_for(client.read_event(), 20)

    for text in ("are you there?", None):
        event = asyncio.run(ping(text))
        assert Pong.is_type(event.type)
        assert Pong.from_event(event).text == text


def test_a_wyoming_error_reaches_a_client_in_full_flow(server: Running) -> None:
    """Closed at once, its connection would be reset, and the error lost with what it has not read yet."""
    about = json.dumps({"type": "audio-chunk", "data": {"rate": 16000, "width": 2, "channels": 1}})
    head = about[:-1].encode() + b', "payload_length": 65536}\n'
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.wyoming), timeout=20) as connection:
            for _ in range(40):
                try:
                    connection.sendall(head + bytes(65536))
                except OSError:
                    break
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert b"audio-chunk came before audio-start" in answer


def test_the_log_has_a_line_for_everybody_and_nothing_of_what_was_said(clip: tuple[bytes, str], tmp_path: Path) -> None:
    data, text = clip
    place = tmp_path / "access.jsonl"
    with serving("--access.log", str(place)) as running:
        found = asyncio.run(listen(running, data))
        asyncio.run(transcribe(running.wyoming, data))
        for path, body in (("/v1/assistant", b'{"text": "turn on the secret lamp"}'), ("/v1/models?secret=1", None)):
            request = urllib.request.Request(running.url + path, body, {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=20).read()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            running.get('/v1/nowhere/"quoted"%0Aline')
        assert running.stop() == 0
    words = next(one["text"] for one in found if one["type"] == "final").split()
    log = place.read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert not any(f" {word} " in log for word in words) and "secret" not in log and text not in log
    seen = {(line["protocol"], line["path"], line["status"]) for line in lines}
    assert {
        ("websocket", "/v1/listen", 200), ("wyoming", "", 200), ("http", "/v1/models", 200),
        ("http", "/v1/assistant", 200), ("http", '/v1/nowhere/"quoted"\nline', 404),
    } <= seen  # fmt: skip
    assert all(line["client"] == "127.0.0.1" and line["seconds"] >= 0 and line["time"] for line in lines)


def test_a_log_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", str(free_port()), "--access.log", str(tmp_path)]) == 2
    assert "is a folder; name a file with --access.log, such as" in capsys.readouterr().err


def test_a_shutdown_finishes_what_is_in_flight(clip: tuple[bytes, str]) -> None:
    data, text = clip

    async def scene(running: Running) -> list[dict[str, Any]]:
        found = []
        async with websockets.connect(f"ws://127.0.0.1:{running.port}/v1/listen") as socket:
            await socket.send(json.dumps({"type": "start"}))
            found.append(json.loads(await socket.recv()))
            await socket.send(data)
            await asyncio.sleep(1.0)  # it is heard; nobody says "end"
            running.process.send_signal(signal.SIGTERM)
            async for message in socket:
                found.append(json.loads(message))
        return found

    with serving() as running:
        found = asyncio.run(scene(running))
        code = running.process.wait(20)
    assert found[-1]["type"] == "done"
    assert same_words(" ".join(one["text"] for one in found if one["type"] == "final"), text) > 0.6
    assert code == 0


def test_a_stopping_server_refuses_and_ends() -> None:
    with serving() as running:
        began = time.monotonic()
        assert running.stop(signal.SIGINT) == 0
        assert time.monotonic() - began < 20
