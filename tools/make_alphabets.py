"""Writes src/secateur/text/alphabets.tsv: what every language of languages.tsv is written with.

Scripts and letters are Unicode CLDR's (main and auxiliary exemplar sets), taken from the PyPI package gflanguages
(Apache 2.0), which need not be installed otherwise: `pip install gflanguages==0.7.11`, then `tools/make_alphabets.py`.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

import gflanguages

from secateur.text.languages import languages

TABLE = Path(__file__).resolve().parent.parent / "src" / "secateur" / "text" / "alphabets.tsv"
PLAIN = "abcdefghijklmnopqrstuvwxyz"
# CLDR's code where Whisper has another one; Malay has Indonesian's letters.
CODES = {"no": "nb", "jw": "jv", "tl": "fil", "ms": "id", "ak": "tw", "kmr": "ku"}
# Several living scripts: those that transcripts are written in, as Common Voice and FLEURS have them.
WRITTEN = {"sr": ("Latn", "Cyrl"), "pa": ("Guru",), "so": ("Latn",), "az": ("Latn",), "bs": ("Latn",)}
NAMES = {  # the first word of a character's name in the Unicode Standard, by ISO 15924
    "Arab": "ARABIC", "Armn": "ARMENIAN", "Beng": "BENGALI", "Cyrl": "CYRILLIC", "Deva": "DEVANAGARI",
    "Ethi": "ETHIOPIC", "Geor": "GEORGIAN", "Grek": "GREEK", "Gujr": "GUJARATI", "Guru": "GURMUKHI", "Kore": "HANGUL",
    "Hebr": "HEBREW", "Jpan": "HIRAGANA KATAKANA CJK", "Hans": "CJK", "Hant": "CJK", "Knda": "KANNADA",
    "Khmr": "KHMER", "Laoo": "LAO", "Latn": "LATIN", "Mlym": "MALAYALAM", "Mymr": "MYANMAR", "Orya": "ORIYA",
    "Sinh": "SINHALA", "Taml": "TAMIL", "Telu": "TELUGU", "Thaa": "THAANA", "Thai": "THAI", "Tibt": "TIBETAN",
}  # fmt: skip


def line(code: str) -> str | None:
    """Code, scripts, Latin letters beyond a to z; None for a language that the package has no letters of."""
    known = gflanguages.LoadLanguages()
    all_of = [one for one in known.values() if one.language == CODES.get(code, code) and one.script in NAMES]
    living = [one for one in all_of if one.exemplar_chars.base]
    if not living:
        return None
    most = max(living, key=lambda one: (not one.historical, one.population)).script
    chosen = [one for one in living if one.script in WRITTEN.get(code, (most,))]
    scripts = " ".join(sorted({NAMES[one.script] for one in chosen}))
    letters: set[str] = set()
    for one in chosen:
        if one.script == "Latn":
            text = unicodedata.normalize("NFC", f"{one.exemplar_chars.base} {one.exemplar_chars.auxiliary}").lower()
            letters |= {c for c in text if unicodedata.category(c)[0] == "L" and c not in PLAIN}
    return f"{code}\t{scripts}\t{''.join(sorted(letters))}"


def main() -> None:
    lines = [one for code in languages() if (one := line(code)) is not None]
    head = "# code, scripts (first words of Unicode's names), Latin letters beyond a to z; by tools/make_alphabets.py"
    TABLE.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    print(f"{TABLE}: {len(lines)} languages")


if __name__ == "__main__":
    main()
