"""`secateur data ...`: from recordings and transcripts to manifests that can be trusted."""

from __future__ import annotations

from . import check, download, label, pack, prepare, split, stats

COMMANDS = {
    "prepare": prepare, "check": check, "stats": stats, "split": split, "download": download, "label": label,
    "pack": pack,
}  # fmt: skip
