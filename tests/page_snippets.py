"""Fenced snippets of the pages: which there are, what they say, and how they are run or, where they cannot be, parsed.

Every fence of `sh`, `python` and `toml` is run (of TOML: read). A comment on the line before it changes that:

    <!-- not run: needs a GPU -->   its commands are only parsed, options and all; Python is only compiled
    <!-- fails: no such file -->    its commands are refused with exit code 2 and a line that holds these words
    <!-- file: study.toml -->       it is written to this file of the page's folder
    <!-- from: tests/a.py -->       its lines are that file's lines, one after the other
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from secateur.cli import COMMANDS, main
from secateur.cli.command import build_options, make_parser

FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
EXTRAS = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
FEW = "--training.steps 2 --training.batch-seconds 8 --training.validate-every 100 --device cpu"
# What makes a job one of seconds, put behind the words of the page.
SHORT = {
    "adapt": f"{FEW} --training.ema 0 --prune.every 1 --conditions pause-1 --condition-clips 2 --timed-clips 1",
    "train": FEW,
    "prune": FEW,
    "one-shot": "--device cpu",
    "sensitivity": "--limit 2 --screen 1 --decode 1 --amounts 0.5 --device cpu",
    "study": "--devices cpu",
    "evaluate": "--device cpu",
    "compare": "--resamples 100 --device cpu",
}  # fmt: skip


@dataclass(frozen=True)
class Fence:
    """A snippet: its language, text, first line on the page, and the mark before it (`file` and `study.toml`, say)."""

    language: str
    body: str
    line: int
    mark: str = ""
    about: str = ""


def fences(page: Path) -> list[Fence]:
    """All of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for m in FENCE.finditer(text):
        mark, _, about = (m["mark"] or "").partition(": ")
        found.append(Fence(m["language"], m["body"], text.count("\n", 0, m.start("body")) + 1, mark, about))
    return found


def lines_of(body: str) -> list[str]:
    """The commands of a shell snippet: comments gone, continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", body)
    lines = []
    for line in joined.splitlines():
        words = shlex.split(line, comments=True)
        if words:
            lines.append(re.sub(r"\s+#\s.*$", "", line).strip())
    return lines


def command_of(words: list[str]) -> tuple[ModuleType, str, list[str]]:
    """The module of a `secateur` command, its name, and what is left of the words.

    Raises:
        KeyError: there is no such command.
    """
    assert words[0] in COMMANDS, f"no command {words[0]}"
    module = importlib.import_module(f"secateur.cli.{words[0]}")
    if hasattr(module, "COMMANDS"):
        return module.COMMANDS[words[1]], f"{words[0]} {words[1]}", words[2:]
    return module, words[0], words[1:]


def parse(line: str) -> None:
    """Hold that every `secateur` command in a line of shell has options that are there, and values that they take.

    Raises:
        SecateurError: what the command itself would say.
    """
    for part in re.split(r"\s*(?:\||&&|;)\s*", line):
        words = [re.sub(r"\$\(.*\)|\$\w+", "1", word) for word in shlex.split(part)]
        words = words[: next((i for i, word in enumerate(words) if word in (">", "2>", "&")), len(words))]
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # VARIABLE=value command
            words = words[1:]
        if words[:2] == ["pip", "install"]:
            for extra in filter(None, ",".join(re.findall(r"\[(.*?)\]", " ".join(words))).split(",")):
                assert extra in EXTRAS, f"no extra {extra}"
        elif "secateur" in words and (words[0] == "secateur" or words[words.index("secateur") - 1] == "-m"):
            module, name, rest = command_of(words[words.index("secateur") + 1 :])
            if rest not in (["--help"], ["-h"]):
                build_options(module.Options, make_parser(module, name).parse_all(rest))


def run_line(line: str, folder: Path, expected: int = 0) -> str:
    """Run a line of shell in `folder`, jobs made short, hold its exit code, and return what it printed.

    A line of one `secateur` command is run in this process; anything else by bash, which finds our command on its way.
    """
    words = shlex.split(line)
    if words[0] == "secateur" and not set(line) & set("|><;&$"):
        name = words[1]
        untrained = name == "prune" and "--one-shot" in words  # takes no training settings
        short = SHORT["one-shot" if untrained else name].split() if name in SHORT else []
        short = [] if "--check" in words or expected else short
        printed = io.StringIO()
        with contextlib.chdir(folder), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = main([*words[1:], *short])
        assert code == expected, f"{line}\nexit code {code}: {printed.getvalue()[-2000:]}"
        return printed.getvalue()
    there = folder / "bin"
    there.mkdir(exist_ok=True)
    program = there / "secateur"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m secateur "$@"\n')
    program.chmod(0o755)
    path = {**os.environ, "PATH": f"{there}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line], cwd=folder, env=path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == expected, f"{line}\nexit code {done.returncode}: {(done.stdout + done.stderr)[-2000:]}"
    return done.stdout


def run_fence(fence: Fence, folder: Path, root: Path, names: dict[str, object]) -> None:
    """Do with a snippet what its language and mark say; `names` are those that the page's Python has defined.

    Raises:
        AssertionError: it does not do what the page says.
    """
    if fence.mark == "from":
        assert fence.body in (root / fence.about).read_text(encoding="utf-8"), (
            f"{fence.about} does not hold these lines"
        )
        return
    if fence.mark == "file":
        target = folder / fence.about
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(shortened(fence.body) if fence.language == "toml" else fence.body, encoding="utf-8")
        return
    if fence.language == "python":
        code = compile("\n" * (fence.line - 1) + fence.body, "the page", "exec")
        if fence.mark != "not run":
            with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
                exec(code, names)
    elif fence.language == "toml":
        tomllib.loads(fence.body)
    elif fence.language == "json":
        json.loads(fence.body)
    else:
        assert fence.language == "sh", f"line {fence.line}: what is a snippet of {fence.language}?"
        for line in lines_of(fence.body):
            if fence.mark == "not run":
                parse(line)
            elif fence.mark == "fails":
                assert fence.about in run_line(line, folder, expected=2)
            else:
                run_line(line, folder)


def shortened(text: str) -> str:
    """A study of one seed and two steps an arm."""
    text = re.sub(r"^seeds = .*$", "seeds = [0]", text, flags=re.MULTILINE)
    return re.sub(r"^epochs = .*$", "steps = 2\nbatch_seconds = 8.0\nvalidate_every = 100.0", text, flags=re.MULTILINE)
