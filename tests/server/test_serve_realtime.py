"""OpenAI's own realtime client, and raw events, against a real server: both spellings, both ways to end a turn."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from running_server import Running, serving
from speech_clips import clips

from secateur.runtime.recogniser import Recogniser
from secateur.server.http.realtime_session import expanded

openai = pytest.importorskip("openai")
pytest.importorskip("fastapi")
websockets = pytest.importorskip("websockets")
from websockets.sync.client import connect  # noqa: E402

KEY = "kept-secret"
WAIT = 60.0
ITEM = "conversation.item.input_audio_transcription"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving("--limits.seconds", "60", "--detector", "energy", SECATEUR_API_KEY=KEY) as running:
        yield running
        assert "Traceback" not in running.said()


@pytest.fixture(scope="module")
def speech_at_16k(speech: Path) -> tuple[np.ndarray, str]:
    """A recording as 16-bit samples, and what our own recogniser writes."""
    samples, _ = clips(speech, "librispeech-mini", 40)[7]  # without names, which a prompt may spell otherwise
    samples = samples[: 6 * 16000]
    return samples, Recogniser.load(threads=1).transcribe(samples).text


def pcm(samples: np.ndarray, rate: int = 24000) -> bytes:
    """16-bit samples at another rate."""
    return bytes((soxr.resample(samples, 16000, rate) * 32767).clip(-32767, 32767).astype("<i2").tobytes())


def pieces(data: bytes, size: int = 9600) -> Iterator[str]:
    for at in range(0, len(data), size):
        yield base64.b64encode(data[at : at + size]).decode()


def alike(text: str, other: str) -> float:
    a, b = text.lower().split(), other.lower().split()
    return len(set(a) & set(b)) / max(1, len(set(a) | set(b)))


def until(connection: Any, kind: str) -> list[Any]:
    """Events up to one of a kind."""
    found: list[Any] = []
    while not found or found[-1].type != kind:
        found.append(connection.recv())
        assert found[-1].type != "error" or kind == "error", found[-1]
    return found


def test_the_client_commits_what_it_wants_transcribed(server: Running, speech_at_16k: tuple[np.ndarray, str]) -> None:
    samples, text = speech_at_16k
    client = openai.OpenAI(base_url=server.url + "/v1", api_key=KEY, max_retries=0)
    with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        created = connection.recv()
        assert created.type == "session.created" and created.session.type == "transcription"
        assert created.session.audio.input.format.rate == 24000
        connection.session.update(session={
            "type": "transcription", "include": ["item.input_audio_transcription.logprobs"],
            "audio": {"input": {
                "format": {"type": "audio/pcm", "rate": 24000}, "turn_detection": None,
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": "gpt-4o-transcribe", "language": "en", "prompt": "names: " * 2000},
            }},
        })  # fmt: skip
        updated = connection.recv()
        assert updated.type == "session.updated" and updated.session.audio.input.turn_detection is None
        before = None
        for _ in range(2):  # one turn after another
            for piece in pieces(pcm(samples)):
                connection.input_audio_buffer.append(audio=piece)
            connection.input_audio_buffer.commit()
            events = until(connection, f"{ITEM}.completed")
            assert [event.type for event in events[:-2]] == [
                "input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"
            ]  # fmt: skip
            assert events[0].previous_item_id == before
            before = events[0].item_id
            assert events[-2].delta == events[-1].transcript
            assert alike(events[-1].transcript, text) > 0.85
            assert "".join(one.token for one in events[-1].logprobs).strip() == events[-1].transcript
            assert events[-1].usage.seconds == pytest.approx(6, abs=0.01)
            assert {event.item_id for event in events if hasattr(event, "item_id")} == {before}


@pytest.mark.parametrize("kind", ["audio/pcm", "audio/pcmu", "audio/pcma"])
def test_a_pause_ends_a_turn(server: Running, speech_at_16k: tuple[np.ndarray, str], kind: str) -> None:
    samples, text = speech_at_16k
    silence = np.zeros(16000, np.float32)
    sound = np.concatenate([silence, samples, silence, silence, samples[: 3 * 16000], silence, silence])
    data = pcm(sound) if kind == "audio/pcm" else companded(pcm(sound, 8000), kind)
    client = openai.OpenAI(base_url=server.url + "/v1", api_key=KEY, max_retries=0)
    with client.realtime.connect(model="gpt-realtime") as connection:
        connection.recv()
        connection.session.update(session={
            "type": "transcription",
            "audio": {"input": {
                "format": {"type": kind}, "turn_detection": {"type": "server_vad", "silence_duration_ms": 700}
            }},
        })  # fmt: skip
        assert connection.recv().session.audio.input.turn_detection.silence_duration_ms == 700
        for piece in pieces(data, 4801 if kind != "audio/pcm" else 9602):
            connection.input_audio_buffer.append(audio=piece)
        turns = [until(connection, f"{ITEM}.completed") for _ in range(2)]
    for turn in turns:
        kinds = [event.type for event in turn if not event.type.endswith(".delta")]
        assert kinds == [
            "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "input_audio_buffer.committed",
            "conversation.item.added", "conversation.item.done", f"{ITEM}.completed",
        ]  # fmt: skip
        assert "".join(event.delta for event in turn if event.type.endswith(".delta")) == turn[-1].transcript
    first, second = turns
    least = 0.7 if kind == "audio/pcm" else 0.3  # a telephone's band is half of what the model knows
    assert alike(first[-1].transcript, text) > least
    assert abs(first[0].audio_start_ms - 1000) < 700
    stopped = next(event.audio_end_ms for event in first if event.type.endswith("speech_stopped"))
    assert abs(stopped - 7000) < 700 and second[0].audio_start_ms > stopped
    assert len({event.item_id for turn in turns for event in turn if hasattr(event, "item_id")}) == 2


def companded(data: bytes, kind: str) -> bytes:
    """The nearest code of every 16-bit sample."""
    values = np.frombuffer(expanded(bytes(range(256)), kind), "<i2").astype(np.int32)
    order = np.argsort(values)
    at = np.searchsorted(values[order], np.frombuffer(data, "<i2").astype(np.int32)).clip(0, 255)
    return bytes(order[at].astype(np.uint8).tobytes())


def opened(server: Running, **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {KEY}", **more.pop("headers", {})}
    return connect(f"ws://127.0.0.1:{server.port}/v1/realtime", additional_headers=headers, **more)


def talk(connection: Any, **event: Any) -> dict[str, Any]:
    connection.send(json.dumps(event))
    return dict(json.loads(connection.recv(WAIT)))


def test_the_older_spelling(server: Running, speech_at_16k: tuple[np.ndarray, str]) -> None:
    samples, text = speech_at_16k
    with opened(server, headers={"OpenAI-Beta": "realtime=v1"}) as connection:
        assert json.loads(connection.recv(WAIT))["type"] == "transcription_session.created"
        session = {
            "input_audio_format": "pcm16", "input_audio_transcription": {"model": "whisper-1", "language": "auto"},
            "turn_detection": None, "input_audio_noise_reduction": {"type": "far_field"},
        }  # fmt: skip
        updated = talk(connection, type="transcription_session.update", session=session)
        assert updated["type"] == "transcription_session.updated"
        assert updated["session"]["input_audio_format"] == "pcm16" and updated["session"]["turn_detection"] is None
        for piece in pieces(pcm(samples), 400_000):
            connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": piece}))
        connection.send(json.dumps({"type": "input_audio_buffer.commit"}))
        events = []
        while not events or not events[-1]["type"].endswith("completed"):
            events.append(json.loads(connection.recv(WAIT)))
        assert [event["type"] for event in events[:2]] == ["input_audio_buffer.committed", "conversation.item.created"]
        assert alike(events[-1]["transcript"], text) > 0.85


def test_a_buffer_is_cleared(server: Running, speech_at_16k: tuple[np.ndarray, str]) -> None:
    with opened(server) as connection:
        connection.recv(WAIT)
        talk(connection, type="session.update", session={"audio": {"input": {"turn_detection": None}}})
        connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": next(pieces(pcm(speech_at_16k[0])))}))
        assert talk(connection, type="input_audio_buffer.clear")["type"] == "input_audio_buffer.cleared"
        error = talk(connection, type="input_audio_buffer.commit", event_id="mine")["error"]
        assert error["code"] == "input_audio_buffer_commit_empty" and error["event_id"] == "mine"


def test_what_is_wrong_is_told_and_the_session_goes_on(server: Running) -> None:
    inputs = {
        "format": {"type": "audio/mp3"}, "turn_detection": {"type": "semantic_vad"},
        "transcription": {"language": "klingon"}, "langauge": "en",
    }  # fmt: skip
    wrong: list[Any] = [
        "nonsense", "[]", "null", "{}", "[" * 50_000, json.dumps({"type": "response.create"}),
        json.dumps({"type": "input_audio_buffer.append", "audio": "%%%"}),
        json.dumps({"type": "input_audio_buffer.append", "audio": "AAA="}),  # two bytes make a sample, one does not
        json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA"}),
        json.dumps({"type": "input_audio_buffer.append"}), json.dumps({"type": "input_audio_buffer.commit"}),
        json.dumps({"type": "session.update"}), json.dumps({"type": "session.update", "session": {"voice": "ash"}}),
        json.dumps({"type": "session.update", "session": {"type": "realtime"}}),
        json.dumps({"type": "session.update", "session": {"include": ["item.all"]}}),
        *(json.dumps({"type": "session.update", "session": {"audio": {"input": {name: value}}}})
          for name, value in inputs.items()),
        *(json.dumps({"type": "session.update", "session": {"turn_detection": value}})
          for value in (5, {"type": "server_vad", "threshold": 7}, {"type": "server_vad", "silence_duration_ms": "x"})),
        json.dumps({"type": "session.update", "session": {"input_audio_format": ["pcm16"]}}),
        json.dumps({"type": "session.update", "session": {"audio": {"input": {"format": {"type": []}}}}}),
        json.dumps({"type": "session.update", "session": {"audio": [1], "include": 5}}),
    ]  # fmt: skip
    right = {7}
    with opened(server) as connection:
        connection.recv(WAIT)
        for number, event in enumerate(wrong):
            connection.send(event)
            if number in right:
                continue
            found = json.loads(connection.recv(WAIT))
            assert found["type"] == "error" and found["error"]["message"], (event[:100], found)
            assert set(found["error"]) == {"type", "code", "message", "param", "event_id"}
        assert talk(connection, type="session.update", session={})["type"] == "session.updated"


def test_who_has_no_key_or_asks_too_much_is_refused(server: Running) -> None:
    with pytest.raises(websockets.InvalidStatus, match="401"):
        connect(f"ws://127.0.0.1:{server.port}/v1/realtime")
    url = f"ws://127.0.0.1:{server.port}/v1/realtime"
    offered = ["realtime", f"openai-insecure-api-key.{KEY}"]
    with connect(url, subprotocols=offered) as connection:  # type: ignore[arg-type]
        assert connection.subprotocol == "realtime"
        assert json.loads(connection.recv(WAIT))["type"] == "session.created"
        piece = base64.b64encode(bytes(600_000)).decode()
        told: list[dict[str, Any]] = []
        with pytest.raises(websockets.ConnectionClosed):
            for number in itertools.count():
                connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": piece}))
                assert number < 20
                if number > 4:
                    told.append(json.loads(connection.recv(WAIT)))
        assert told[-1]["type"] == "error" and "Longer than 60 s" in told[-1]["error"]["message"]
    with opened_model(server, "other") as connection:
        assert "does not exist" in json.loads(connection.recv(WAIT))["error"]["message"]


def opened_model(server: Running, model: str) -> Any:
    url = f"ws://127.0.0.1:{server.port}/v1/realtime?model={model}"
    return connect(url, additional_headers={"Authorization": f"Bearer {KEY}"})
