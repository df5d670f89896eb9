"""Every recipe is checked as it stands, explains each of its keys, and runs for two steps with small models."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("kaldialign")

from page_snippets import SHORT
from page_world import make_models, make_world

from secateur.cli import main

RECIPES = sorted((Path(__file__).resolve().parent.parent / "recipes").glob("*.toml"))
TRAINED = {"ctc"}  # by `train`; all others by `adapt`
# The milliseconds of so small a network are not its units'.
INSTEAD = {"turbo-24gb": ["--prune.target", "parameters=0.9"]}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    make_models(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECATEUR_CACHE", str(folder))
        yield folder


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda p: p.stem)
def test_a_recipe_runs(recipe: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if recipe.stem == "mandarin":
        pytest.importorskip("pypinyin")
    make_world(tmp_path)
    monkeypatch.chdir(tmp_path)
    command = "train" if recipe.stem in TRAINED else "adapt"
    words = [command, "--config", str(recipe)]
    assert main([*words, "--check"]) == 0
    out = tomllib.loads(recipe.read_text(encoding="utf-8"))["out"]
    assert not (tmp_path / out).exists()
    assert main([*words, *SHORT[command].split(), *INSTEAD.get(recipe.stem, [])]) == 0
    summary = json.loads(next((tmp_path / out).rglob("summary.json")).read_text())
    assert summary
    if command == "adapt":
        assert (tmp_path / out / "exported" / "pruned" / "config.json").is_file()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda p: p.stem)
def test_every_key_is_explained(recipe: Path) -> None:
    for line in recipe.read_text(encoding="utf-8").splitlines():
        if re.match(r"\w+ = ", line):
            assert re.search(r"\s# \S.{8}", line), f"{recipe.name}: {line}"


def test_every_recipe_is_on_the_page() -> None:
    page = (RECIPES[0].parent / "README.md").read_text(encoding="utf-8")
    assert len(RECIPES) >= 6
    assert [p.name for p in RECIPES if f"({p.name})" not in page] == []
