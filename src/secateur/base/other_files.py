"""What a file is that was given in place of another kind, by its first bytes and its name; and what to do with it."""

from __future__ import annotations

import codecs
from typing import NamedTuple


class OtherFile(NamedTuple):
    """A kind of file that no job reads as it is."""

    name: str
    advice: str = ""  # what to do with it where a data set or a text is expected


ARCHIVE = OtherFile("an archive", "unpack it first")
SPREADSHEET = OtherFile("a spreadsheet", "save it as CSV, which `secateur data prepare` reads")
DOCUMENT = OtherFile("a document", "save it as plain text (for `data align`)")
ANNOTATIONS = OtherFile("annotations of a kind that is not read", "save them as SRT, WebVTT, TextGrid or ELAN")
TABLE = OtherFile("a table", "`secateur data prepare {0} --out SET.jsonl` makes a manifest of it")
WEB_PAGE = OtherFile("a web page", "perhaps of a failed download")
IMAGE = OtherFile("an image")
TEXT = OtherFile("text")
# By the ends of names: what people have and this does not read.
UNREAD = {
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), SPREADSHEET),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"), ARCHIVE),
    **dict.fromkeys((".docx", ".doc", ".odt", ".rtf", ".pdf"), DOCUMENT),
    **dict.fromkeys((".trs", ".cha", ".exb", ".ttml", ".dfxp", ".ass", ".ssa", ".sub"), ANNOTATIONS),
}
# By the first bytes, whatever the name says; letters in lower case.
BEGINNINGS = {
    b"pk\x03\x04": ARCHIVE, b"\x1f\x8b": ARCHIVE, b"bzh": ARCHIVE, b"\xfd7zxz": ARCHIVE, b"7z\xbc\xaf": ARCHIVE,
    b"rar!": ARCHIVE, b"%pdf": DOCUMENT, b"{\\rtf": DOCUMENT, b"\xd0\xcf\x11\xe0": DOCUMENT, b"par1": TABLE,
    b"arrow1": TABLE, b"\x93numpy": OtherFile("a NumPy array"), b"\x89png": IMAGE, b"\xff\xd8\xff": IMAGE,
    b"gif8": IMAGE, b"\x80\x04": OtherFile("a pickle"), b"<!doctype html": WEB_PAGE, b"<html": WEB_PAGE,
}  # fmt: skip


def other_kind(head: bytes, suffix: str) -> OtherFile | None:
    """The kind of a file that begins with `head` and whose name ends in `suffix`; None where it is none of these."""
    lower = head.lstrip()[:32].lower()
    kind = next((kind for start, kind in BEGINNINGS.items() if lower.startswith(start)), None)
    if kind in (None, ARCHIVE, DOCUMENT):  # office files are archives
        return UNREAD.get(suffix.lower(), kind)
    return kind


def begins_as_audio(head: bytes) -> bool:
    """Whether a file begins as the usual audio files do.

    >>> begins_as_audio(b"RIFF\\x24\\x08\\x00\\x00WAVEfmt "), begins_as_audio(b"[prune]")
    (True, False)
    """
    return head.startswith((b"RIFF", b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\x1aE\xdf\xa3")) or head[4:8] == b"ftyp"


def is_text(head: bytes) -> bool:
    """Whether a file begins with the mark of UTF-16, or as UTF-8 text, a letter cut in two at the end left aside."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    try:
        head.decode()
    except UnicodeDecodeError as problem:
        return b"\x00" not in head and len(head) - problem.start < 4
    return b"\x00" not in head
