"""Every text that secateur shows to people, read from its source: what a catalogue of translations has to hold.

A template is the text with `{0}`, `{1}`, ... for what varies. Found are: messages of exceptions, progress lines and
labels, help and units of options, first sentences of settings, help of commands, texts passed to `translated`, pieces
that f-strings put into these, the texts of HTML pages (`PAGES`), between their tags, and whatever else in the source
reads as a sentence (`_prose`): reasons and notes are kept in lists and said far from where they are written.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src" / "secateur"
PAGES = (
    "evaluate/markup.py", "evaluate/plots.py", "evaluate/table.py", "evaluate/real_use_table.py",
    "evaluate/bootstrap.py", "sensitivity/page.py", "study/report.py", "study/page.py", "study/table.py",
    "study/made.py", "models/describe.py",
    *(path.relative_to(SOURCE).as_posix() for path in sorted(SOURCE.glob("families/*/describe.py"))),
)  # fmt: skip
# What the standard library says: argparse's words and complaints, the system's errors.
# Then columns of tables, and labels that are passed on.
FOREIGN = (
    "median s", "95 % s", "longest s", "P(B better)", "transcribing", "train", "rehearsal", "dev", "test",
    "options", "positional arguments", "show this help message and exit", "argument {0}: expected one argument",
    "argument {0}: expected at least one argument", "No such file or directory", "Permission denied",
    "Is a directory", "Not a directory", "File exists", "No space left on device", "Address already in use",
    "Read-only file system", "Too many open files", "File name too long", "Disk quota exceeded",
    "at least {0}", "above {0}", "at most {0}", "below {0}", "s", "command line",
    "at least {0} and at most {1}", "at least {0} and below {1}", "above {0} and at most {1}",
    "above {0} and below {1}", "secateur {0}: {1}",
    "{0} the unpruned control",
    "each", "start {0}", "method {0}", "remove {0}", "target {0}", "criterion {0}", "seed {0}", "learning rate {0}",
    "batch, s {0}",
    "{0} must be {1}, found {2}", "{0} must be {1}, found {2}; {3} % is {4}",
)  # fmt: skip
# Single words of the tables of pages and commands, where they are.
PAGE_WORDS = """
    model speakers layer part before after kept elsewhere pair arm reference hypothesis times fewer
    more never parameters file seeds ratio clips words characters length total positions
    convolutions without amount missing error errors hours vocabulary languages language licence sources here name
    group metric rate words yes steps frames widths removed condition measured value loops
""".split()  # noqa: SIM905
# Files whose sentences are not for the terminal: of both languages, of programs, or others' that are recognised.
NOT_SHOWN = (
    "assistant/", "server/", "text/english_numbers.py",
    "evaluate/conditions.py", "keras/causes.py", "weights/wheels.py",
)  # fmt: skip
CODE = frozenset("split splitlines compile sub fullmatch findall finditer".split())  # noqa: SIM905  methods of words
_PLAIN_WORD = re.compile(r"(?<![\w./@:=-])[A-Za-z']{2,}(?![\w/=]|[.:_-]\w)")
SENTENCES = ("nearest", "hint", "facts_of", "_out_of_range", "_tour")  # functions whose every f-string is shown
SPOKEN = {
    "say": 0,
    "say_once": 0,
    "track": 1,
    "translated": 0,
    "check_known": 0,
    "in_halves": 2,
    "_tell": 0,
    "_print_error": 0,
}
NAMES_OF_LABELS = ("label", "what", "note", "hint", "description")
# The same in every language, or for machines.
NO_WORDS = frozenset("""
    dB Hz ms MB RTF MACs PFLOP Date Creator Software kaldi lhotse annotated paired keyed common-voice parquet spectral
    whisper utf-16-le utf-16-be mini-librispeech secateur-result-1 <blank> <|endoftext|> manifest
    MoonshineForConditionalGeneration model.safetensors
""".split()) | {"lower left", "offset points"}  # fmt: skip  # noqa: SIM905
SENTENCE_END = re.compile(r"(?<!\bal)\.\s+(?=[A-Z`])")
_NO_TEXT = re.compile(r"^[\w.-]*_[\w.]*$|^[a-z]+\.json$|\\")
_COUNTED = re.compile(r"\{\} [a-z]{4}|[a-z]{4},? \{")  # `{} clips`, `family {}`
_NO_PROSE = re.compile(r"<\w| \| |\"columns\"|^\s*(import|ffmpeg|secateur|wheel|unrecognized|study:) ")
_SLOT = re.compile(r"\{\d+\}")
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module:
    """One source file, whose names can be looked up."""

    def __init__(self, path: Path, root: Path = SOURCE) -> None:
        self.name = path.relative_to(root).as_posix()
        self.path = path
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.functions = {n.name: n for n in ast.walk(self.tree) if isinstance(n, Function)}
        self.owner: dict[ast.AST, ast.AST] = {}
        self._assignments: dict[ast.AST, dict[str, list[ast.AST]]] = {}
        for outer in ast.walk(self.tree):  # from the outside in: the innermost function wins
            if isinstance(outer, Function):
                self.owner |= {inner: outer for inner in ast.walk(outer) if inner is not outer}

    def texts(self, node: ast.AST, depth: int = 0) -> list[str]:
        """What an expression may say, `{}` for what varies; nothing where no text can be seen."""
        if depth > 4:
            return []
        if isinstance(node, ast.Constant):
            return [node.value.replace("{}", "{ }")] if isinstance(node.value, str) else []
        if isinstance(node, ast.JoinedStr):
            return ["".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)]  # type: ignore[misc]
        if isinstance(node, ast.IfExp):
            return self.texts(node.body, depth) + self.texts(node.orelse, depth)
        if isinstance(node, ast.BoolOp):
            return [text for value in node.values for text in self.texts(value, depth)]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return [
                a + b for a in self.texts(node.left, depth) or ["{}"] for b in self.texts(node.right, depth) or ["{}"]
            ]
        if isinstance(node, ast.Name):
            return [text for value in self._values(node) for text in self.texts(value, depth + 1)]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            function = self.functions.get(_called(node))
            returns = [n.value for n in ast.walk(function) if isinstance(n, ast.Return) and n.value] if function else []
            return [text for value in returns for text in self.texts(value, depth + 1)]
        return []

    def _values(self, name: ast.Name) -> Iterator[ast.AST]:
        """What is assigned to a name, in its function or else in the module."""
        for scope in (self.owner.get(name), self.tree):
            found = [] if scope is None else [v for v in self._assigned(scope).get(name.id, []) if v is not name]
            if found:
                yield from found
                return
        yield from self._imported(name.id)

    def _assigned(self, scope: ast.AST) -> dict[str, list[ast.AST]]:
        """What is assigned to every name within a function or the module."""
        if scope not in self._assignments:
            table = self._assignments[scope] = {}
            for node in ast.walk(scope):
                for target in _targets(node) if isinstance(node, ast.Assign | ast.AugAssign) else ():
                    if isinstance(target, ast.Name):
                        table.setdefault(target.id, []).append(node.value)  # type: ignore[attr-defined]
        return self._assignments[scope]

    def _imported(self, name: str) -> list[ast.AST]:
        """What is assigned in another file to a constant that is imported from there."""
        if not name.isupper():
            return []
        for node in self.tree.body:
            if (
                isinstance(node, ast.ImportFrom)
                and node.level
                and any(name == (a.asname or a.name) for a in node.names)
            ):
                path = (self.path.parents[node.level - 1] / (node.module or "").replace(".", "/")).with_suffix(".py")
                body = ast.parse(path.read_text(encoding="utf-8")).body if path.exists() else []
                assigned = [n for n in body if isinstance(n, ast.Assign)]
                return [n.value for n in assigned if any(isinstance(t, ast.Name) and t.id == name for t in n.targets)]
        return []

    def pieces(self, node: ast.AST) -> Iterator[str]:
        """What f-strings within an expression may put in."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.FormattedValue):
                yield from self.texts(inner.value)
            elif isinstance(inner, ast.Name):
                for value in self._values(inner):
                    yield from (text for part in ast.walk(value) if isinstance(part, ast.FormattedValue)
                                for text in self.texts(part.value))  # fmt: skip

    def said(self, node: ast.AST) -> Iterator[str]:
        """An expression's own texts, then the pieces in them."""
        yield from self.texts(node)
        yield from (text for text in self.pieces(node) if " " in text.strip() or len(_letters(text)) > 4)


def _targets(node: ast.Assign | ast.AugAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _both(node: ast.Call) -> bool:
    """An assistant's answer, which is given in English and in Chinese."""
    return isinstance(node.func, ast.Attribute) and node.func.attr == "say"


def _letters(text: str) -> str:
    return "".join(re.findall("[A-Za-z]+", _SLOT.sub("", text)))


def numbered(text: str) -> str:
    """`{}` as `{0}`, `{1}`, ...

    >>> numbered("{}: no {}")
    '{0}: no {1}'
    """
    parts = text.split("{}")
    return "".join(part + (f"{{{i}}}" if i < len(parts) - 1 else "") for i, part in enumerate(parts))


def worth(text: str) -> bool:
    """Whether a template says something by itself: a word of a language beside its slots.

    >>> worth("{0}: {1}"), worth("{0} clips"), worth("s")
    (False, True, False)
    """
    words = _SLOT.sub("", text)
    chinese = len(re.findall("[\u4e00-\u9fff]", words))
    plain = 2 * chinese < len(_letters(words)) and not _NO_TEXT.search(text) and text not in NO_WORDS
    return bool(re.search("[A-Za-z]{2}", words)) and plain


def module_templates(module: Module) -> Iterator[str]:
    """Every template of a file, in its order; some of them again."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield from _of_call(module, node)
        elif isinstance(node, ast.ClassDef) and any(ast.unparse(b) == "Settings" for b in node.bases):
            doc = " ".join((ast.get_docstring(node) or "").split())
            yield SENTENCE_END.split(doc)[0].rstrip(".") + "."
        elif isinstance(node, ast.Assign) and module.name.startswith("cli/"):
            names = [t.id for t in node.targets if isinstance(t, ast.Name)]
            if "HELP" in names:
                yield from module.texts(node.value)
            elif "COMMANDS" in names and isinstance(node.value, ast.Dict):
                yield from (text for value in node.value.values for text in module.texts(value) if " " in text)
        elif isinstance(node, Function) and node.name in SENTENCES:
            yield from (text for n in ast.walk(node) if isinstance(n, ast.JoinedStr) for text in module.texts(n))
    if module.name in PAGES:
        yield from _of_page(module)
    if not module.name.startswith(NOT_SHOWN):
        yield from _prose(module)


def _prose(module: Module) -> Iterator[str]:
    """Texts of two plain words and more, or of one beside a slot: no docstring, example, word list, pattern or tag."""
    no_text = {id(n.value) for n in ast.walk(module.tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.JoinedStr):
            no_text |= {id(part) for part in node.values}
        elif (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXAMPLE") or (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CODE
        ):
            no_text |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in no_text:
            for text in module.texts(node):
                some = _PLAIN_WORD.findall(text.replace("{}", " "))
                enough = len(some) + bool(_COUNTED.search(text)) > 1 and any(word.islower() for word in some)
                if enough and " " in text.strip() and not _NO_PROSE.search(text):
                    yield text


def _of_call(module: Module, node: ast.Call) -> Iterator[str]:
    name = _called(node)
    if (name.endswith(("Error", "Problem")) and name[:1].isupper()) and node.args:
        yield from (text for one in node.args for text in module.said(one))
    elif name in SPOKEN and len(node.args) > SPOKEN[name] and not _both(node):
        yield from module.said(node.args[SPOKEN[name]])
    elif name == "option":
        for one in [*node.args[1:2], *(k.value for k in node.keywords if k.arg in ("help", "unit"))]:
            yield from module.texts(one)
    yield from (
        text for k in node.keywords if k.arg in NAMES_OF_LABELS and name != "option" for text in module.said(k.value)
    )


def _of_page(module: Module) -> Iterator[str]:
    """Texts between the tags of a page's HTML, and those that become it."""
    docs = {id(n.value) for n in ast.walk(module.tree) if isinstance(n, ast.Expr)}
    inside = {id(part) for n in ast.walk(module.tree) if isinstance(n, ast.JoinedStr) for part in n.values}
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Constant | ast.JoinedStr) or id(node) in docs | inside:
            continue
        for text in module.texts(node):
            for piece in re.split(r"<[^<>]*>|[a-z-]+=\"", text):
                if " " in piece.strip() or piece[:1].isupper():
                    yield piece


@functools.cache
def templates() -> dict[str, str]:
    """Every template and the file where it occurs first."""
    found: dict[str, str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        module = Module(path)
        for text in module_templates(module):
            key = numbered(text).strip()
            if worth(key):
                found.setdefault(key, module.name)
    tables = [*(SOURCE / page for page in PAGES), *sorted(SOURCE.glob("cli/**/*.py"))]
    pages = "".join(path.read_text(encoding="utf-8") for path in tables)
    words = [word for word in PAGE_WORDS if f'"{word}"' in pages or f"'{word}'" in pages]
    return {**found, **dict.fromkeys(FOREIGN, "(foreign)"), **dict.fromkeys(words, "(pages)")}


if __name__ == "__main__":
    for key, where in templates().items():
        print(f"{where}\t{key!r}")
