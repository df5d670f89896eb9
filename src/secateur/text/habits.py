"""What readers of a language hold equal: letters, marks and signs that may differ without a word being wrong.

All languages: NFKC (Unicode annex 15); remarks in brackets removed; lower case; every script's decimal digits as 0-9
(Unicode 4.6); format characters removed, the zero-width space of Thai, Khmer and Burmese a space; punctuation and
symbols (general categories P and S, so the danda and the signs of Khmer, Ethiopic and Tibetan, too) a space. Combining
marks stay: in most scripts they are the vowels. A language's `Habit` adds to that; its source stands beside its rules
in `letters`.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from . import letters as own

CHINESE = frozenset({"zh", "yue", "wuu", "nan", "hak", "gan", "cdo", "hsn"})  # `chinese` normalises them
Rule = Callable[[str], str]

_REMARKS = re.compile(r"[<\[][^>\]]*[>\]]|\([^)]+?\)")  # Whisper's: [noise], <unk>, (laughs)
_APOSTROPHES = re.compile("[\u2018\u2019\u201b\u02bb\u02bc\u02bd\u02be\u02bf\u2032\u00b4`\ua78b\ua78c\u02b9]")
_GROUPED = re.compile(r"(?<=\d),(?=(?:\d\d,)*\d{3}(?!\d))")  # 1,234,567 and 12,34,567
_IN_WORD = re.compile(r"(?<=\w)'(?=\w)")
_INVISIBLE = re.compile("[\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef\u034f\u17b4\u17b5]")  # variants, joiners
_WORD = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class Habit:
    """How a language's text is made comparable, beyond what holds for all."""

    note: str = ""  # what it does, for people
    first: tuple[Rule, ...] = ()  # on NFKC text in its own case
    last: tuple[Rule, ...] = ()  # on lower-case text, before punctuation goes
    apostrophe: str = "space"  # in a word: a "space", a "letter", "initial" (a letter there, too), or removed ("none")
    grouped: bool = False  # a comma between digits groups thousands
    kept: str = ""  # signs of category P or S that are words or letters

    def normalise(self, text: str) -> str:
        """`text` without what does not count as an error; words are separated by single spaces."""
        text = unicodedata.normalize("NFKC", text.replace("\u200b", " "))
        text = _APOSTROPHES.sub("'", _REMARKS.sub(" ", text))
        for rule in self.first:
            text = rule(text)
        text = text.lower()
        if self.grouped:
            text = _GROUPED.sub("", text)
        for rule in self.last:
            text = rule(text)
        if self.apostrophe == "none":
            text = _IN_WORD.sub("", text)
        text = "".join(self._character(text, i) for i in range(len(text)))
        words = (word.rstrip("'") for word in _INVISIBLE.sub("", text).split())
        return " ".join(word for word in words if _WORD.search(word) or any(c in self.kept for c in word))

    def _character(self, text: str, i: int) -> str:
        c = text[i]
        if "a" <= c <= "z" or c == " " or c in self.kept:
            return c
        if c == "'" and self.apostrophe in ("letter", "initial"):
            before = i > 0 and text[i - 1].isalpha()
            return c if before or (self.apostrophe == "initial" and text[i + 1 : i + 2].isalpha()) else " "
        category = unicodedata.category(c)
        if category == "Nd":
            return str(unicodedata.digit(c))
        if category == "Cf":
            return ""
        return " " if category[0] in "PSZC" else c


_ARABIC = Habit(
    "optional vowels and tatweel removed, hamza on alef and final ya made equal", (own.unpointed_arabic, own.arabic)
)
_INDIC = Habit("vowel signs and marks kept (NFC), zero-width joiners removed, digits made equal",
               (own.indic_before_joiners,), (own.indic,), grouped=True)  # fmt: skip
_ACCENTED = Habit("stress marks removed", (own.unstressed,))
_GLOTTAL = Habit("the apostrophe is a letter", apostrophe="initial")
_APOSTROPHE = Habit("the apostrophe is part of a word", apostrophe="letter")
_TURKIC = Habit("dotted and dotless i in their own case", (own.turkic,), apostrophe="none")
_SERBIAN = Habit("Cyrillic and Latin letters made equal", (), (own.serbian_latin,))
_WIDE = Habit("half and full width made equal", (), (own.kana,), grouped=True)

HABITS: dict[str, Habit] = {
    **dict.fromkeys(("ar", "arz", "ary", "apc", "acm", "afb", "aeb"), _ARABIC),
    "fa": Habit("Arabic letters as Persian ones, vowel points removed, joiners and spaces of affixes made equal",
                (own.unpointed_arabic, own.persian), (own.persian_affixes,)),
    "ur": Habit("Arabic letters as Urdu ones, vowel points removed", (own.unpointed_arabic, own.urdu)),
    **dict.fromkeys(("pnb", "skr"), Habit("Arabic letters as Urdu ones", (own.unpointed_arabic, own.urdu))),
    "ckb": Habit("Arabic letters as Kurdish ones", (own.unpointed_arabic, own.kurdish)),
    **dict.fromkeys(("ps", "sd"), Habit("vowel points and tatweel removed", (own.unpointed_arabic,))),
    **dict.fromkeys(("ug", "ks", "dv"), Habit("vowel signs kept, tatweel removed", (own.untatweeled,))),
    "he": Habit("vowel points removed, geresh and gershayim part of a word", (own.hebrew,)),
    **dict.fromkeys(("yi", "lad"), Habit("points kept, ligatures taken apart", (own.yiddish,))),
    **dict.fromkeys(
        ("hi", "mr", "ne", "sa", "bn", "as", "pa", "gu", "or", "ta", "te", "kn", "ml", "si", "mai", "bho", "awa", "hne",
         "kok", "doi", "brx", "mni", "dgo", "bgc", "rkt", "syl", "sat"), _INDIC,
    ),
    "th": Habit("vowels and tone marks kept, sara am made one", (own.thai,), grouped=True),
    "lo": Habit("vowels and tone marks kept, sara am made one", (own.lao,)),
    "km": Habit("vowels and subscripts kept"),
    "my": Habit("vowels and medials kept", (own.burmese,), kept="\u104c\u104d\u104e\u104f", grouped=True),
    **dict.fromkeys(("bo", "dz"), Habit("vowels and subscripts kept")),
    "am": Habit("letters of one sound made equal", (own.amharic,)),
    **dict.fromkeys(("ti", "tig"), Habit("Ethiopic punctuation removed")),
    "hy": Habit("signs within words removed, the ligature ev made equal", (own.armenian_signs,), (own.armenian_ev,)),
    **dict.fromkeys(("ja", "ko", "ii"), _WIDE),
    **dict.fromkeys(("tr", "az", "crh", "gag"), _TURKIC),
    "az": Habit("dotted and dotless i in their own case", (own.turkic, own.azeri), apostrophe="none"),
    "vi": Habit("tone marks in one place", (), (own.vietnamese,)),
    "yo": Habit("under-dots and tone marks kept", (own.yoruba,)),
    "ru": Habit("ё as е, stress marks removed", (own.unstressed,), (own.russian,)),
    **dict.fromkeys(("uk", "be"), Habit("the apostrophe is part of a word, stress marks removed", (own.unstressed,),
                                        apostrophe="letter")),
    **dict.fromkeys(("bg", "mk"), _ACCENTED),
    **dict.fromkeys(("sr", "bs", "cnr"), _SERBIAN),
    "ro": Habit("cedillas as commas below", (), (own.romanian,)),
    "el": Habit("final sigma as sigma", (), (own.greek,)),
    **dict.fromkeys(("br", "uz", "ha", "gn", "so", "sw"), _APOSTROPHE),
    **dict.fromkeys(("haw", "sm", "to", "ty"), _GLOTTAL),
}  # fmt: skip


@functools.cache
def habit_of(code: str) -> Habit:
    """The habit of a language by its code; what holds for all where it has none of its own."""
    if code in CHINESE:
        return Habit("simplified characters, numbers as they are read, width made equal")
    return HABITS.get(code, Habit())
