"""The tutorial's snippets are run, and every object that the reference names is there."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_tutorial_is_true() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("kaldialign")
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    lines: list[str] = []  # as many as the page has, so that failures name its lines
    for found in FENCE.finditer(text):
        start = text.count("\n", 0, found.start(1))
        lines += [""] * (start - len(lines)) + found[1].splitlines()
    test = doctest.DocTestParser().get_doctest("\n".join(lines) + "\n", {}, "tutorial.md", "docs/tutorial.md", 0)
    said: list[str] = []
    done = doctest.DocTestRunner().run(test, out=said.append)
    assert done.attempted > 40
    assert not done.failed, "".join(said)


def test_the_pages_are_built(tmp_path: Path) -> None:
    pytest.importorskip("mkdocstrings")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")]
    done = subprocess.run(words, cwd=DOCS.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'id="secateur.prune.shrink.shrink"' in (tmp_path / "site" / "api" / "prune" / "index.html").read_text()


@pytest.mark.parametrize("page", sorted((DOCS / "api").glob("*.md")), ids=lambda p: p.stem)
def test_the_reference_names_what_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    names = re.findall(r"^::: (secateur[\w.]*)(?:\n    options:\n      members: \[(.*)\])?", text, re.MULTILINE)
    assert names
    for name, members in names:
        try:
            found = importlib.import_module(name)
        except ModuleNotFoundError:
            module, _, attribute = name.rpartition(".")
            found = getattr(importlib.import_module(module), attribute)
        for member in filter(None, (m.strip() for m in members.split(","))):
            thing = getattr(found, member)
            assert not callable(thing) or thing.__doc__, f"{name}.{member} has no docstring"
