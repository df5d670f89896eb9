"""In an environment with the base install alone: every extra that is missing is asked for in one line that names it.

Run by the interpreter of that environment: check_extras.py PYPROJECT. Prints what each extra said; exit code 1 when one
did not, or when pyproject.toml has an extra that this script knows no use of.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory

from secateur.base.errors import SecateurError
from secateur.cli import main

FOR_DEVELOPERS = {"dev", "docs"}  # tools, which nothing in the package imports
CLIP = "clip.jsonl"


def command(*words: str) -> Callable[[], None]:
    """A command whose error is caught from standard error."""

    def use() -> None:
        import contextlib
        import io

        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            code = main(list(words))
        if code == 2:
            raise SecateurError(said.getvalue().strip())

    return use


def silero() -> None:
    """The detector of speech."""
    from secateur.runtime.vad import detector

    detector("silero", 16000)


def pieces() -> None:
    """Pieces of words, learnt."""
    from secateur.text.pieces import pieces_of

    pieces_of(["some text"], 10)


def hub() -> None:
    """A checkpoint's weights, as the hub has them."""
    from secateur.base.extras import require

    require("safetensors", "hub")


def media() -> None:
    """FFmpeg's libraries (an ffmpeg program, where there is one, would do instead)."""
    from secateur.base.extras import require

    require("av", "media")


def parquet() -> None:
    """A table of Hugging Face with the audio inside."""
    from secateur.data.layouts import read_set

    Path("a.parquet").write_bytes(b"PAR1")
    read_set(Path("a.parquet"))


def tensorboard() -> None:
    """A training log."""
    from secateur.train.tensorboard import write_events

    write_events(Path(), {"step": 1})


def keras() -> None:
    """What prunes while `fit` runs."""
    from secateur.keras import Pruner

    Pruner(amount=0.5)


def microphone() -> None:
    """Blocks of sound."""
    from secateur.assistant.listen import microphone

    next(microphone(16000))


def transformers() -> None:
    """A folder of transformers."""
    from secateur.base.extras import require

    require("transformers", "transformers")


def numbers() -> None:
    """English numbers in digits."""
    from secateur.text.english_numbers import english_numbers

    english_numbers("twenty five")


def polyphones() -> None:
    """A network that reads polyphones."""
    from secateur.text.polyphone_model import read_by_model

    read_by_model("重庆")


def announced() -> None:
    """A server that the network is told of."""
    from secateur.server.announce import Announced

    Announced("0.0.0.0", 10300, "secateur")


USES: dict[str, Callable[[], None]] = {
    "train": command("train", "--train", CLIP, "--out", "run"),
    "hub": hub,
    "media": media,
    "parquet": parquet,
    "remote": command("data", "stats", "http://127.0.0.1:9/set.jsonl"),
    "stream": silero,
    "pieces": pieces,
    "sphinx": command("lm", "--general", "--out", "general.npz"),
    "zh": command("text", "pinyin", "你好"),
    "numbers": numbers,
    "polyphones": polyphones,
    "tensorboard": tensorboard,
    "transformers": transformers,
    "ray": command("transcribe", CLIP, "--engine", "ray", "--out", "heard.jsonl"),
    "keras": keras,
    "serve": command("serve"),
    "zeroconf": announced,
    "assistant": microphone,
}


def missing(requirements: list[str]) -> list[str]:
    """Names of distributions that are not installed."""
    absent = []
    for text in requirements:
        found = re.match(r"[\w.-]+", text)
        name = found[0] if found else text
        try:
            distribution(name)
        except PackageNotFoundError:
            absent.append(name)
    return absent


def check(pyproject: Path) -> list[str]:
    """What is wrong, one line an extra."""
    wrong = []
    extras = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name, requirements in extras.items():
        lacking = missing(requirements)
        if name in FOR_DEVELOPERS:
            continue
        if not lacking:
            print(f"{name:12} nothing is missing")
            continue
        if name not in USES:
            wrong.append(f"{name}: check_extras.py knows no use of this extra; {', '.join(lacking)} are not installed")
            continue
        try:
            USES[name]()
        except SecateurError as problem:
            print(f"{name:12} {problem}")
            if f"pip install 'secateur-asr[{name}]'" not in str(problem):
                wrong.append(f"{name}: the message does not say how to install it: {problem}")
        except Exception as problem:
            wrong.append(f"{name}: {type(problem).__name__}: {problem}")
        else:
            wrong.append(f"{name}: worked without {', '.join(lacking)}")
    return wrong


if __name__ == "__main__":
    place = Path(sys.argv[1]).resolve()
    with TemporaryDirectory() as folder:
        Path(folder, CLIP).write_text('{"id": "a", "audio": "a.wav", "duration": 1.0, "text": "a"}\n')
        import os

        os.chdir(folder)
        problems = check(place)
    for problem in problems:
        print(f"WRONG {problem}", file=sys.stderr)
    sys.exit(bool(problems))
