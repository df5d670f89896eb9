"""Every table of results/ says its command, commit, machine and date, and what it is compared with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "benchmarks")]
PAGES = sorted((ROOT / "results").glob("*.md"))
TABLE = re.compile(r"^<!-- ([\w-]+) -->\n(.*?)^<!-- /\1 -->$", re.MULTILINE | re.DOTALL)
FACTS = re.compile(
    r"^(?:<sub>)?Source: `(?:python|secateur|experiments/|\w+=)[^`]*` · "
    r"(?:results in )?commit `([0-9a-f]{7,40})`[^·]* · [^·]{3,} · [^·]*\d{4}-\d\d-\d\d<br>$"
)


def lacking(text: str) -> list[str]:
    """The tables of a page that lack one of the five; a table that no tool wrote is one as well."""
    found = []
    for name, body in TABLE.findall(text):
        *sources, against = body.strip().split("\n\n")[-1].splitlines()
        whole = sources and all(FACTS.match(line) for line in sources)
        if not whole or not re.match(r"Compared with: .{5,}</sub>$", against):
            found.append(name)
    typed = re.findall(r"^\|[-:| ]+\|$", TABLE.sub("", text), re.MULTILINE)
    return found + ["typed in"] * len(typed)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_page_says_where_its_tables_come_from(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page.stem == "README":  # the list of pages
        text = re.sub(r"^\| question \| page \|\n\|---\|---\|\n", "", text, flags=re.MULTILINE)
        assert page.parent.joinpath("speed.md").exists() and "](speed.md)" in text
    else:
        assert TABLE.search(text)
    assert lacking(text) == []


@pytest.mark.parametrize(
    "fact",
    [
        "`python benchmarks/streams.py[^`]*` · ",
        r"commit `\w+`",
        "· [^·]* · ",
        r"\d{4}-\d\d-\d\d<br>",
        "Compared with: .*",
    ],
)
def test_a_page_that_lacks_one_of_them_fails(fact: str) -> None:
    text = (ROOT / "results" / "streams.md").read_text(encoding="utf-8")
    head, mark, tail = text.partition("<sub>Source")
    assert mark and re.search(fact, mark + tail)
    assert lacking(head + re.sub(fact, "", mark + tail, count=1)) == ["streams"]


def test_a_table_that_was_typed_in_fails() -> None:
    assert lacking("| a | b |\n|---|---|\n| 1 | 2 |\n") == ["typed in"]


def test_the_commits_are_of_this_history() -> None:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    if git("rev-parse", "--is-shallow-repository") != "false":
        pytest.skip("no whole history here")
    known = {line[:7] for line in git("log", "--format=%H").splitlines()}
    named = {m[1][:7] for page in PAGES for m in map(FACTS.match, page.read_text(encoding="utf-8").splitlines()) if m}
    if not named & known:
        pytest.skip("the history begins anew here")
    assert len(named) > 20
    assert named - known == set(), "rebased? tools/sources.toml, [landed], says by which commit it came to main"


def test_a_result_file_without_a_fact_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kaldialign")
    import provenance

    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    how = {"command": "python benchmarks/a.py", "commit": "0123abcd + changes", "machine": {"cpu": "X", "cores": 2},
           "date": "2026-12-01", "load_before": 0.5}  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps({"how": how, "rows": []}))
    assert str(provenance.source("a.json")) == (
        "`python benchmarks/a.py` · commit `0123abcd` with changes · X, 2 cores, load 0.5 before it began · 2026-12-01"
    )
    for fact in ("command", "commit", "machine", "date"):
        (tmp_path / "a.json").write_text(json.dumps({"how": {k: v for k, v in how.items() if k != fact}}))
        with pytest.raises(LookupError, match=fact):
            provenance.source("a.json")
    with pytest.raises(LookupError, match="new-table"):
        provenance.below("new-table")


def test_a_benchmark_records_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    import recorded

    monkeypatch.setattr(
        sys, "argv", ["/x/benchmarks/a.py", "/data/tiny-ct2", "--peer", "p=/tmp/q/ct2/", "--out", "b/c.json"]
    )
    found = recorded.how()
    assert found["command"] == "python benchmarks/a.py tiny-ct2 --peer p=ct2 --out b/c.json"
    assert re.fullmatch(r"([0-9a-f]{8}( \+ changes)?)?", str(found["commit"]))
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", str(found["date"])) and found["machine"]
