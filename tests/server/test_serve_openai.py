"""OpenAI's own client against a real server with the bundled model and a real recording."""

from __future__ import annotations

import io
import itertools
import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from running_server import Running, serving
from speech_clips import clips

from secateur.runtime.recogniser import Recogniser

openai = pytest.importorskip("openai")
pytest.importorskip("fastapi")

KEY = "kept-secret"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    options = ["--limits.seconds", "60", "--limits.megabytes", "3", "--limits.workers", "1", "--limits.waiting", "1"]
    with serving(*options, SECATEUR_API_KEY=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Running) -> Any:
    return openai.OpenAI(base_url=server.url + "/v1", api_key=KEY, max_retries=0)


@pytest.fixture(scope="module")
def clip(speech: Path) -> tuple[bytes, str]:
    """A recording as a WAV file, and what our own recogniser writes."""
    samples, _ = clips(speech, "librispeech-mini", 40)[3]
    return wav(samples), Recogniser.load(threads=1).transcribe(samples).text


def wav(samples: np.ndarray[Any, Any], rate: int = 16000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def ask(client: Any, data: bytes, **more: Any) -> Any:
    return client.audio.transcriptions.create(file=("../../etc/passwd", data), model="whisper-1", **more)


def test_models(client: Any, server: Running) -> None:
    assert [model.id for model in client.models.list()] == ["secateur-en-small"]
    assert client.models.retrieve("secateur-en-small").owned_by == "secateur"
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.models.retrieve("other")


def test_every_format(client: Any, clip: tuple[bytes, str]) -> None:
    data, text = clip
    assert len(text.split()) > 10
    assert ask(client, data).text == text
    assert ask(client, data, response_format="text").strip() == text
    shown = [line for line in ask(client, data, response_format="srt").split("\n") if line and "-->" not in line]
    assert " ".join(line for line in shown if not line.isdigit()) == text
    assert max(map(len, shown)) <= 42
    assert ask(client, data, response_format="vtt").startswith("WEBVTT\n\n00:00:00.")
    whole = ask(client, data, response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert whole.language == "english"
    assert " ".join(segment.text for segment in whole.segments) == text
    assert all(segment.end - segment.start <= 7 for segment in whole.segments)
    words = whole.words
    assert " ".join(word.word for word in words) == text
    assert all(0 <= a.start <= a.end <= b.end <= whole.duration for a, b in itertools.pairwise(words))


def test_a_stream_of_events_spells_the_whole_text(client: Any, speech: Path) -> None:
    samples = np.concatenate([samples for samples, _ in clips(speech, "librispeech-mini", 40)[4:7]])
    assert len(samples) > 20 * 16000
    events = list(ask(client, wav(samples), stream=True))
    assert [event.type for event in events[:2]] == ["transcript.text.delta"] * 2
    assert events[-1].type == "transcript.text.done"
    assert "".join(event.delta for event in events[:-1]) == events[-1].text
    assert len(events[-1].text.split()) > 30


@pytest.mark.parametrize(
    ("more", "data", "error", "message"),
    [
        ({}, b"not audio at all", openai.BadRequestError, "not audio"),
        ({}, b"", openai.BadRequestError, "empty"),
        ({"response_format": "xml"}, None, openai.BadRequestError, "xml"),
        ({"language": "klingon"}, None, openai.BadRequestError, "unknown language .klingon."),
        ({"temperature": 7}, None, openai.BadRequestError, "temperature"),
        ({}, "61 s", openai.APIStatusError, "limit"),
        ({}, "4 MB", openai.APIStatusError, "3 MB"),
    ],
)
def test_what_is_refused(
    client: Any, clip: tuple[bytes, str], more: dict[str, Any], data: Any, error: type[Exception], message: str
) -> None:
    long = {"61 s": lambda: wav(np.zeros(61 * 8000), 8000), "4 MB": lambda: wav(np.zeros(2_000_000))}
    content = clip[0] if data is None else long[data]() if isinstance(data, str) else data
    with pytest.raises(error, match=message) as found:
        ask(client, content, **more)
    if isinstance(data, str):
        assert found.value.status_code == 413


def media(samples: np.ndarray[Any, Any], form: str, codec: str, rate: int) -> bytes:
    """The samples (at 16 kHz) in a container that telephones and browsers write."""
    av = pytest.importorskip("av")
    out = io.BytesIO()
    with av.open(out, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.round(samples * 32767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts = 16000, 0
        for piece in [*av.AudioResampler("s16", "mono", rate).resample(frame), None]:
            container.mux(stream.encode(piece))
    return out.getvalue()


def test_recordings_of_telephones_and_browsers(client: Any, speech: Path) -> None:
    ((samples, _),) = clips(speech, "librispeech-mini", 1)
    expected = ask(client, wav(samples), response_format="verbose_json")
    for form, codec, rate in (("ipod", "alac", 16000), ("webm", "libopus", 48000), ("ipod", "aac", 44100)):
        found = ask(client, media(samples, form, codec, rate), response_format="verbose_json")
        assert found.duration == pytest.approx(expected.duration, abs=0.1)
        words = found.text.split()
        assert sum(word in expected.text.split() for word in words) >= 0.8 * len(words) > 5
    with pytest.raises(openai.APIStatusError) as refused:
        ask(client, media(np.zeros(61 * 16000, np.float32), "ipod", "aac", 16000))
    assert refused.value.status_code == 413


def test_a_key_is_needed(server: Running, clip: tuple[bytes, str]) -> None:
    stranger = openai.OpenAI(base_url=server.url + "/v1", api_key="guess", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.models.list()
    with pytest.raises(openai.AuthenticationError):
        ask(stranger, clip[0])
    assert json.loads(server.get("/healthz")) == {"status": "ok"}


def test_too_many_at_once_are_told_so_and_nobody_is_lost(client: Any, clip: tuple[bytes, str]) -> None:
    data, text = clip

    def one(_: int) -> str:
        try:
            return str(ask(client, data).text)
        except openai.RateLimitError:
            return "refused"

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(8)))
    assert set(found) == {text, "refused"}  # one worker, one may wait
    assert ask(client, data).text == text  # and afterwards all is as before


def test_metrics_count(client: Any, server: Running, clip: tuple[bytes, str]) -> None:
    def read() -> dict[str, float]:
        request = urllib.request.Request(server.url + "/metrics", headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}

    before = read()
    ask(client, clip[0])
    after = read()
    name = 'secateur_requests_total{path="/v1/audio/transcriptions",status="200"}'
    assert after[name] == before.get(name, 0) + 1
    assert after["secateur_audio_seconds_total"] > before["secateur_audio_seconds_total"] + 2
    assert after["secateur_in_flight"] == 0
