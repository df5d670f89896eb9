"""OpenAI's own client against a real server with the bundled model and a real recording."""

from __future__ import annotations

import io
import itertools
import json
import urllib.error
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
from secateur.text.normalise import normaliser

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
    samples, _ = clips(speech, "librispeech-mini", 40)[7]  # without names, which a prompt may spell otherwise
    return wav(samples), Recogniser.load(threads=1).transcribe(samples).text


def wav(samples: np.ndarray[Any, Any], rate: int = 16000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def ask(client: Any, data: bytes, **more: Any) -> Any:
    return client.audio.transcriptions.create(file=("../../etc/passwd", data), model="whisper-1", **more)


def test_models(client: Any, server: Running) -> None:
    assert [model.id for model in client.models.list()] == ["secateur-en"]
    assert client.models.retrieve("secateur-en").owned_by == "secateur"
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


def test_log_probabilities_spell_the_text(client: Any, clip: tuple[bytes, str]) -> None:
    data, text = clip
    pieces = ask(client, data, include=["logprobs"]).logprobs
    assert "".join(piece.token for piece in pieces).strip() == text
    assert bytes(int(one) for piece in pieces for one in piece.bytes).decode().strip() == text
    assert all(-20 < piece.logprob <= 0 for piece in pieces)
    events = list(ask(client, data, stream=True, include=["logprobs"]))
    assert "".join(piece.token for piece in events[-1].logprobs).strip() == text
    segments = ask(client, data, response_format="verbose_json").segments
    assert [token for segment in segments for token in segment.tokens] and all(one.tokens for one in segments)
    assert all(one.avg_logprob < 0 for one in segments)


def test_words_alone_where_only_they_are_asked_for(client: Any, clip: tuple[bytes, str]) -> None:
    found = ask(client, clip[0], response_format="verbose_json", timestamp_granularities=["word"])
    assert found.words and found.segments is None


@pytest.mark.parametrize(
    "more",
    [
        {"prompt": "a very long prompt, " * 5000},
        {"prompt": "很长的提示" * 3000},
        {"language": "auto"},
        {"languages": ["en", "de"]},
        {"chunking_strategy": "auto"},
        {"chunking_strategy": {"type": "server_vad", "threshold": 0.4}},
        {"temperature": 0},
        {"keywords": ["Dorothy", "Toto"]},
    ],
)
def test_no_word_is_lost_by(client: Any, clip: tuple[bytes, str], more: dict[str, Any]) -> None:
    same = normaliser("en")  # a prompt may turn "you've" into "you have"
    assert same(ask(client, clip[0], **more).text) == same(clip[1])


def test_a_temperature_is_used(client: Any, clip: tuple[bytes, str]) -> None:
    found = ask(client, clip[0], response_format="verbose_json", temperature=0.5)
    assert {segment.temperature for segment in found.segments} <= {0.5, 0.7, 0.9}
    assert len(set(found.text.split()) & set(clip[1].split())) > 8
    cold = ask(client, clip[0], response_format="verbose_json")
    assert {segment.temperature for segment in cold.segments} == {0.0}


def test_translations_are_refused_with_the_reason(client: Any, clip: tuple[bytes, str]) -> None:
    with pytest.raises(openai.NotFoundError, match="does not translate"), pytest.warns(DeprecationWarning):
        client.audio.translations.create(file=("a.wav", clip[0]), model="whisper-1")


def test_one_of_some_phrases_was_said(client: Any, clip: tuple[bytes, str], speech: Path) -> None:
    data, text = clip
    phrases = ["Turn on the light!", f"{text.capitalize()}.", "Open sesame"]
    found = ask(client, data, extra_body={"phrases": phrases})
    assert found.text == phrases[1] and found.phrase["confidence"] > 0.5
    assert ask(client, data, response_format="text", extra_body={"phrases": phrases}).strip() == phrases[1]
    none = ask(client, data, extra_body={"phrases": [phrases[0], phrases[2]]})
    assert none.text == "" and none.phrase["free"] == text
    ordered = next(p for p in sorted((speech / "barista-commands" / "test").glob("*.opus")))
    found = ask(client, ordered.read_bytes(), extra_body={"grammar": "coffee"})
    assert found.phrase["intent"] == "orderDrink" and found.phrase["slots"]["coffeeDrink"] in found.text
    own = '[intents]\nspoken = ["<words>"]\n[rules]\nwords = "' + text + '"\n'
    assert ask(client, data, extra_body={"grammar": own}).phrase["intent"] == "spoken"


NESTED = "\n".join(
    ["[intents]", 'a = ["<r0>"]', "[rules]", *(f'r{i} = "<r{i + 1}> <r{i + 1}>"' for i in range(20)), 'r20 = "x"']
)


@pytest.mark.parametrize(
    ("more", "param", "message"),
    [
        ({"langauge": "en"}, "langauge", "did you mean 'language'"),
        ({"beam": 5}, "beam", "Unknown field"),
        ({"known_speaker_names[]": "anna"}, "known_speaker_names", "speakers"),
        ({"response_format": "diarized_json"}, "response_format", "speakers"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities", "verbose_json"),
        ({"include[]": "tokens"}, "include", "logprobs"),
        ({"include[]": "logprobs", "response_format": "srt"}, "include", "json"),
        ({"stream": "maybe"}, "stream", "true or false"),
        ({"languages[]": "de"}, "languages", "none of de"),
        ({"chunking_strategy[type]": "server_vad", "chunking_strategy[prefix_padding_ms]": "3"}, None, "threshold"),
        ({"phrases[]": "hello", "grammar": "home"}, "phrases", "exclude"),
        ({"phrases[]": "hello", "response_format": "srt"}, "response_format", "json or text"),
        ({"phrases[]": "?!"}, None, "no word"),
        ({"grammar": "/etc/passwd"}, None, "no grammar"),
        ({"grammar": "../../secret.toml"}, None, "no grammar"),
        ({"grammar": NESTED}, None, "states"),
        ({"grammar": "a = [" * 300}, None, "TOML"),
    ],
)
def test_fields_are_refused_by_name(
    client: Any, clip: tuple[bytes, str], more: dict[str, str], param: str | None, message: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=message) as found:
        ask(client, clip[0], extra_body=more)
    assert set(found.value.body) == {"message", "type", "param", "code"}
    if param is not None:
        assert found.value.body["param"] == param


@pytest.mark.parametrize(
    ("path", "body", "status"), [("/v1/assistant", b'{"client": 1}', 400), ("/v1/nowhere", None, 404)]
)
def test_every_error_has_openais_shape(server: Running, path: str, body: bytes | None, status: int) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    with pytest.raises(urllib.error.HTTPError) as found:
        urllib.request.urlopen(urllib.request.Request(server.url + path, body, headers), timeout=10)
    assert found.value.code == status
    assert set(json.loads(found.value.read())["error"]) == {"message", "type", "param", "code"}


def test_the_documentation_is_one_page_without_a_script(server: Running) -> None:
    page = server.get("/docs")
    assert "/v1/audio/transcriptions" in page and "timestamp_granularities[]" in page and "/v1/realtime" in page
    assert "<script" not in page and "src=" not in page and 'href="http' not in page
    fields = json.loads(server.get("/openapi.json"))["paths"]["/v1/audio/transcriptions"]["post"]["requestBody"]
    assert "phrases[]" in fields["content"]["multipart/form-data"]["schema"]["properties"]


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
