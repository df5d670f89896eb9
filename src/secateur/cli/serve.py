"""`secateur serve`: recognition over HTTP, WebSocket and Wyoming."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..assistant.asked import AskedPhrases
from ..assistant.assistant import assemble
from ..assistant.skill import SkillSettings
from ..base.errors import SecateurError
from ..base.extras import require
from ..base.options import Settings, option
from ..decode.options import DecodingOptions
from ..runtime.contents import find_model
from ..runtime.recogniser import Recogniser
from ..runtime.streaming import StreamOptions
from ..runtime.writing import WritingSettings, rewriter
from ..server.http.settings import LOCAL, Access, Limits

HELP = "Serve OpenAI's transcription API, a WebSocket, Wyoming, a page, /healthz and /metrics."
EXAMPLE = """secateur serve --port 8000 --wyoming-port 10300
secateur serve --models mine=runs/mine/exported/pruned,original=exported/tiny.en --assistant home,coffee
curl -F file=@hello.wav -F model=default http://127.0.0.1:8000/v1/audio/transcriptions"""


@dataclass(frozen=True)
class Options(Settings):
    """What `secateur serve` takes."""

    models: tuple[str, ...] = option(
        (), "Serve these models: folders or bundled names, also name=folder; the first is the default."
    )
    host: str = option("127.0.0.1", "Listen on this address; 0.0.0.0 is all.")
    port: int = option(8000, "Serve HTTP and the WebSocket on this port; 0 is any free one.", least=0, most=65535)
    wyoming_port: int | None = option(
        None, "Serve Wyoming on this port, usually 10300; left out: not at all.", least=0, most=65535
    )
    zeroconf: str = option("", "Announce Wyoming to the network under this name, so that Home Assistant finds it.")
    assistant: tuple[str, ...] = option(
        ("home", "coffee"), "Give the page's assistant these grammars: names or .toml files."
    )
    wyoming_without_key: bool = option(False, "Serve Wyoming on the network without the key that HTTP asks for.")
    api_key_file: Path | None = option(
        None, "Ask clients for the key in this file; left out: for SECATEUR_API_KEY, or none."
    )
    plots: Path | None = option(
        None, "Show the sensitivity maps (.json) or images of this folder in the page's second tab."
    )
    skills: Path | None = option(None, "Load your own skills from this folder, one Python file each.")
    wake: str = option("", "Let the page's microphone give orders only after this phrase, at once or after a pause.")
    chat_url: str = option("", "Send what is no command to this OpenAI-compatible endpoint.")
    chat_model: str = option("default", "Ask that endpoint for this model; the key is SECATEUR_CHAT_KEY.")
    detector: Literal["auto", "silero", "energy"] = option(
        "auto", "Detect speech in streams by this; auto is silero where it is installed, energy costs a tenth."
    )
    writing: WritingSettings = option(WritingSettings(), "Say how what was recognised is written.", flat=True)
    threads: int | None = option(1, "Use this many CPU threads a recognition.", least=1)
    decoding: DecodingOptions = option(DecodingOptions(), "Say how audio is decoded, where a client does not.")
    limits: Limits = option(Limits(), "Bound what clients may ask.")
    access: Access = option(Access(), "Say who may ask.")
    settings: SkillSettings = option(SkillSettings(), "Tell skills about the outside.")


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT."""
    for module in ("fastapi", "uvicorn", "prometheus_client", "multipart", "websockets"):
        require(module, "serve")
    if options.wyoming_port is not None:
        require("wyoming", "serve")
    from ..assistant.web.compare import Loaded, compare_routes
    from ..assistant.web.routes import PAGE, assistant_routes
    from ..server.access_log import AccessLog
    from ..server.announce import Announced
    from ..server.http.engine import Engine
    from ..server.http.run import check_ports, serve

    key = _key(options)
    local = options.host in (*LOCAL, "localhost")
    if key and options.wyoming_port is not None and not local and not options.wyoming_without_key:
        raise SecateurError(
            f"the key does not guard Wyoming, which would answer anybody at {options.host}:{options.wyoming_port}: "
            "leave out --wyoming-port, listen on 127.0.0.1, or say --wyoming-without-key yes"
        )
    if options.zeroconf and not options.wyoming_port:
        raise SecateurError("--zeroconf announces Wyoming: name its --wyoming-port")
    announced = None
    if options.zeroconf:
        announced = Announced(options.host, options.wyoming_port or 0, options.zeroconf)
    check_ports(options.host, options.port, options.wyoming_port)
    log = AccessLog(options.access.log) if options.access.log is not None else None
    named = _named(options.models)
    models = {name: Recogniser.load(folder, options.threads) for name, folder in named}
    rewrite = rewriter(options.writing, options.decoding.words)
    for recogniser in models.values():
        recogniser.rewrite = rewrite
    listening = StreamOptions(detector=options.detector, decoding=options.decoding)
    engine = Engine(models, options.limits, key, listening, log)
    about = [Loaded(name, folder, models[name]) for name, folder in named]
    more = [compare_routes(engine, about, options.plots)]
    intents = None
    if options.assistant:
        assistant = assemble(
            next(iter(models.values())), options.assistant, options.settings, skills=options.skills,
            chat_url=options.chat_url, chat_model=options.chat_model,
        )  # fmt: skip
        more.append(assistant_routes(engine, assistant, options.assistant, options.wake))
        if options.wyoming_port is not None:
            from ..assistant.wyoming_intents import Intents

            intents = Intents(engine, assistant.understanding, options.assistant)
    asyncio.run(serve(
        engine, options.host, options.port, options.wyoming_port, more, PAGE, options.access, intents,
        AskedPhrases(options.assistant), announced,
    ))  # fmt: skip


def _named(words: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Name and folder of every model.

    Raises:
        SecateurError: no such model, or two of one name.
    """
    models: dict[str, Path] = {}
    for entry in words or ("",):
        name, given, path = entry.partition("=")
        folder = find_model((path if given else entry) or None)
        name = name if given else folder.name
        if name in models:
            raise SecateurError(f"two models are called '{name}': name one of them, as in  --models new={folder}")
        models[name] = folder
    return list(models.items())


def _key(options: Options) -> str | None:
    """The key that clients must send, if any.

    Raises:
        SecateurError: its file is missing or empty.
    """
    if options.api_key_file is None:
        return os.environ.get("SECATEUR_API_KEY") or None
    try:
        key = options.api_key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise SecateurError(f"{options.api_key_file}: cannot be read ({problem})") from problem
    if not key:
        raise SecateurError(f"{options.api_key_file}: empty; put the key into it")
    return key
