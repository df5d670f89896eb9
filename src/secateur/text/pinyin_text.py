"""Pinyin as people and programs write it, read as syllables: tone numbers or marks, ü, u: or v, capitals, 儿 as r.

nǐ hǎo · ni3 hao3 · NI3HAO3 · nv3 · nu:3 · nü3 · wánr · Běijīng · yong4 GPS
"""

from __future__ import annotations

import functools
import re
import unicodedata

from ..base.extras import require
from .chinese import EXTRA
from .pinyin import NEUTRAL, Syllable, parse_syllable

_MARKS = {"\u0304": 1, "\u0301": 2, "\u030c": 3, "\u0306": 3, "\u0300": 4}
_TOKEN = re.compile(r"[^\s'’\-·,.!?，。！？、;:；：]+(?::[^\s]*)?")
LONGEST = 6  # letters of a syllable


def read_pinyin(text: str) -> list[Syllable | str]:
    """The syllables of a text in pinyin; what is none (GPS, wifi) stays as it is.

    Raises:
        SecateurError: the extra `zh` is not installed.
    """
    result: list[Syllable | str] = []
    for token in _TOKEN.findall(re.sub("[uU]:", "v", text)):
        result += _syllables(token) or [token]
    return result


def _syllables(token: str) -> list[Syllable]:
    """The syllables of one word; none when it is no pinyin, or an abbreviation in capitals."""
    plain, tones = _toneless(token)
    if token.isupper() and len(token) > 1 and not tones and not any(c.isdigit() for c in token):
        return []
    return _cut(plain, tones)


def _toneless(token: str) -> tuple[str, dict[int, int]]:
    """Lower case without tone marks, v for ü, and the tones by the place of their vowel."""
    letters: list[str] = []
    tones: dict[int, int] = {}
    for c in unicodedata.normalize("NFD", token.lower()):
        if c in _MARKS:
            tones[len(letters) - 1] = _MARKS[c]
        elif c == "\u0308" and letters and letters[-1] == "u":
            letters[-1] = "v"
        else:
            letters.append({"ɡ": "g", "ɑ": "a"}.get(c, c))
    return "".join(letters), tones


def _cut(letters: str, tones: dict[int, int], start: int = 0) -> list[Syllable]:
    """Longest syllables first, taken back where the rest is none; every one has one tone at most."""
    if start == len(letters):
        return []
    for size in range(min(LONGEST, len(letters) - start), 0, -1):
        end = start + size
        sound = _known(letters[start:end])
        marked = [tone for at, tone in tones.items() if start <= at < end]
        if sound is None or len(marked) > 1:
            continue
        after = end
        tone = marked[0] if marked else NEUTRAL
        if letters[end : end + 1] in ("0", "1", "2", "3", "4", "5"):
            tone, after = int(letters[end]) or NEUTRAL, end + 1
        if not marked and after == end and letters[end : end + 1] == "r" and letters[end + 1 :] in ("1", "2", "3", "4"):
            return [parse_syllable(f"{sound}{letters[end + 1]}"), parse_syllable("er5")]  # wanr2: wan2 and 儿
        rest = _cut(letters, tones, after)
        if rest or after == len(letters):
            return [parse_syllable(f"{sound}{tone}"), *rest]
        if letters[after:] in ("r", "r5", "r0", "r2"):  # 儿 as part of the syllable before: wánr
            return [parse_syllable(f"{sound}{tone}"), parse_syllable("er5")]
        if letters[after : after + 1] == "r" and after < len(letters):
            further = _cut(letters, tones, after + 1 + (letters[after + 1 : after + 2] in ("5", "0")))
            if further:
                return [parse_syllable(f"{sound}{tone}"), parse_syllable("er5"), *further]
    return []


def _known(sound: str) -> str | None:
    """A syllable's name as the dictionary has it: lüe and nüe with v, ju qu xu yu with u; None: there is none."""
    if sound in _sounds():
        return sound
    if "v" in sound and sound[0] in "jqxy":
        return _known(sound.replace("v", "u"))
    if sound in ("lue", "nue"):
        return _known(sound.replace("u", "v"))
    return None


@functools.cache
def _sounds() -> frozenset[str]:
    """Every syllable of Mandarin without tone."""
    table = require("pypinyin.constants", EXTRA).PINYIN_DICT
    to_plain = require("pypinyin.contrib.tone_convert", EXTRA).to_normal
    marked = {name for names in table.values() for name in names.split(",")}
    plain = {str(to_plain(name, v_to_u=False)).replace("ü", "v") for name in marked}
    return frozenset(name for name in plain if re.search("[aeiouv]", name) and name.isascii() and "ê" not in name)
