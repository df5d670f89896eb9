"""`secateur text pinyin`: Chinese text as it sounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...base.files import Json
from ...base.options import Settings, option
from ...text.chinese import spoken
from ...text.pinyin import pinyin

HELP = "Pinyin of Chinese text, heteronyms read by their context, numbers as they are read aloud."
EXAMPLE = """secateur text pinyin "银行行长在重庆重申"
secateur text pinyin "他得了2.5分" --form parts"""


@dataclass(frozen=True)
class Options(Settings):
    """What is read, and how it is written."""

    texts: tuple[str, ...] = option(help="Read these texts, each in quotes.", positional=True)
    form: Literal["numbers", "plain", "parts", "marks"] = option(
        "numbers", "Write ni3 hao3 (numbers), ni hao (plain), n i3 h ao3 (parts) or nǐ hǎo (marks)."
    )
    tones: Literal["dictionary", "spoken"] = option(
        "dictionary", "Write tones as in the dictionary (一 is yi1 anywhere), or as spoken beside each other."
    )
    polyphones: Literal["rules", "model"] = option(
        "rules", "Read polyphones by rules and a dictionary of phrases, or what they leave open by a network (model)."
    )


def run(options: Options) -> Json:
    """The pinyin of every text."""

    def read(text: str) -> str:
        return pinyin(spoken(text), options.form, options.tones, options.polyphones)

    return {"pinyin": [{"text": text, "pinyin": read(text)} for text in options.texts]}


def show(result: Json) -> str:
    """A line a text."""
    return "\n".join(entry["pinyin"] for entry in result["pinyin"])
