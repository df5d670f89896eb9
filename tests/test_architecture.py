"""The house's rules that a machine can hold: imports run one way, files stay short, the base install stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "secateur"
ROOMS = (
    "base", "audio", "features", "text", "lm", "data", "decode", "models", "runtime", "weights", "train", "prune",
    "evaluate", "export", "sensitivity", "families", "allocation", "study", "server", "assistant", "keras", "cli",
)  # fmt: skip
LONGEST = 350  # lines


def imported_rooms(path: Path) -> set[str]:
    """The rooms that a file imports from, also inside functions."""
    here = path.relative_to(SOURCE.parent).with_suffix("").parts
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = list(here[: len(here) - node.level]) if node.level else []
            names = [*base, *(node.module or "").split(".")]
            if names[0] == "secateur" and len(names) > 1 and names[1]:
                rooms.add(names[1])
        elif isinstance(node, ast.Import):
            rooms |= {n.name.split(".")[1] for n in node.names if n.name.startswith("secateur.")}
    return rooms & set(ROOMS)


def test_every_room_is_on_the_map() -> None:
    found = {p.name for p in SOURCE.iterdir() if p.is_dir() and not p.name.startswith("__")}
    assert found == set(ROOMS)


@pytest.mark.xfail(reason="families and weights are being parted from the rooms below them", strict=False)
@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    wrong = {
        str(path.relative_to(SOURCE)): sorted(imported_rooms(path) - allowed)
        for path in (SOURCE / room).rglob("*.py") if imported_rooms(path) - allowed
    }  # fmt: skip
    assert not wrong


def test_one_concept_a_file() -> None:
    lines = {str(p.relative_to(SOURCE)): len(p.read_text().splitlines()) for p in SOURCE.rglob("*.py")}
    assert not {name: count for name, count in lines.items() if count > LONGEST}


LIGHT = ["secateur", "secateur.cli", "secateur.cli.transcribe", "secateur.runtime.recogniser"]


@pytest.mark.parametrize("module", LIGHT)
def test_the_runtime_imports_nothing_heavy(module: str) -> None:
    heavy = ("torch", "transformers", "matplotlib", "rich", "huggingface_hub.hf_api", "kaldialign", "onnx")
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_tables_in_the_pages_come_from_the_result_files() -> None:
    pytest.importorskip("kaldialign")
    script = SOURCE.parent.parent / "tools" / "make_results.py"
    assert subprocess.run([sys.executable, str(script), "--check"]).returncode == 0
