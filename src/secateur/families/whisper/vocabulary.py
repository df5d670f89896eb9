"""The vocabulary OpenAI gave every Whisper: which special token has which id, and what is never said.

Checkpoints in OpenAI's own format say only how many rows they have; everything else follows from that number.
"""

from __future__ import annotations

from ...base.errors import SecateurError
from ...base.files import Json
from ...text.tokenizer import Tokenizer
from ...text.tokens import Tokens
from ...weights.json_values import MOST
from .config import WhisperConfig, uniform

ENGLISH_ROWS = 51864  # one row more: multilingual; each further row: one more language
LANGUAGES = (
    "en", "zh", "de", "es", "ru", "ko", "fr", "ja", "pt", "tr", "pl", "ca", "nl", "ar", "sv", "it", "id", "hi",
    "fi", "vi", "he", "uk", "el", "ms", "cs", "ro", "da", "hu", "ta", "no", "th", "ur", "hr", "bg", "lt", "la",
    "mi", "ml", "cy", "sk", "te", "fa", "lv", "bn", "sr", "az", "sl", "kn", "et", "mk", "br", "eu", "is", "hy",
    "ne", "mn", "bs", "kk", "sq", "sw", "gl", "mr", "pa", "si", "km", "sn", "yo", "so", "af", "oc", "ka", "be",
    "tg", "sd", "gu", "am", "yi", "lo", "uz", "fo", "ht", "ps", "tk", "nn", "mt", "sa", "lb", "my", "bo", "tl",
    "mg", "as", "tt", "haw", "ln", "ha", "ba", "jw", "su", "yue",
)  # fmt: skip
TIMESTAMPS = 1501  # 0.00 s to 30.00 s in steps of 20 ms
# Sounds and typography that transcribers write and nobody says (Radford et al. 2022, the reference's default).
SYMBOLS = (
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    "<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", '("', "((", "))", "(((", ")))", "[[", "]]", "{{", "}}",
    "♪♪", "♪♪♪",
)  # fmt: skip
MUSIC = "♩♪♫♬♭♮♯"  # several tokens each: their first one is enough


def is_multilingual(rows: int) -> bool:
    """Whether a vocabulary of `rows` rows has languages to choose from."""
    return rows > ENGLISH_ROWS


def special_names(rows: int) -> dict[str, int] | None:
    """Names and ids of the special tokens of a vocabulary of `rows` rows; None for one that OpenAI does not use."""
    languages = 99 + max(0, rows - ENGLISH_ROWS - 1)
    if rows < ENGLISH_ROWS or languages > len(LANGUAGES):
        return None
    names = ["endoftext", "startoftranscript", *LANGUAGES[:languages], "translate", "transcribe", "startoflm"]
    names += ["startofprev", "nospeech", "notimestamps", *(f"{i * 0.02:.2f}" for i in range(TIMESTAMPS))]
    first = rows - len(names)
    return {f"<|{name}|>": first + i for i, name in enumerate(names)}


def non_speech_tokens(tokenizer: Tokenizer) -> set[int]:
    """Text ids that are never part of a transcript."""
    suppressed = {tokenizer.encode_exactly(" -")[0], tokenizer.encode_exactly(" '")[0]}
    for symbol in (*SYMBOLS, *MUSIC):
        for ids in (tokenizer.encode_exactly(symbol), tokenizer.encode_exactly(" " + symbol)):
            if len(ids) == 1 or symbol in MUSIC:
                suppressed.add(ids[0])
    return suppressed


def openai_tokens(rows: int, tokenizer: Tokenizer) -> Tokens:
    """The special ids and suppress lists of an OpenAI vocabulary of `rows` rows, as the reference decodes with them.

    Raises:
        ValueError: OpenAI has no vocabulary of that size.
    """
    ids = special_names(rows)
    if ids is None:
        raise ValueError(f"no Whisper vocabulary has {rows} rows")
    multilingual = is_multilingual(rows)
    never = ("translate", "transcribe", "startoftranscript", "startofprev", "startoflm", "nospeech")
    end = ids["<|endoftext|>"]
    return Tokens(
        start=ids["<|startoftranscript|>"], end=end, no_timestamps=ids["<|notimestamps|>"], timestamps=ids["<|0.00|>"],
        timestamp_count=TIMESTAMPS, transcribe=ids["<|transcribe|>"], translate=ids["<|translate|>"],
        previous=ids["<|startofprev|>"], no_speech=ids["<|nospeech|>"], multilingual=multilingual,
        languages={name: ids[f"<|{name}|>"] for name in LANGUAGES if f"<|{name}|>" in ids} if multilingual else {},
        suppress=tuple(sorted(non_speech_tokens(tokenizer) | {ids[f"<|{name}|>"] for name in never})),
        suppress_at_start=(tokenizer.encode_exactly(" ")[0], end),
    )  # fmt: skip


def checked_uniform(sizes: Json, tokens: Tokens, name: str, where: str) -> WhisperConfig:
    """`uniform(**sizes)` for sizes (the keys of `MOST`) that a Whisper can have.

    Raises:
        SecateurError: a size is missing, no whole number, or out of range, or the heads do not divide the width.
    """
    for key, most in MOST.items():
        value = sizes.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise SecateurError(f"{where}: {key.replace('_', ' ')} is {value!r}, expected a number from 1 to {most}")
    if sizes["width"] % sizes["heads"]:
        raise SecateurError(f"{where}: a width of {sizes['width']} cannot be split into {sizes['heads']} heads")
    if not 0 <= tokens.end < sizes["vocabulary"] or not 0 <= tokens.start < sizes["vocabulary"]:
        raise SecateurError(f"{where}: the start or end token lies outside the {sizes['vocabulary']} rows")
    return uniform(tokens=tokens, name=name, **sizes)
