"""`secateur text ...`: what the pipeline makes of a text."""

from __future__ import annotations

from . import normalise, pinyin

COMMANDS = {"normalise": normalise, "pinyin": pinyin}
