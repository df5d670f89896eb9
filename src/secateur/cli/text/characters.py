"""`secateur text characters`: pinyin as Chinese text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...base.files import Json
from ...base.options import Settings, option
from ...text.by_sound import BySound
from ...text.word_model import WordModel

HELP = """Pinyin, with tone numbers or marks, as the likeliest Chinese text.

It is chosen by a dictionary and, if given, the words of transcripts."""
EXAMPLE = """secateur text characters "chong2 qing4 de5 yin2 hang2"
secateur text characters "nǐ hǎo, zhōngguórén" --words words.json"""


@dataclass(frozen=True)
class Options(Settings):
    """What is written, by which words."""

    texts: tuple[str, ...] = option(
        help="Write these syllables (spaces between; each text in quotes) as characters.", positional=True
    )
    words: Path | None = option(None, "Prefer the words of this file of `secateur text learn`.")


def run(options: Options) -> Json:
    """The text of every line of pinyin."""
    writer = BySound(WordModel.read(options.words) if options.words else WordModel())
    return {"characters": [{"pinyin": text, "text": writer.characters(text)} for text in options.texts]}


def show(result: Json) -> str:
    """A line a text."""
    return "\n".join(entry["text"] for entry in result["characters"])
