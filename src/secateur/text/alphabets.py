"""What a language is written with: its writing systems, and for Latin ones its letters beyond a to z.

Writing systems as Unicode names them (the first word of a character's name, Unicode Standard chapter 4.8); letters as
in the main exemplar sets of Unicode CLDR, with those of common loanwords. Languages are those of Whisper's table.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from ..base.errors import SecateurError, nearest

SCRIPTS: dict[str, tuple[str, ...]] = {
    "ARABIC": ("ar", "fa", "ur", "ps", "sd"), "ARMENIAN": ("hy",), "BENGALI": ("bn", "as"),
    "CYRILLIC": ("ru", "uk", "bg", "be", "mk", "mn", "kk", "tt", "tg", "ba", "sr"),
    "DEVANAGARI": ("hi", "mr", "ne", "sa"),
    "ETHIOPIC": ("am",), "GEORGIAN": ("ka",), "GREEK": ("el",), "GUJARATI": ("gu",), "GURMUKHI": ("pa",),
    "HANGUL": ("ko",), "HEBREW": ("he", "yi"), "HIRAGANA": ("ja",), "KATAKANA": ("ja",), "CJK": ("zh", "yue", "ja"),
    "KANNADA": ("kn",), "KHMER": ("km",), "LAO": ("lo",), "MALAYALAM": ("ml",), "MYANMAR": ("my",),
    "SINHALA": ("si",), "TAMIL": ("ta",), "TELUGU": ("te",), "THAI": ("th",), "TIBETAN": ("bo",),
    "LATIN": (),  # see LETTERS
}  # fmt: skip
LETTERS: dict[str, str] = {  # beyond a to z, lower case
    "af": "áâäéèêëíîïóôöúûü",
    "az": "çəğıiöşü", "br": "âêîôûùñ", "bs": "čćđšž", "ca": "àçéèíïóòúü·ŀ", "cs": "áčďéěíňóřšťúůýž",
    "cy": "áàâäéèêëíìîïóòôöúùûüýỳŷÿẁẃŵẅ", "da": "æøåéáó", "de": "äöüßéàâ", "en": "éèêëáàâäïîíôöóüúñçæœ",
    "es": "áéíñóúüçàè", "et": "äõöüšž", "eu": "ñçü", "fi": "äöåšžé", "fo": "áðíóúýæø", "fr": "àâæçéèêëîïôœùûüÿñ",
    "gl": "áéíñóúüïç", "haw": "āēīōūʻ", "hr": "čćđšžǆǉǌ", "ht": "èòé",
    "hu": "áéíóöőúüű", "id": "éè", "is": "áðéíóúýþæö",
    "it": "àéèìîíòóùúç", "jw": "éèêâ", "la": "āēīōūæœëăĕĭŏŭ", "lb": "äéëöüêèôûâ", "ln": "áâǎéêěɛíîǐóôǒɔú",
    "lt": "ąčęėįšųūž", "lv": "āčēģīķļņšūž", "mg": "àâéèêëìîïñôù", "mi": "āēīōū", "ms": "é", "mt": "ċġħżàèìòù",
    "nl": "áâäéèëêíïóôöúûüĳç", "nn": "æøåàéèêóòôü", "no": "æøåàéèêóòôü", "oc": "àáçéèëíïóòúü", "pl": "ąćęłńóśźżé",
    "pt": "áàâãçéêíóôõúüèò", "ro": "ăâîșțşţ", "sk": "áäčďéíĺľňóôŕšťúýž", "sl": "čšžćđ", "sn": "", "so": "",
    "sq": "çëé", "su": "éè", "sv": "åäöéàáèü", "sw": "", "tk": "çäňöşüýž", "tl": "áàâéèêíìîñóòôúùû", "tr": "çğıiöşüâîû",
    "uz": "ʻʼ", "vi": "ăâđêôơưàảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ",
    "yo": "áàéèẹíìóòọṣúùńǹ", "sr": "čćđšž", "ha": "ɓɗƙƴ",
}  # fmt: skip
DANDAS = "\u0964\u0965"  # the full stops of most Indian scripts, named after Devanagari
INDIC = frozenset(
    ("DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA")
)
PLAIN = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Alphabet:
    """Letters that a text may have: every one of `scripts`, and `letters`, one by one. Digits and signs are in any."""

    scripts: frozenset[str]
    letters: frozenset[str]

    def has(self, character: str) -> bool:
        """Whether a text in this alphabet may have the character."""
        word = writing_system(character)
        return word is None or word in self.scripts or character in self.letters


@cache
def writing_system(character: str) -> str | None:
    """The writing system of a letter, mark or digit; None for what all of them share.

    >>> writing_system("ή"), writing_system("ั"), writing_system("५"), writing_system("5"), writing_system("!")
    ('GREEK', 'THAI', 'DEVANAGARI', None, None)
    """
    word = unicodedata.name(character, "UNKNOWN").split()[0].split("-")[0]
    if word in SCRIPTS and character not in DANDAS:
        return word
    # COMBINING marks, DIGITs, SUPERSCRIPTs and the like are nobody's; letters of a system not listed are their own.
    shared = word in ("MODIFIER", "FULLWIDTH", "HALFWIDTH", "IDEOGRAPHIC", "FEMININE", "MASCULINE", "MICRO", "OHM")
    return word if unicodedata.category(character)[0] == "L" and not shared else None


def alphabet_of(languages: Iterable[str]) -> Alphabet:
    """What texts in all of `languages` (codes) may have.

    Raises:
        SecateurError: a language whose alphabet is not known here.
    """
    scripts: set[str] = set()
    letters: set[str] = set()
    known = {code for codes in SCRIPTS.values() for code in codes} | set(LETTERS)
    for code in languages:
        if code not in known:
            raise SecateurError(
                f"no alphabet is known of the language '{code}'{nearest(code, known)}; name its letters: "
                "--prune.vocabulary alphabet:LETTERS"
            )
        scripts |= {name for name, codes in SCRIPTS.items() if code in codes and name != "LATIN"}
        if code in LETTERS:
            letters |= letters_of(PLAIN + LETTERS[code])
    return Alphabet(frozenset(scripts), frozenset(letters))


def letters_of(text: str) -> set[str]:
    """The letters of a text in both cases, composed and decomposed."""
    both = text + text.upper() + text.lower() + text.title()
    return {c for form in ("NFC", "NFD", "NFKC") for c in unicodedata.normalize(form, both) if not c.isspace()}


SIGNS = (range(0xA0, 0xC0), range(0x2000, 0x2070), range(0x20A0, 0x20C0), range(0x2100, 0x2150), range(0x2190, 0x2200))
WIDE = (range(0x3000, 0x3040), range(0xFF00, 0xFFF0))  # signs beside Chinese characters


@cache
def by_system() -> dict[str | None, str]:
    """The characters of Unicode's first plane beyond ASCII, by their writing system."""
    groups: dict[str | None, list[str]] = {}
    for number in range(0x80, 0x10000):
        groups.setdefault(writing_system(chr(number)), []).append(chr(number))
    return {name: "".join(them) for name, them in groups.items()}


def characters(alphabet: Alphabet) -> set[str]:
    """Every character of the alphabet in Unicode's first plane, signs that texts in any language have included."""
    groups = {c for name in alphabet.scripts for c in by_system().get(name, "")} | alphabet.letters
    if alphabet.scripts & INDIC:
        groups |= set(DANDAS)
    wide = WIDE if alphabet.scripts & {"CJK", "HIRAGANA", "HANGUL"} else ()
    return groups | {chr(i) for block in (*SIGNS, *wide) for i in block if writing_system(chr(i)) is None}


def spells(alphabet: Alphabet) -> Callable[[bytes], bool]:
    """Whether a text in the alphabet may have these UTF-8 bytes: whole characters, or pieces of one at either end."""
    encoded = [c.encode() for c in characters(alphabet)]
    heads = {c[:n] for c in encoded for n in range(1, len(c))}
    tails = {c[n:] for c in encoded for n in range(1, len(c))}

    def check(piece: bytes) -> bool:
        start = next((i for i, byte in enumerate(piece) if byte & 0xC0 != 0x80), len(piece))
        if start == len(piece):  # the middle or the end of a character
            return piece in tails or any(piece in c[1:] for c in encoded)
        if start and piece[:start] not in tails:
            return False
        text = piece[start:].decode(errors="ignore")
        head = piece[start + len(text.encode()) :]
        return all(map(alphabet.has, text)) and (not head or head in heads)

    return check
