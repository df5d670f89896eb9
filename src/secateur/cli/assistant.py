"""`secateur assistant`: commands from a microphone, recordings or text, understood and answered."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..assistant.assistant import Assistant, Reply
from ..assistant.chat import Chat
from ..assistant.grammar.file import read_grammar
from ..assistant.listen import blocks_of, commands, microphone, woken
from ..assistant.skill import Context, SkillSettings
from ..assistant.skills import load
from ..assistant.skills.timer import due
from ..assistant.speak import say_aloud
from ..assistant.understand import Understanding
from ..base.errors import SecateurError
from ..base.options import option, to_dict
from ..runtime.recogniser import Recogniser

HELP = "Hear a command, understand it, act, answer. Without inputs it listens to the microphone."
EXAMPLE = """secateur assistant --wake "hey secateur" --speak
secateur assistant order.wav --grammar coffee
echo "set a timer for five minutes" | secateur assistant - --json"""


@dataclass(frozen=True)
class Options:
    """What `secateur assistant` takes."""

    inputs: tuple[str, ...] = option((), "recordings, or - for typed commands on standard input", positional=True)
    model: str | None = option(None, "exported folder, checkpoint folder or bundled name; bundled if left out")
    grammar: tuple[str, ...] = option(("home", "coffee"), "what can be said: home, coffee, home_zh or .toml files")
    phrases: bool = option(True, "decode inside the grammar (phrase mode)")
    wake: str = option("", "answer only what begins with this phrase")
    speak: bool = option(False, "say answers through espeak-ng")
    skills: Path | None = option(None, "folder of your own skills, one Python file each")
    chat_url: str = option("", "OpenAI-compatible endpoint for all else, such as http://localhost:8080/v1")
    chat_model: str = option("default", "the model's name there; the key is SECATEUR_CHAT_KEY")
    threads: int | None = option(None, "CPU threads; the runtime's own choice if left out")
    settings: SkillSettings = field(default_factory=SkillSettings)


def build(options: Options) -> Assistant:
    """The assistant that the options describe."""
    grammar = read_grammar(*options.grammar)
    understanding = Understanding(Recogniser.load(options.model, options.threads), grammar, options.phrases)
    chat = Chat(options.chat_url, options.chat_model, os.environ.get("SECATEUR_CHAT_KEY", ""))
    context = Context(options.settings, grammar.language)
    return Assistant(understanding, load(options.skills), context, chat if options.chat_url else None)


def run(options: Options) -> dict[str, Any] | None:
    """Answer every command; from a microphone each as it comes."""
    assistant = build(options)
    replies = []
    for reply in _replies(assistant, options):
        replies.append(to_dict(reply))
        if options.speak and reply.answer:
            say_aloud(reply.answer, assistant.context.language)
        if not options.inputs:
            print(f"> {reply.heard}\n{reply.answer}", flush=True)
    return {"replies": replies} if options.inputs else None


def show(result: dict[str, Any]) -> str:
    """What was heard, what it means, what is answered."""
    lines = []
    for reply in result["replies"]:
        slots = ", ".join(f"{key}: {value}" for key, value in reply["slots"].items())
        meaning = f"  {reply['intent']}{f' ({slots})' if slots else ''}" if reply["intent"] else "  (no intent)"
        lines += [f"> {reply['heard']}", meaning, reply["answer"]]
    return "\n".join(lines)


def _replies(assistant: Assistant, options: Options) -> Iterator[Reply]:
    recogniser = assistant.understanding.recogniser
    rate = recogniser.sample_rate
    if not options.inputs:
        if options.settings.timeout <= 0:
            raise SecateurError("settings.timeout must be above 0")
        for command in commands(microphone(rate), rate):
            if due(assistant.context):
                yield Reply("", "", "timer", answer=assistant.context.say("Your timer has run out.", "时间到了。"))
            yield from _answered(assistant, options, command)
    for name in options.inputs:
        if name == "-":
            for line in sys.stdin:
                if line.strip():
                    yield assistant.read(line.strip())
            continue
        samples = recogniser.samples(name)
        found = list(commands(blocks_of(samples, rate), rate)) if options.wake else [samples]
        for command in found:
            yield from _answered(assistant, options, command)


def _answered(assistant: Assistant, options: Options, command: Any) -> Iterator[Reply]:
    """The reply to one spoken command, if it was for us."""
    if options.wake:
        heard = assistant.understanding.recogniser.transcribe(command).text
        rest = woken(heard, options.wake)
        if rest is None:
            return
        if rest:
            yield assistant.read(rest)
            return
    reply = assistant.hear(command)
    if reply.heard:
        yield reply
