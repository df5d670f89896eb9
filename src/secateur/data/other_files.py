"""What is said of a file that is neither manifest nor text."""

from __future__ import annotations

from pathlib import Path

from ..audio.files.kinds import start_of
from ..base.errors import SecateurError
from ..base.files import read_start
from ..base.other_files import WEB_PAGE, OtherFile, is_text, other_kind

RECORDING = OtherFile(
    "a recording", "`secateur data prepare FOLDER --out SET.jsonl` makes a manifest of recordings and their transcripts"
)
PREPARE = ": `secateur data prepare` makes one of tables, lists, folders and exports of annotation tools"


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
