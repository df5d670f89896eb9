"""`secateur data ...`: from recordings and transcripts to manifests that can be trusted."""

from __future__ import annotations

from . import align, check, download, export, label, pack, prepare, split, stats

COMMANDS = {
    "prepare": prepare, "check": check, "stats": stats, "split": split, "download": download, "label": label,
    "pack": pack, "align": align, "export": export,
}  # fmt: skip
