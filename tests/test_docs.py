"""The pages' snippets are run, links lead somewhere, and every object that the reference names is there."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
GUIDES = sorted([*(DOCS / "guides").glob("*.md"), DOCS / "index.md", DOCS / "scale.md"])
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


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, forked_runs: None) -> Iterator[Path]:
    """A cache that already holds small random models under the names of published ones."""
    pytest.importorskip("torch")
    pytest.importorskip("kaldialign")
    from page_world import make_models, make_published

    folder = tmp_path_factory.mktemp("cache")
    make_models(folder)
    if importlib.util.find_spec("transformers"):
        make_published(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECATEUR_CACHE", str(folder))
        patch.setenv("PYTHONPATH", str(ROOT / "src"))
        yield folder


NEEDS = {"keras": "keras", "transformers": "transformers", "mandarin": "pypinyin"}


@pytest.mark.parametrize("page", GUIDES, ids=lambda p: p.stem)
def test_the_snippets_do_what_the_page_says(page: Path, cache: Path, tmp_path: Path) -> None:
    from page_snippets import fences, run_fence
    from page_world import make_world

    if page.stem in NEEDS:
        pytest.importorskip(NEEDS[page.stem])
    make_world(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    found = fences(page)
    assert len(found) == page.read_text(encoding="utf-8").count("\n```") // 2, "a fence that is not read"
    for fence in found:
        try:
            run_fence(fence, tmp_path, ROOT, names)
        except Exception as problem:
            raise AssertionError(f"{page.name}, line {fence.line}: {problem}") from problem
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`(runs/[\w./-]+)`", text):  # what a page says is written there, is
        assert (tmp_path / name).exists(), f"{page.name}: no {name}"


def test_every_guide_is_in_the_list_of_pages() -> None:
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    here = (DOCS / "index.md").read_text(encoding="utf-8")
    for page in sorted(DOCS.rglob("*.md")):
        name = page.relative_to(DOCS).as_posix()
        assert f" {name}\n" in listed, f"{name} is not in mkdocs.yml"
        assert name == "index.md" or f"({name}" in here, f"{name} is not on the first page"


def pages() -> list[Path]:
    """All pages of the repository, its examples and experiments included."""
    skipped = {"node_modules", "site", "runs", "build", "dist"}
    found = (p for p in ROOT.rglob("*.md") if not skipped & set(p.relative_to(ROOT).parts))
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(ROOT).parts))


def anchors(page: Path) -> set[str]:
    """What a link into a page may name, as GitHub makes it of headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ +(.*?)\s*$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [p for p in pages() if p not in GUIDES], ids=lambda p: p.relative_to(ROOT).as_posix())
def test_snippets_of_other_pages_name_what_is_there(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from page_snippets import fences, lines_of, parse

    monkeypatch.chdir(page.parent)  # files that a line names are read
    for fence in fences(page):
        if fence.language == "sh":
            for line in lines_of(fence.body):
                named = re.search(r"--config (\S+)", line)
                if named is None or Path(named[1]).exists():
                    parse(line)
        elif fence.language == "python" and ">>>" not in fence.body:
            compile(fence.body, page.name, "exec")


@pytest.mark.parametrize(
    "page", [p for p in pages() if "`secateur " in p.read_text(encoding="utf-8")], ids=lambda p: p.stem
)
def test_commands_within_the_text_have_their_options(page: Path) -> None:
    pytest.importorskip("torch")
    from page_snippets import parse

    from secateur.base.errors import SecateurError

    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    if page.name == "CHANGELOG.md":  # of earlier versions
        text = text.split("\n## ")[1]
    for found in re.findall(r"`(secateur\s[^`]+)`", text):
        command = " ".join(found.replace("...", "").split())
        if command == "secateur --help" or ".NAME" in command or " COMMAND" in command:
            continue
        try:
            parse(command)
        except SecateurError as problem:  # what is only named has not all that it needs
            assert re.search(r"^[A-Z-][\w-]* is missing|needs a value", str(problem).removeprefix("secateur ")), problem


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(<?([^)\s>]+)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), f"{target}: no such file"
        assert not anchor or there.suffix != ".md" or anchor in anchors(there), f"{target}: no such heading"
