"""`secateur serve`: recognition over HTTP, WebSocket and Wyoming."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..assistant.assistant import Assistant
from ..assistant.chat import Chat
from ..assistant.grammar.file import read_grammar
from ..assistant.skill import Context, SkillSettings, timers_of
from ..assistant.skills import load
from ..assistant.understand import Understanding
from ..base.errors import SecateurError
from ..base.extras import require
from ..base.options import option
from ..runtime.recogniser import Recogniser, find_model
from ..runtime.streaming import StreamOptions
from ..server.http.settings import LOCAL, Access, Limits

HELP = "Serve OpenAI's transcription API, a WebSocket, Wyoming, a page, /healthz and /metrics."
EXAMPLE = """secateur serve --port 8000 --wyoming-port 10300
secateur serve --models runs/mine/exported,original=exported/tiny.en --assistant home,coffee
curl -F file=@hello.wav -F model=default http://127.0.0.1:8000/v1/audio/transcriptions"""


@dataclass(frozen=True)
class Options:
    """What `secateur serve` takes."""

    models: tuple[str, ...] = option((), "model folders or bundled names, also name=folder; the first is the default")
    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0 for all")
    port: int = option(8000, "of HTTP and the WebSocket; 0: any free one")
    wyoming_port: int | None = option(None, "of Wyoming, usually 10300; left out: not served")
    assistant: tuple[str, ...] = option(("home", "coffee"), "grammars of the page's assistant: names or .toml files")
    wyoming_without_key: bool = option(False, "Serve Wyoming on the network without the key that HTTP asks for.")
    api_key_file: Path | None = option(None, "file with the key that clients must send; or SECATEUR_API_KEY")
    plots: Path | None = option(None, "folder with sensitivity maps (.json) or images for the page's second tab")
    chat_url: str = option("", "OpenAI-compatible endpoint that answers what is no command")
    detector: Literal["auto", "silero", "energy"] = option(
        "auto", "of speech in streams: auto is silero where it is installed; energy costs a tenth, for quiet places"
    )
    simplified: bool = option(False, "Chinese in simplified characters")
    correct: Path | None = option(None, "Chinese: a file of `secateur text learn`; corrects what sounds right")
    threads: int | None = option(1, "CPU threads of one recognition")
    limits: Limits = field(default_factory=Limits)
    access: Access = field(default_factory=Access)
    settings: SkillSettings = field(default_factory=SkillSettings)


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT."""
    for module in ("fastapi", "uvicorn", "prometheus_client", "multipart", "websockets"):
        require(module, "serve")
    if options.wyoming_port is not None:
        require("wyoming", "serve")
    from ..assistant.web.compare import Loaded, compare_routes
    from ..assistant.web.routes import PAGE, assistant_routes
    from ..server.http.engine import Engine
    from ..server.http.run import check_ports, serve

    key = _key(options)
    local = options.host in (*LOCAL, "localhost")
    if key and options.wyoming_port is not None and not local and not options.wyoming_without_key:
        raise SecateurError(
            f"the key does not guard Wyoming, which would answer anybody at {options.host}:{options.wyoming_port}: "
            "leave out --wyoming-port, listen on 127.0.0.1, or say --wyoming-without-key yes"
        )
    check_ports(options.host, options.port, options.wyoming_port)
    named = _named(options.models)
    models = {name: Recogniser.load(folder, options.threads) for name, folder in named}
    if options.simplified or options.correct is not None:
        from ..runtime.chinese import rewriter

        rewrite = rewriter(options.simplified, options.correct)
        for recogniser in models.values():
            recogniser.rewrite = rewrite
    engine = Engine(models, options.limits, key, StreamOptions(detector=options.detector))
    about = [Loaded(name, folder, models[name]) for name, folder in named]
    more = [compare_routes(engine, about, options.plots)]
    if options.assistant:
        grammar = read_grammar(*options.assistant)
        context = Context(options.settings, grammar.language, timers=timers_of(options.settings))
        understanding = Understanding(next(iter(models.values())), grammar)
        chat = Chat(options.chat_url, key=os.environ.get("SECATEUR_CHAT_KEY", "")) if options.chat_url else None
        assistant = Assistant(understanding, load(), context, chat)
        more.append(assistant_routes(engine, assistant, options.assistant))
    asyncio.run(serve(engine, options.host, options.port, options.wyoming_port, more, PAGE, options.access))


def _named(words: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Name and folder of every model.

    Raises:
        SecateurError: no such model, or two of one name.
    """
    found: dict[str, Path] = {}
    for word in words or ("",):
        name, given, place = word.partition("=")
        folder = find_model((place if given else word) or None)
        name = name if given else folder.name
        if name in found:
            raise SecateurError(f"two models are called '{name}': name one of them, as in  --models new={folder}")
        found[name] = folder
    return list(found.items())


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
