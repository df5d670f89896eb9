"""One function a spelling habit: letters that may stand for each other, marks that may be left out. Pure, text to text.

Input is NFKC (so ligatures, presentation forms and full-width letters are plain already). Each names its source.
"""

from __future__ import annotations

import re
import unicodedata

_SPARED_UNDERDOT = "\u0323"


def _table(pairs: str) -> dict[int, str | None]:
    """`"أا إا"` as a translation table: each pair's first character becomes its second, or nothing."""
    return {ord(pair[0]): pair[1:] or None for pair in pairs.split()}


# Arabic script. Points: Unicode 9.2 "Tashkil" (64B-65F, 670), Koranic signs (610-61A, 6D6-6ED), tatweel (640). Hamza on
# and under alef, alef wasla, and alef maksura: the normalisation of CAMeL Tools (Obeid et al. 2020) and of the Arabic
# test collections (Darwish et al. 2014). Ta marbuta and hamza on waw and ya are other sounds and stay.
_POINTS = re.compile(
    "[\u0610-\u061a\u064b-\u0652\u0656-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed]"
)
_ALEF = _table("أا إا آا ٱا ىي")


def untatweeled(text: str) -> str:
    """Without tatweel, which only stretches a line.

    >>> untatweeled("محمـــد")
    'محمد'
    """
    return text.replace("\u0640", "")


def unpointed_arabic(text: str) -> str:
    """Without short vowels, shadda, sukun and tatweel; hamza and madda, which make letters, stay composed.

    >>> unpointed_arabic("مُحَمَّدٌ")
    'محمد'
    """
    return _POINTS.sub("", untatweeled(text))


def arabic(text: str) -> str:
    """Alef of any kind as plain alef, alef maksura as ya.

    >>> arabic("أحمد إلى")
    'احمد الي'
    """
    return text.translate(_ALEF)


# Persian: letters of Arabic keyboards (hazm; ISIRI 6219), ezafe's hamza over heh, which is optional. Affixes: hazm's
# `affix_spacing`: what is written with a zero-width non-joiner, a space, or joined, is one word.
_PERSIAN = _table("يی ىی كک ةه أا إا ٱا ۀه ؤو")
_EZAFE = re.compile("ه\u0654")
_PREFIX = re.compile(r"(?<!\w)(ن?می)[\u200c ]+(?=\w)")
_SPACED_SUFFIX = re.compile(r"(?<=\w\w)[\u200c ]+(تر|ترین|ها|های|هایی|هایم|هایت|هایش|هایمان|هایتان|هایشان)(?!\w)")


def persian(text: str) -> str:
    """Letters of Arabic keyboards as Persian ones.

    >>> persian("كتاب علي")
    'کتاب علی'
    """
    return _EZAFE.sub("ه", text).translate(_PERSIAN)


def persian_affixes(text: str) -> str:
    """Prefixes of verbs and suffixes of nouns joined to their word, whichever way they were spaced.

    >>> persian_affixes("می\u200cروم کتاب های") == persian_affixes("می روم کتابهای")
    True
    """
    return _SPACED_SUFFIX.sub(r"\1", _PREFIX.sub(r"\1", text)).replace("\u200c", "")


# Urdu: letters of Arabic keyboards (urduhack's character table).
_URDU = _table("يی ىی كک ةۃ")


def urdu(text: str) -> str:
    """Letters of Arabic keyboards as Urdu ones; heh where it is Arabic's as Urdu's.

    >>> urdu("كيا يہ")
    'کیا یہ'
    """
    return text.translate(_URDU).replace("\u0647", "\u06c1")


def kurdish(text: str) -> str:
    """Arabic letters, and heh with a non-joiner for the vowel e, as Sorani's (AsoSoft, Mahmudi & Veisi 2021).

    >>> kurdish("ئه\u200cو كوردي")
    'ئەو کوردی'
    """
    return text.replace("ه\u200c", "ە").translate(_table("يی ىی كک"))


# Hebrew: points and accents (Unicode 9.1: 591-5BD, 5BF, 5C1-5C2, 5C4-5C5, 5C7); geresh and gershayim within a word,
# often typed as quotation marks, belong to abbreviations and foreign sounds.
_HEBREW_POINTS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]")
_GERESH = re.compile(
    "(?<=[\u05d0-\u05ea])['\"\u05f3\u05f4\u201d\u201c]+(?=[\u05d0-\u05ea])"
    "|(?<=[\u05d0-\u05ea])['\u05f3](?![\u05d0-\u05ea])"
)


def hebrew(text: str) -> str:
    """Without points; geresh and gershayim removed.

    >>> hebrew("שָׁלוֹם צה״ל")
    'שלום צהל'
    """
    return _GERESH.sub("", _HEBREW_POINTS.sub("", text))


def yiddish(text: str) -> str:
    """Double letters, which have characters of their own, as two (Unicode 9.1).

    >>> yiddish("\u05f0") == "\u05d5\u05d5"
    True
    """
    return text.replace("\u05f0", "\u05d5\u05d5").replace("\u05f1", "\u05d5\u05d9").replace("\u05f2", "\u05d9\u05d9")


# Indic scripts. Joiners only shape letters, save for Malayalam's chillus and Bengali's khanda ta, which old text spells
# with one (Unicode 12.2 and 12.9), and Marathi's eyelash ra (12.1, R5). A vowel letter may be spelled as another with a
# vowel sign ("Do Not Use" tables, Unicode 12). A colon is written for visarga (indic-nlp-library, Kunchukuttan 2020).
_JOINED = {"\u0d23": "\u0d7a", "\u0d28": "\u0d7b", "\u0d30": "\u0d7c", "\u0d32": "\u0d7d", "\u0d33": "\u0d7e",
           "\u0d15": "\u0d7f"}  # fmt: skip
_CHILLU = re.compile("([\u0d23\u0d28\u0d30\u0d32\u0d33\u0d15])\u0d4d\u200d")
_VISARGA = re.compile(r"(?<=[\u0900-\u0963]):(?=[\s\u0904-\u0939]|$)")
_DO_NOT_USE = {
    "\u0905\u093e": "\u0906", "\u0905\u0945": "\u0972", "\u0905\u0949": "\u0911", "\u0905\u094b": "\u0913",
    "\u0905\u094c": "\u0914", "\u0906\u0947": "\u0913", "\u0906\u0948": "\u0914", "\u0909\u0941": "\u090a",
    "\u090f\u0947": "\u0910", "\u0985\u09be": "\u0986", "\u0a05\u0a3e": "\u0a06", "\u0a72\u0a3f": "\u0a07",
    "\u0a72\u0a40": "\u0a08", "\u0a73\u0a41": "\u0a09", "\u0a73\u0a42": "\u0a0a", "\u0a72\u0a47": "\u0a0f",
    "\u0a05\u0a48": "\u0a10", "\u0a73\u0a4b": "\u0a13", "\u0a05\u0a4c": "\u0a14", "\u0a85\u0abe": "\u0a86",
    "\u0a85\u0ac7": "\u0a8f", "\u0a85\u0ac8": "\u0a90", "\u0a85\u0acb": "\u0a93", "\u0a85\u0acc": "\u0a94",
    "\u0b05\u0b3e": "\u0b06", "\u0b0f\u0b57": "\u0b10", "\u0b13\u0b57": "\u0b14", "\u0d09\u0d57": "\u0d0a",
    "\u0d07\u0d57": "\u0d08", "\u0d12\u0d57": "\u0d14", "\u0d0e\u0d46": "\u0d10", "\u0d92\u0dca\u200d": "\u0d92",
    "\u0d85\u0dcf": "\u0d86", "\u0d85\u0dd0": "\u0d87", "\u0d85\u0dd1": "\u0d88", "\u0b85\u0bbe": "\u0b86",
    "\u0b92\u0bb3": "\u0b94", "\u0d4c": "\u0d57", "\u0bb6\u0bcd\u0bb0\u0bc0": "\u0bb8\u0bcd\u0bb0\u0bc0",
}  # fmt: skip
_LETTERS = re.compile("|".join(sorted(map(re.escape, _DO_NOT_USE), key=len, reverse=True)))


def indic_before_joiners(text: str) -> str:
    """Letters that old text spells with a joiner, as the ones that they are.

    >>> indic_before_joiners("\u0d05\u0d35\u0d28\u0d4d\u200d") == "\u0d05\u0d35\u0d7b"
    True
    """
    text = _CHILLU.sub(lambda m: _JOINED[m[1]], text)
    return text.replace("\u09a4\u09cd\u200d", "\u09ce").replace("\u0930\u094d\u200d", "\u0931\u094d")


def indic(text: str) -> str:
    """Vowel letters in their one spelling, visarga for a colon after a letter.

    >>> indic("दु:ख") == "दुःख"
    True
    """
    return _VISARGA.sub("\u0903", _LETTERS.sub(lambda m: _DO_NOT_USE[m[0]], text))


# Thai and Lao: sara am, which NFKC takes apart, is one vowel after its tone mark; two sara e look like sara ae
# (pythainlp.util.normalize, Phatthiyaphaibun et al. 2023; Unicode 16.1, 16.2).
_THAI_AM = re.compile("\u0e4d([\u0e48-\u0e4b]?)\u0e32|([\u0e48-\u0e4b])\u0e4d\u0e32")
_LAO_AM = re.compile("\u0ecd([\u0ec8-\u0ecb]?)\u0eb2|([\u0ec8-\u0ecb])\u0ecd\u0eb2")


def thai(text: str) -> str:
    """Sara am as one character after its tone mark; sara ae as one.

    >>> thai("น\u0e49\u0e4d\u0e32") == thai("น\u0e4d\u0e49\u0e32") == "น้ำ"
    True
    """
    text = _THAI_AM.sub(lambda m: (m[1] or m[2] or "") + "\u0e33", text)
    return text.replace("\u0e40\u0e40", "\u0e41")


def lao(text: str) -> str:
    """Sara am as one character after its tone mark.

    >>> lao("ນ\u0ecd\u0ec9\u0eb2") == "ນ\u0ec9\u0eb3"
    True
    """
    return _LAO_AM.sub(lambda m: (m[1] or m[2] or "") + "\u0eb3", text)


def burmese(text: str) -> str:
    """The letter nya that is typed as u with asat (Unicode technical note 11).

    >>> burmese("\u1025\u103a") == "\u1009\u103a"
    True
    """
    return text.replace("\u1025\u103a", "\u1009\u103a").replace("\u1025\u1039", "\u1009\u1039")


# Amharic: rows of letters that have one sound (the usual normalisation of Amharic corpora, Yimam et al. 2021). Tigrinya
# speaks them apart.
_AMHARIC = {
    **{0x1210 + i: 0x1200 + i for i in range(7)},
    **{0x1280 + i: 0x1200 + i for i in range(7)},
    **{0x1220 + i: 0x1230 + i for i in range(8)},
    **{0x12D0 + i: 0x12A0 + i for i in range(7)},
    **{0x1340 + i: 0x1338 + i for i in range(7)},
}


def amharic(text: str) -> str:
    """One letter a sound: ሐ ኀ as ሀ, ሠ as ሰ, ዐ as አ, ፀ as ጸ; their first and fourth order as the first.

    >>> amharic("ሠላም ፀሐይ")
    'ሰላም ጸሀይ'
    """
    return text.translate(_AMHARIC).replace("\u1203", "\u1200").replace("\u12a3", "\u12a0")


# Armenian: the signs of question, stress and exclamation stand over a vowel within a word (Unicode 7.6); և is the
# ligature of ե and ւ, and in capitals ԵՎ (orthography of 1922).
_ARMENIAN_SIGNS = re.compile("[\u055a-\u055c\u055e\u055f\u2024](?=\\w)|(?<=\\w)[\u055a-\u055c\u055e\u055f](?!\\w)")


def armenian_signs(text: str) -> str:
    """Without the signs that are written within words.

    >>> armenian_signs("Ինչո՞ւ")
    'Ինչու'
    """
    return _ARMENIAN_SIGNS.sub("", text)


def armenian_ev(text: str) -> str:
    """The ligature and its two spellings as one letter.

    >>> armenian_ev("եւ") == armenian_ev("եվ") == "և"
    True
    """
    return text.replace("եւ", "և").replace("եվ", "և")


# Turkish, Azeri, Crimean Tatar, Gagauz: Unicode SpecialCasing, conditions tr and az.
def turkic(text: str) -> str:
    """Lower case of I and İ, which is not English's.

    >>> turkic("IĞDIR İzmir")
    'ığDıR izmir'
    """
    text = text.replace("I\u0307", "i").replace("İ", "i").replace("I", "ı")
    return unicodedata.normalize("NFC", text.replace("i\u0307", "i")).replace("Ğ", "ğ")


def azeri(text: str) -> str:
    """Schwa in its own characters, not those of other alphabets (U+01DD, Cyrillic)."""
    return text.translate(_table("ǝə Ǝə әə Әə"))


def kana(text: str) -> str:
    """Strokes between kana as the mark of a long vowel (neologdn, the normaliser of NEologd).

    >>> kana("コ\u2015ヒ\u2212")
    'コーヒー'
    """
    return re.sub("(?<=[\u3041-\u3096\u30a1-\u30fa\u30fc])[-\u2010\u2014\u2015\u2212\u2500](?![\\w])|"
                  "(?<=[\u3041-\u3096\u30a1-\u30fa])[-\u2010\u2014\u2015\u2212\u2500](?=[\u3041-\u3096\u30a1-\u30fa])",
                  "ー", text)  # fmt: skip


# Vietnamese: the tone mark of oa, oe, uy at a syllable's end stands on the first letter in the old style, on the second
# in the new one.
_OLD = {f"{a}{b}": f"{c}{d}" for a, c, bs, ds in (
    ("ò", "o", "ae", "àè"), ("ó", "o", "ae", "áé"), ("ỏ", "o", "ae", "ảẻ"), ("õ", "o", "ae", "ãẽ"),
    ("ọ", "o", "ae", "ạẹ"), ("ù", "u", "y", "ỳ"), ("ú", "u", "y", "ý"), ("ủ", "u", "y", "ỷ"), ("ũ", "u", "y", "ỹ"),
    ("ụ", "u", "y", "ỵ")) for b, d in zip(bs, ds, strict=True)}  # fmt: skip
_OLD_STYLE = re.compile(f"({'|'.join(_OLD)})(?!\\w)")


def vietnamese(text: str) -> str:
    """Tone marks where the new style has them.

    >>> vietnamese("hòa thủy hoàn")
    'hoà thuỷ hoàn'
    """
    return _OLD_STYLE.sub(lambda m: _OLD[m[1]], text)


def yoruba(text: str) -> str:
    """A line under e, o, s as a dot under them, which is the same mark.

    >>> yoruba("e\u0329") == "ẹ"
    True
    """
    taken = unicodedata.normalize("NFD", text).replace("\u0329", _SPARED_UNDERDOT)
    return unicodedata.normalize("NFC", taken)


def unstressed(text: str) -> str:
    """Cyrillic without the acute that dictionaries put on the stressed vowel; ѓ and ќ, which are letters, stay.

    >>> unstressed("молоко\u0301")
    'молоко'
    """
    return re.sub("(?<=[\u0400-\u045f])\u0301", "", text)


def russian(text: str) -> str:
    """ё, which may be written е.

    >>> russian("всё")
    'все'
    """
    return text.replace("ё", "е")


# Serbian, Bosnian, Montenegrin: the two alphabets, letter for letter (Pravopis).
_LATIN = _table("аa бb вv гg дd ђđ еe жž зz иi јj кk лl љlj мm нn њnj оo пp рr сs тt ћć уu фf хh цc чč џdž шš")


def serbian_latin(text: str) -> str:
    """Lower-case Cyrillic as Latin.

    >>> serbian_latin("љубав и њушка")
    'ljubav i njuška'
    """
    return text.translate(_LATIN)


def romanian(text: str) -> str:
    """S and t with cedilla, which old keyboards have, with their comma.

    >>> romanian("ştiinţă")
    'știință'
    """
    return text.translate(_table("şș ţț"))


def greek(text: str) -> str:
    """Final sigma as sigma.

    >>> greek("οδός")
    'οδόσ'
    """
    return text.replace("ς", "σ")
