"""Vocabulary rows: a model for one language or domain needs a tenth of them.

Kept are the tokens of given texts, the most frequent of the tokens that are spelled with the same characters (lower
case only, say: words that the texts lack but users will say), all bytes (so that any text can still be spelled),
and the special tokens that decoding needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..base.errors import SecateurError
from ..base.files import at_home, read_limited
from ..decode.session import TokenConfig
from ..models.family import Config, family_of
from ..text.alphabets import Alphabet, alphabet_of, letters_of, script, scripts_of, spells
from ..text.languages import base_language
from ..text.tokenizer import Tokenizer
from .budget import Keep

MOST_TEXT = 64 << 20  # bytes of a text whose letters are read
BROKEN = "\ufffd"  # what an incomplete character decodes to


def special_rows(config: TokenConfig, languages: Iterable[str] = (), timestamps: bool = False) -> list[int]:
    """Ids of the special tokens that stay: start, end, no-timestamps, no-speech, previous, tasks, `languages`.

    With `timestamps` also the time steps up to the model's audio context.
    """
    special = config.tokens
    languages = [base_language(name) for name in languages]
    rows = [special.start, special.end, special.no_timestamps, special.no_speech, special.previous]
    if special.multilingual:
        rows += [special.transcribe, *(special.languages[name] for name in languages if name in special.languages)]
        if not languages:
            rows += [special.translate, *special.languages.values()]
    if timestamps and special.timestamps is not None:
        steps = min(special.timestamp_count, round(config.max_seconds * 50) + 1)
        rows += range(special.timestamps, special.timestamps + steps)
    return sorted({row for row in rows if row is not None})


def choose_rows(
    config: TokenConfig,
    tokenizer: Tokenizer,
    texts: Iterable[str],
    frequent: int = 4000,
    limit: int | None = None,
    languages: Iterable[str] = (),
    timestamps: bool = False,
) -> Keep:
    """The plan `{"vocabulary": rows}` for a model that has to write `texts` and what is like them.

    The `frequent` most frequent tokens spelled with the texts' bytes, in the texts' writing systems, stay whatever the
    texts say. With `limit`, rarer tokens of the texts go until at most so many text rows stay; such words are spelled
    from shorter pieces. All bytes stay, so any character can still be written.
    """
    texts = list(texts)
    counts: Counter[int] = Counter()
    for text in texts:
        counts.update(tokenizer.encode(text))
    by_frequency = [i for i, _ in counts.most_common()]
    scripts = scripts_of(texts)
    base = [i for i in tokenizer.spelled_like(by_frequency) if _written_in(tokenizer.decode([i]), scripts)][:frequent]
    rows = tokenizer.closed(base + by_frequency)
    if limit is not None and len(rows) > limit:
        low, high = 0, len(by_frequency)
        while low < high:  # the longest prefix of the frequency list that fits
            middle = (low + high + 1) // 2
            if len(tokenizer.closed(base + by_frequency[:middle])) <= limit:
                low = middle
            else:
                high = middle - 1
        rows = tokenizer.closed(base + by_frequency[:low])
    return {"vocabulary": sorted({*rows, *special_rows(config, languages, timestamps)})}


def rows_of_alphabet(
    config: TokenConfig,
    tokenizer: Tokenizer,
    alphabet: Alphabet,
    languages: Iterable[str] = (),
    timestamps: bool = False,
) -> Keep:
    """The plan `{"vocabulary": rows}` for a model that writes any text in `alphabet`: without training it writes the
    same as before, where it wrote only that. All bytes stay, so any character can still be written."""
    check = spells(alphabet)
    rows = tokenizer.closed(i for i, piece in tokenizer.spelled().items() if check(piece))
    return {"vocabulary": sorted({*rows, *special_rows(config, languages, timestamps)})}


def chosen_alphabet(setting: str, languages: Iterable[str]) -> Alphabet:
    """The alphabet that `prune.vocabulary` names: "script" (of `languages`), "alphabet:LETTERS" or "text:FILE".

    Raises:
        SecateurError: another form, a language without a known alphabet, no letters, a file that cannot be read.
    """
    kind, _, value = setting.partition(":")
    if setting == "script":
        names = [base_language(name) for name in languages]
        if not names:
            raise SecateurError(
                "vocabulary script: say which languages stay: --prune.languages el,en (export: --languages)"
            )
        return alphabet_of(names)
    if kind == "text" and value:
        value = read_limited(at_home(value), MOST_TEXT).decode(errors="replace")
    if kind not in ("alphabet", "text") or not any(c.isalpha() for c in value):
        raise SecateurError(
            f"vocabulary: '{setting}' is not yes, no, script, alphabet:LETTERS or text:FILE with letters in it"
        )
    return Alphabet(frozenset(scripts_of([value]) - {"LATIN"}), frozenset(letters_of(value)))


def _written_in(token: str, scripts: frozenset[str]) -> bool:
    """Whether a token's letters are all of `scripts`; pieces of a character come with the tokens that need them."""
    return BROKEN not in token and {script(c) for c in token} - {None} <= scripts


def reduced_tokenizer(tokenizer: Tokenizer, rows: list[int], config: TokenConfig) -> Tokenizer:
    """The tokenizer that goes with a model shrunk to `rows`; `config` is the shrunk model's."""
    return tokenizer.reduced([i for i in rows if i < tokenizer.end], config.tokens.end)


def context_plan(config: Config, seconds: float | None, text_tokens: int | None) -> Keep:
    """The plan that cuts the audio context to `seconds` and the text context to `text_tokens` positions.

    Empty for a family whose contexts are not stored: no parameter goes with them.
    """
    return family_of(config).contexts(config, seconds, text_tokens)
