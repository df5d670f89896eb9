"""Official clients against a running server, call by call: does each get what it asked for?

    npm install --prefix /tmp/node openai ws
    python benchmarks/conformance.py --node /tmp/node --out benchmarks/results/conformance.json

openai-python, openai-node (left out without --node), the package wyoming and curl, each unchanged, with the bundled
model and one of its own test clips; a key is asked for by a second server. A call passes when its answer is right,
not only when there is one: the text is that of `secateur transcribe`, a refusal has its status and names the field.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import io
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import warnings
import wave
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import soundfile
import soxr
from recorded import how

from secateur.base.files import write_json
from secateur.runtime.recogniser import Recogniser

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from running_server import Running, serving  # noqa: E402

CLIP = ROOT / "src" / "secateur" / "data" / "bundled" / "test" / "ivan-00.opus"
Calls = dict[str, Callable[[], bool]]


def openai_python(server: Running, keyed: Running, file: Path, text: str) -> Calls:
    """Calls of openai-python."""
    import openai

    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    create = client.audio.transcriptions.create

    def ask(**more: Any) -> Any:
        return create(file=file, model="gpt-4o-transcribe", **more)

    def refused(kind: Any, word: str, run: Callable[[], Any]) -> bool:
        try:
            run()
        except kind as problem:
            return word in str(problem)
        return False

    def verbose() -> bool:
        found = ask(response_format="verbose_json", timestamp_granularities=["word", "segment"])
        words = [word.word for word in found.words]
        return bool(words == text.split() and found.segments[0].tokens and found.language == "english")

    def realtime(vad: bool) -> bool:
        silence = bytes(48_000)
        data = silence + pcm24(file) + 2 * silence
        turns = {"type": "server_vad"} if vad else None
        with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
            connection.session.update(session={"type": "transcription", "audio": {"input": {"turn_detection": turns}}})
            for at in range(0, len(data), 9600):
                connection.input_audio_buffer.append(audio=base64.b64encode(data[at : at + 9600]).decode())
            if not vad:
                connection.input_audio_buffer.commit()
            while True:
                event = connection.recv()
                if event.type == "conversation.item.input_audio_transcription.completed":
                    return len(set(event.transcript.split()) & set(text.split())) > 0.6 * len(text.split())
                if event.type == "error":
                    raise AssertionError(event.error.message)

    stranger = openai.OpenAI(base_url=keyed.url + "/v1", api_key="guess", max_retries=0)
    friend = openai.OpenAI(base_url=keyed.url + "/v1", api_key="secret", max_retries=0)
    return {
        "models.list": lambda: [one.id for one in client.models.list()] == ["secateur-en"],
        "models.retrieve": lambda: client.models.retrieve("secateur-en").owned_by == "secateur",
        "models.retrieve of another: 404": lambda: refused(
            openai.NotFoundError, "does not exist", lambda: client.models.retrieve("other")
        ),
        "transcriptions, json": lambda: ask().text == text,
        "transcriptions, text": lambda: ask(response_format="text").strip() == text,
        "transcriptions, srt": lambda: " --> " in ask(response_format="srt"),
        "transcriptions, vtt": lambda: ask(response_format="vtt").startswith("WEBVTT"),
        "transcriptions, verbose_json with words and segments": verbose,
        "transcriptions, include logprobs": lambda: (
            "".join(one.token for one in ask(include=["logprobs"]).logprobs).strip() == text
        ),
        "transcriptions, stream": lambda: list(ask(stream=True))[-1].text == text,
        "transcriptions, prompt of 100 kB": lambda: ask(prompt="word " * 20_000).text == text,
        "transcriptions, temperature": lambda: bool(ask(temperature=0.4).text),
        "transcriptions, language": lambda: ask(language="en").text == ask(language="auto").text == text,
        "transcriptions, chunking_strategy": lambda: ask(chunking_strategy="auto").text == text,
        "transcriptions, keywords and languages": lambda: ask(keywords=["bed"], languages=["en"]).text == text,
        "transcriptions, phrases of one's own": lambda: ask(extra_body={"phrases": [text, "open"]}).text == text,
        "an unknown field: 400 by its name": lambda: refused(
            openai.BadRequestError, "langauge", lambda: ask(extra_body={"langauge": "en"})
        ),
        "speakers: 400 with the reason": lambda: refused(
            openai.BadRequestError, "speakers", lambda: ask(response_format="diarized_json")
        ),
        "translations: 404 with the reason": lambda: refused(
            openai.NotFoundError,
            "does not translate",
            lambda: client.audio.translations.create(file=file, model="whisper-1"),
        ),
        "realtime, server VAD": lambda: realtime(True),
        "realtime, commits": lambda: realtime(False),
        "a wrong key: 401": lambda: refused(openai.AuthenticationError, "key", stranger.models.list),
        "the right key": lambda: friend.audio.transcriptions.create(file=file, model="default").text == text,
    }


def curl(server: Running, keyed: Running, file: Path, text: str) -> Calls:
    """Calls of curl, as the pages show them."""
    path = "/v1/audio/transcriptions"

    def run(url: str, *words: str) -> str:
        command = ["curl", "-sS", "--max-time", "60", *words, url]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    form = ("-F", f"file=@{file}")
    bearer = ("-H", "Authorization: Bearer secret")
    status = ("-o", "/dev/null", "-w", "%{http_code}")
    return {
        "transcriptions": lambda: json.loads(run(server.url + path, *form))["text"] == text,
        "transcriptions, text": lambda: run(server.url + path, *form, "-F", "response_format=text").strip() == text,
        "transcriptions, chunked upload": lambda: (
            json.loads(run(server.url + path, "-H", "Transfer-Encoding: chunked", *form))["text"] == text
        ),
        "transcriptions, stream": lambda: "transcript.text.done" in run(server.url + path, *form, "-F", "stream=true"),
        "a field without a file: 400": lambda: (
            "file" in json.loads(run(server.url + path, "-F", "model=default"))["error"]["message"]
        ),
        "with a key": lambda: json.loads(run(keyed.url + path, *form, *bearer))["text"] == text,
        "without it: 401": lambda: run(keyed.url + path, *form, *status) == "401",
        "healthz and metrics": lambda: (
            "ok" in run(server.url + "/healthz") and "secateur_requests_total" in run(server.url + "/metrics")
        ),
        "docs": lambda: "timestamp_granularities" in run(server.url + "/docs"),
        "another host name: 421": lambda: run(server.url + "/v1/models", "-H", "Host: evil.example", *status) == "421",
        "HTTP/1.0": lambda: json.loads(run(server.url + path, "-0", *form))["text"] == text,
    }


def wyoming(server: Running, file: Path, text: str) -> Calls:
    """Calls of the package wyoming."""
    from wyoming.asr import Transcribe, Transcript
    from wyoming.audio import AudioChunk, wav_to_chunks
    from wyoming.client import AsyncTcpClient
    from wyoming.error import Error
    from wyoming.info import Describe, Info
    from wyoming.intent import Intent, NotRecognized, Recognize
    from wyoming.ping import Ping, Pong

    async def talk(events: list[Any], until: Any, rate: int = 0) -> Any:
        async with AsyncTcpClient("127.0.0.1", server.wyoming) as client:
            for event in events:
                await client.write_event(event.event())
            if rate:
                for event in wav_to_chunks(sound(file, rate), 1024, start_event=True, stop_event=True):
                    await client.write_event(event.event())
            while True:
                event = await asyncio.wait_for(client.read_event(), 60)
                assert event is not None
                if until.is_type(event.type):
                    return until.from_event(event)

    def ask(events: list[Any], until: Any, rate: int = 0) -> Any:
        return asyncio.run(talk(events, until, rate))

    def spoken(rate: int) -> bool:
        found = ask([Transcribe(language="en")], Transcript, rate).text
        return len(set(found.split()) & set(text.split())) > 0.6 * len(text.split())

    return {
        "describe": lambda: bool(ask([Describe()], Info).asr[0].models[0].languages == ["en"]),
        "describe: intents": lambda: bool(ask([Describe()], Info).intent),
        "ping": lambda: bool(ask([Ping("there?")], Pong).text == "there?"),
        "transcribe, 16 kHz": lambda: spoken(16_000),
        "transcribe, 44.1 kHz": lambda: spoken(44_100),
        "recognize: an intent": lambda: bool(ask([Recognize("turn on the kitchen light")], Intent).name == "turnOn"),
        "recognize: a negation is none": lambda: bool(ask([Recognize("don't turn on the light")], NotRecognized)),
        "an error arrives": lambda: "audio-start" in ask([AudioChunk(16_000, 2, 1, bytes(640))], Error).text,
        "a model that is not here: error": lambda: "does not exist" in ask([Transcribe(name="other")], Error).text,
    }


@contextlib.contextmanager
def behind_tls(server: Running, folder: Path) -> Iterator[int]:
    """A port at which a server speaks TLS, with a certificate of its own: openai-node's realtime knows nothing else."""
    pair = folder / "pair.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*command, "-keyout", pair, "-out", f"{pair}.crt"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{pair}.crt", pair)
    loop = asyncio.new_event_loop()

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(copy(reader, forth), copy(back, writer))

    listening = loop.run_until_complete(asyncio.start_server(connected, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield int(listening.sockets[0].getsockname()[1])
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def openai_node(server: Running, node: Path, file: Path, text: str) -> list[dict[str, Any]]:
    """Calls of openai-node."""
    script = node / "conformance.js"
    shutil.copy(ROOT / "benchmarks" / "conformance.js", script)
    Path(f"{file}.pcm24").write_bytes(pcm24(file))
    with behind_tls(server, file.parent) as port:
        words = ["node", str(script), server.url, str(file), text, f"https://127.0.0.1:{port}"]
        environment = {**os.environ, "NODE_TLS_REJECT_UNAUTHORIZED": "0"}
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    return [json.loads(line) for line in done.stdout.splitlines()]


def pcm24(file: Path) -> bytes:
    """A file as OpenAI's realtime clients send it."""
    samples, rate = soundfile.read(file, dtype="float32")
    return bytes((soxr.resample(samples, rate, 24_000) * 32767).clip(-32767, 32767).astype("<i2").tobytes())


def sound(file: Path, rate: int) -> wave.Wave_read:
    """A file as a WAV at another rate."""
    samples, own = soundfile.read(file, dtype="float32")
    data = (soxr.resample(samples, own, rate) * 32767).clip(-32767, 32767).astype("<i2").tobytes()
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(data)
    buffer.seek(0)
    return wave.open(buffer, "rb")


def rows_of(client: str, calls: Calls) -> list[dict[str, Any]]:
    """A row a call."""
    rows = []
    for call, run in calls.items():
        detail, passed = "", False
        try:
            passed = bool(run())
        except Exception as problem:  # whatever a client raises, the call did not pass
            detail = f"{type(problem).__name__}: {problem}"[:200]
        rows.append({"client": client, "call": call, "passed": passed, "detail": detail})
        print(client, call, "passed" if passed else f"FAILED {detail}", flush=True)
    return rows


def main() -> None:
    """Ask, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", type=Path, help="a folder with node_modules/openai and ws")
    parser.add_argument("--out", type=Path, help="write the rows as JSON here")
    options = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)
    with tempfile.TemporaryDirectory() as folder, serving() as server, serving(SECATEUR_API_KEY="secret") as keyed:
        file = Path(folder) / "clip.wav"
        samples, rate = soundfile.read(CLIP, dtype="float32")
        soundfile.write(file, soxr.resample(samples, rate, 16_000) if rate != 16_000 else samples, 16_000)
        text = Recogniser.load(threads=1).transcribe(file).text
        clients = {"openai-python": version("openai"), "wyoming": version("wyoming")}
        clients["curl"] = subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout.split()[1]
        rows = rows_of("openai-python", openai_python(server, keyed, file, text))
        if options.node is not None:
            about = json.loads((options.node / "node_modules" / "openai" / "package.json").read_text())
            clients["openai-node"] = about["version"]
            node = openai_node(server, options.node, file, text)
            rows += [{"client": "openai-node", **row} for row in node]
            print(*node, sep="\n")
        rows += rows_of("wyoming", wyoming(server, file, text)) + rows_of("curl", curl(server, keyed, file, text))
        assert "Traceback" not in server.said()
    print(f"{sum(row['passed'] for row in rows)} of {len(rows)}")
    if options.out:
        write_json(options.out, {"how": how(), "clients": clients, "rows": rows})


if __name__ == "__main__":
    main()
