"""`secateur text normalise`: a text as error rates compare it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...base.options import option
from ...text.normalise import normaliser

HELP = "A text as error rates compare it: case, punctuation, numbers and, in Chinese, script and width made equal."
EXAMPLE = """secateur text normalise "Twenty-five colours!"
secateur text normalise "「臺灣」１９８０年增長2.5％" --language zh"""


@dataclass(frozen=True)
class Options:
    """What is normalised, by which rules."""

    texts: tuple[str, ...] = option(help="one or more texts, each in quotes", positional=True)
    language: str = option("en", help="language code, such as en or zh-CN")


def run(options: Options) -> dict[str, Any]:
    """Every text, normalised."""
    normalise = normaliser(options.language)
    return {"normalised": [{"text": text, "normalised": normalise(text)} for text in options.texts]}


def show(result: dict[str, Any]) -> str:
    """A line a text."""
    return "\n".join(entry["normalised"] for entry in result["normalised"])
