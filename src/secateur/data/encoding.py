"""Text files of any encoding, and what is said of a file that is neither manifest nor text."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from ..audio.files.kinds import start_of
from ..base.errors import SecateurError
from ..base.files import read_limited, read_start
from ..base.other_files import WEB_PAGE, OtherFile, is_text, other_kind

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What an 8-bit file of Windows is written in, by the language of its texts.
CODE_PAGES = {
    "cp1251": ("ru", "uk", "bg", "be", "sr", "mk"), "cp1250": ("pl", "cs", "sk", "hu", "sl", "hr", "bs", "ro"),
    "cp1253": ("el",), "cp1254": ("tr", "az"), "cp1255": ("he",), "cp1256": ("ar", "fa", "ur"),
    "cp1257": ("et", "lv", "lt"), "cp1258": ("vi",), "cp874": ("th",), "cp932": ("ja",), "cp949": ("ko",),
    "gb18030": ("zh", "yue"),
}  # fmt: skip
WESTERN = "cp1252"
# In a text of Western Europe letters beyond ASCII stand alone or in pairs, among ASCII ones.
_FOREIGN = re.compile(r"[\u00c0-\u017f]{4,}")
RECORDING = OtherFile(
    "a recording", "`secateur data prepare FOLDER --out SET.jsonl` makes a manifest of recordings and their transcripts"
)
PREPARE = ": `secateur data prepare` makes one of tables, lists, folders and exports of annotation tools"


def decode_text(data: bytes, name: str, encoding: str | None = None, language: str = "en") -> tuple[str, str]:
    """The text in `data` with `\\n` ends of lines, and the encoding it was read in.

    `encoding` None: as a byte order mark says, else UTF-16 where every second byte is zero, else UTF-8, else the
    8-bit (or East Asian) code page of `language`.

    Raises:
        SecateurError: an unknown encoding, bytes that are none of it, or a guess that makes no sense.
    """
    used = encoding or _guess(data, name, language)
    try:
        text = data.decode(used)
    except LookupError:
        raise SecateurError(f"--encoding: Python knows no encoding '{used}'; try utf-8, utf-16, cp1252") from None
    except UnicodeDecodeError as problem:
        raise SecateurError(
            f"{name}: cannot be read as {used} text (byte {problem.start}): name its encoding with --encoding"
        ) from problem
    if encoding is None and used == WESTERN and _FOREIGN.search(text):
        raise SecateurError(f"{name}: neither UTF-8 nor Western European text: name its encoding with --encoding")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"), used


def _guess(data: bytes, name: str, language: str) -> str:
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return encoding
    start = data[: 4096 & ~1]
    if len(start) > 3:
        even, odd = start[::2].count(0), start[1::2].count(0)
        if max(even, odd) > len(start) // 8 and min(even, odd) < len(start) // 64 + 1:
            return "utf-16-le" if odd > even else "utf-16-be"
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError as problem:
        wrong = problem.start
    shown = data.decode("utf-8", errors="replace")
    bad = shown.count("\ufffd")
    if sum(c > "\x7f" and c != "\ufffd" for c in shown) > bad:  # UTF-8, damaged in a place or two
        raise SecateurError(f"{name}: not UTF-8 (byte {wrong}), and nothing else: mend it, or name its --encoding")
    own = language.lower().replace("_", "-").split("-")[0]
    return next((page for page, languages in CODE_PAGES.items() if own in languages), WESTERN)


def read_text(path: Path, encoding: str | None = None, language: str = "en") -> tuple[str, str]:
    """The text of a file, and the encoding it was read in; see `decode_text`.

    Raises:
        SecateurError: it cannot be read, it is no text, or see `decode_text`.
    """
    if encoding is None and (what := described(path)):
        raise SecateurError(f"{path}: {what}")
    return decode_text(read_limited(path), str(path), encoding, language)


def described(path: Path) -> str:
    """What a file is that is neither manifest nor text, and what to do with it; empty where it may be one of them."""
    head = read_start(path)
    kind = other_kind(head, path.suffix)
    if kind is None and not is_text(head) and start_of(head) is not None:
        kind = RECORDING
    return "" if kind is None else ": ".join(filter(None, kind)).format(path)


def not_a_manifest(path: Path) -> SecateurError:
    """The error for a file whose first line is no JSON object."""
    what = described(path)
    if what and not what.startswith(WEB_PAGE.name):
        return SecateurError(f"{path}: not a manifest but {what}")
    return SecateurError(f"{path}, line 1: no JSON object, so this is no manifest{PREPARE}")
