"""`secateur text characters`: pinyin as Chinese text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...base.files import Json
from ...base.options import Settings, option
from ...lm.tables import read_ngram
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
    lm: Path | None = option(None, "Ask this language model of Chinese words as well (a file of `secateur lm`).")


def run(options: Options) -> Json:
    """The text of every line of pinyin."""
    model = WordModel.read(options.words) if options.words else WordModel()
    writer = BySound(model, lm=None if options.lm is None else read_ngram(options.lm))
    return {"characters": [{"pinyin": text, "text": writer.characters(text)} for text in options.texts]}


def show(result: Json) -> str:
    """A line a text."""
    return "\n".join(entry["text"] for entry in result["characters"])
