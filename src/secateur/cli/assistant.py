"""`secateur assistant`: commands from a microphone, recordings or text, understood and answered."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..assistant.assistant import Assistant, Reply, assemble
from ..assistant.listen import Wake, blocks_of, commands, microphone
from ..assistant.skill import SkillSettings
from ..assistant.skills.timer import rings
from ..assistant.speak import say_aloud
from ..base.errors import SecateurError
from ..base.files import Json
from ..base.locale import translated
from ..base.options import Settings, option
from ..runtime.recogniser import Recogniser

T = TypeVar("T")

HELP = "Understand spoken or typed commands, act, answer. Without inputs it listens to the microphone."
EXAMPLE = """secateur assistant --wake "hey secateur" --speak
secateur assistant order.wav --grammar coffee
echo "set a timer for five minutes" | secateur assistant - --ring"""
STREAM = "replies"  # of the result: shown one by one


@dataclass(frozen=True)
class Options(Settings):
    """What `secateur assistant` takes."""

    inputs: tuple[str, ...] = option(
        (), "Answer the commands in these recordings, or typed ones on standard input (-).", positional=True
    )
    model: str | None = option(None, "Use this exported folder, checkpoint folder or bundled name.")
    grammar: tuple[str, ...] = option(
        ("home", "coffee"), "Understand these grammars: home, coffee, home_zh or .toml files."
    )
    phrases: bool = option(True, "Decode inside the grammar (phrase mode).")
    wake: str = option("", "Answer only what follows this phrase, at once or after a pause.")
    ring: bool = option(False, "Stay after the last input until every timer has rung.")
    speak: bool = option(False, "Say answers aloud through espeak-ng.")
    skills: Path | None = option(None, "Add the skills in this folder, one Python file each.")
    chat_url: str = option("", "Send all else to this OpenAI-compatible endpoint, such as http://localhost:8080/v1.")
    chat_model: str = option("default", "Ask for this model there; the key is SECATEUR_CHAT_KEY.")
    threads: int | None = option(None, "Use this many CPU threads; left out: the runtime's own choice.", least=1)
    settings: SkillSettings = option(SkillSettings(), "Tell skills about the outside.")


def build(options: Options) -> Assistant:
    """The assistant that the options describe."""
    recogniser = Recogniser.load(options.model, options.threads)
    phrases = options.phrases and set(options.inputs) != {"-"}  # what is only typed may be in any language
    return assemble(
        recogniser, options.grammar, options.settings, phrases, options.skills, options.chat_url, options.chat_model
    )


def run(options: Options) -> Iterator[Json]:
    """Answer every command as it comes; a timer that runs out is a reply of its own.

    Raises:
        SecateurError: the options do not fit, before anything is read.
    """
    if options.settings.timeout <= 0:
        raise SecateurError("settings.timeout must be above 0")
    return _spoken_replies(build(options), options)


def show(result: Json) -> str:
    """The hypothesis, its intents and the answer of every reply."""
    lines = []
    for reply in result[STREAM]:
        if reply["intent"] == "ring":
            lines.append(f"\a* {reply['answer']}")
            continue
        first = {"intent": reply["intent"], "slots": reply["slots"]}
        orders = [] if reply["intent"] is None else [first, *reply["also"]]
        intents = []
        for order in orders:
            slots = ", ".join(f"{key}: {value}" for key, value in order["slots"].items())
            intents.append(f"{order['intent']}{f' ({slots})' if slots else ''}")
        lines += [f"> {reply['heard']}", f"  {' + '.join(intents) or translated('(no intent)')}", reply["answer"]]
    return "\n".join(lines)


def _spoken_replies(assistant: Assistant, options: Options) -> Iterator[Json]:
    """Replies, said aloud where that was asked for."""
    for reply in _replies(assistant, options):
        if options.speak and reply.answer:
            say_aloud(reply.answer, assistant.context.language)
        yield reply.to_json()


def _replies(assistant: Assistant, options: Options) -> Iterator[Reply]:
    """Replies to all inputs, and to the timers that run out meanwhile."""
    timers, wake = assistant.context.timers, Wake(options.wake) if options.wake else None

    def due() -> Iterator[Reply]:
        for timer in timers.due():
            yield Reply("", "", "ring", {"kind": timer.kind}, 1.0, rings(timer, assistant.context))

    recogniser = assistant.understanding.recogniser
    rate = recogniser.sample_rate
    sources: list[Callable[[], Iterable[Any]]] = [] if options.inputs else [lambda: commands(microphone(rate), rate)]
    for name in options.inputs:
        if name == "-":
            sources.append(lambda: (line.strip() for line in sys.stdin if line.strip()))
        else:
            samples = recogniser.samples(name)
            sources.append(lambda s=samples: commands(blocks_of(s, rate), rate) if wake else [s])  # type: ignore[misc]
    for source in sources:
        for item in _arriving(source()):
            yield from due()
            if item is None:
                continue
            if isinstance(item, str):
                yield assistant.answer_text(item)
                continue
            command = item if wake is None else wake.follow(recogniser, item)
            reply = None if command is None else assistant.answer_audio(command)
            if reply is not None and reply.text:
                yield reply
    while options.ring and timers.running():
        yield from due()
        threading.Event().wait(0.2)


def _arriving(source: Iterable[T]) -> Iterator[T | None]:
    """The items of `source`, and None several times a second while it has none."""
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue()

    def read() -> None:
        try:
            for item in source:
                waiting.put(("item", item))
            waiting.put(("end", None))
        except BaseException as problem:
            waiting.put(("problem", problem))

    threading.Thread(target=read, daemon=True, name="input").start()
    while True:
        try:
            kind, item = waiting.get(timeout=0.25)
        except queue.Empty:
            yield None
            continue
        if kind == "end":
            return
        if kind == "problem":
            raise item
        yield item
