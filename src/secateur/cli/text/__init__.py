"""`secateur text ...`: what the pipeline makes of a text."""

from __future__ import annotations

from . import characters, correct, learn, normalise, pinyin

COMMANDS = {"normalise": normalise, "pinyin": pinyin, "learn": learn, "characters": characters, "correct": correct}
