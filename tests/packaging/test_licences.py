"""Whose work the package carries is written down: every data file is in a row of THIRD_PARTY.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from secateur.base.version import __version__

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "THIRD_PARTY.md"
CODE = {".py", ".pyc", ".md", ".typed"}


@pytest.fixture(scope="module")
def places() -> list[str]:
    """The files and folders, below src/secateur, of the page's first table."""
    table = PAGE.read_text(encoding="utf-8").split("## In the package")[1].split("## In the repository")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [place for row in rows for place in re.findall(r"`([^`]+)`", row)]


def test_every_data_file_has_a_row(places: list[str]) -> None:
    package = ROOT / "src" / "secateur"
    files = [p for p in package.rglob("*") if p.is_file() and p.suffix not in CODE]
    carried = [p.relative_to(package).as_posix() for p in files]
    assert len(carried) > 60
    assert [name for name in carried if not any(name == p or name.startswith(p) for p in places)] == []
    assert [p for p in places if not (package / p).exists()] == []


def test_every_licence_that_is_named_is_here_and_in_the_package() -> None:
    named = set(re.findall(r"\((LICENSE[^)]*)\)", PAGE.read_text(encoding="utf-8")))
    assert len(named) == 4 and all(len((ROOT / name).read_text(encoding="utf-8")) > 500 for name in named)
    wheel = re.search(r"license-files = \[(.*)\]", (ROOT / "pyproject.toml").read_text())
    assert wheel and {'"LICENSE"', '"LICENSES/*"', '"THIRD_PARTY.md"'} == set(wheel[1].split(", "))


def test_the_citation_names_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    date = re.search(rf"^## {re.escape(__version__)} \((.*)\)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert f"\nversion: {__version__}\n" in citation and date and f'date-released: "{date[1]}"' in citation


def test_the_hosted_workflow_tests_every_python_that_is_promised() -> None:
    promised = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    matrix = re.search(r"python: \[(.*)\]", workflow)
    assert matrix and matrix[1].replace('"', "").split(", ") == promised
    assert all(f"python{version}" in workflow for version in promised)
    for line in ("make lint", "make test"):  # what .ci/run runs
        assert f"run: {line}" in workflow and line in (ROOT / ".ci" / "run").read_text()


def test_what_the_host_reads_is_valid() -> None:
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert {"lint", "test", "package"} == set(workflow["jobs"])
    for job in workflow["jobs"].values():
        assert job["runs-on"] and all(("run" in step) != ("uses" in step) for step in job["steps"])
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    for form in forms:
        values = yaml.safe_load(form.read_text())
        if form.name != "config.yml":
            assert values["name"] and values["description"]
            ids = [part["id"] for part in values["body"]]
            assert len(ids) == len(set(ids)) >= 1
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(citation)
    assert "vulnerability" in (ROOT / "SECURITY.md").read_text().split("## What is defended")[0]
