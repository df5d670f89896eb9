"""The house's rules that a machine can hold: imports run one way, files stay short, the base install stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tokenize
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from long_files import LONG_FILES, WHOLE_JOBS

SOURCE = Path(__file__).resolve().parent.parent / "src" / "secateur"
ROOMS = (
    "base", "audio", "features", "text", "lm", "data", "decode", "models", "weights", "runtime", "train", "prune",
    "evaluate", "export", "sensitivity", "families", "allocation", "study", "server", "assistant", "keras", "api",
    "cli",
)  # fmt: skip
LONGEST = 350  # lines


@cache
def modules() -> dict[str, Path]:
    """Every module of the package, by its dotted name."""
    named = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of this package that a module imports, inside functions and for type checkers as well."""
    path = modules()[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *filter(None, [node.module])])
            inner = {f"{start}.{alias.name}" for alias in node.names}
            names |= {name if name in modules() else start for name in inner}
    return frozenset(name for name in names if name in modules() and name != module)


def room(module: str) -> str:
    """The folder or file of the package that a module belongs to; "" for the package itself."""
    return [*module.split("."), ""][1]


def test_every_room_is_on_the_map() -> None:
    folders = {p.name for p in SOURCE.iterdir() if p.is_dir() and not p.name.startswith("__")}
    files = {p.stem for p in SOURCE.glob("*.py") if not p.name.startswith("__")}
    assert folders | files | {"api"} == set(ROOMS)


@pytest.mark.parametrize("name", ROOMS)
def test_imports_run_one_way(name: str) -> None:
    above = set(ROOMS[ROOMS.index(name) + 1 :])
    back = [
        f"{module} imports {other}"
        for module in sorted(modules()) if room(module) == name
        for other in sorted(imports(module)) if room(other) in above
    ]  # fmt: skip
    assert not back


def test_the_package_itself_imports_nothing_above_its_front_door() -> None:
    above = set(ROOMS[ROOMS.index("api") + 1 :])
    assert not [other for other in imports("secateur") if room(other) in above]


def test_no_circle_between_files() -> None:
    order: dict[str, int] = {}  # Tarjan 1972: components in which every module reaches every other
    low: dict[str, int] = {}
    stack: list[str] = []
    circles: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in imports(module):
            if other not in order:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], order[other])
        if low[module] == order[module]:
            component = [stack.pop()]
            while component[-1] != module:
                component.append(stack.pop())
            if len(component) > 1:
                circles.append(sorted(component))

    sys.setrecursionlimit(max(sys.getrecursionlimit(), 5000))
    for module in modules():
        if module not in order:
            visit(module)
    assert not circles


BRANCH = re.compile(
    r"isinstance\([^\n]*\b(Whisper|Moonshine|Parakeet|HfCtc|Ctc|Token|Frame)(Config|Model|Network|Recogniser)?\b"
    r"|\.family (==|!=|in|not in) [\"'(\[]|\bfamily (==|!=) [\"']"
)


def test_nothing_asks_for_a_family_by_name_or_class_outside_its_folder() -> None:
    asked = [
        f"{path.relative_to(SOURCE)}:{number}: {line.strip()}"
        for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] != "families"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if BRANCH.search(line)
    ]  # fmt: skip
    assert not asked


def test_one_concept_a_file() -> None:
    lines = {str(p.relative_to(SOURCE)): len(p.read_text().splitlines()) for p in SOURCE.rglob("*.py")}
    assert not {name: count for name, count in lines.items() if count > LONGEST}


# Words that this project once used in a sense of its own, and the rooms that speak the field's language now
# (docs/glossary.md has the terms). Names of builtins such as FileNotFoundError are not ours.
PRIVATE_WORDS = """
blend blended found gone harm hear heard hearing hears ladder mended nowhere remember remembered rung rungs said sight
spoilt student students tells told twin twins
"""
PLAIN_ROOMS = ROOMS


@pytest.mark.parametrize("name", PLAIN_ROOMS)
def test_names_are_the_terms_of_the_field(name: str) -> None:
    private, names = set(PRIVATE_WORDS.split()), set()
    for path in (SOURCE / name).rglob("*.py"):
        with tokenize.open(path) as source:
            for token in tokenize.generate_tokens(source.readline):
                if token.type == tokenize.NAME and not token.string.endswith("NotFoundError"):
                    parts = re.findall("[A-Z]?[a-z0-9]+|[A-Z]+", token.string)
                    if private & {part.lower() for part in parts}:
                        names.add(f"{path.relative_to(SOURCE)}:{token.start[0]}: {token.string}")
    assert not sorted(names)


def test_one_class_has_one_name() -> None:
    """`Options` are those of a command; a family has widths of its own; the group lasso of Keras is a callback."""
    classes: dict[str, list[str]] = {}
    for name in PLAIN_ROOMS:
        for path in (SOURCE / name).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    classes.setdefault(node.name, []).append(str(path.relative_to(SOURCE)))
    own = {"Options", "EncoderWidths", "DecoderWidths", "GroupLasso"}
    assert {name: paths for name, paths in classes.items() if len(paths) > 1 and name not in own} == {}


LIGHT = ["secateur", "secateur.cli", "secateur.cli.transcribe", "secateur.runtime.recogniser"]
HEAVY = ("torch", "transformers", "matplotlib", "rich", "huggingface_hub.hf_api", "kaldialign", "onnx")


@pytest.mark.parametrize("module", LIGHT)
def test_the_runtime_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


BASE_INSTALL = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
import secateur
from secateur.decode.options import DecodingOptions
recogniser = secateur.load()
print(recogniser.transcribe({clip!r}, DecodingOptions(language="en")).text)
from secateur.runtime.streaming import open_stream
stream = open_stream(recogniser)
events = stream.feed(recogniser.samples({clip!r})) + stream.finish()
print(events[-1].kind)
print(sorted({{m.partition(".")[0] for m in sys.modules}} & set({absent!r})))
"""


def test_the_base_install_transcribes_and_streams_without_torch() -> None:
    clip = str(sorted((SOURCE / "data" / "bundled").rglob("*.opus"))[0])
    absent = ("torch", "transformers", "onnx", "kaldialign", "safetensors", "matplotlib", "keras", "rich", "fastapi")
    code = BASE_INSTALL.format(absent=absent, clip=clip)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    text, kind, loaded = done.stdout.strip().splitlines()
    assert len(text.split()) > 2
    assert kind == "final"
    assert loaded == "[]"


def test_tables_in_the_pages_come_from_the_result_files() -> None:
    pytest.importorskip("kaldialign")
    script = SOURCE.parent.parent / "tools" / "make_results.py"
    assert subprocess.run([sys.executable, str(script), "--check"]).returncode == 0


def test_no_two_test_files_share_a_name() -> None:
    """pytest imports tests by their bare name: of two files with one name it collects only the first."""
    names = Counter(file.name for file in Path(__file__).parent.rglob("test_*.py"))
    assert {name: count for name, count in names.items() if count > 1} == {}


def test_the_files_that_go_first_are_there() -> None:
    assert {*LONG_FILES, *WHOLE_JOBS} <= {file.stem for file in Path(__file__).parent.rglob("test_*.py")}
