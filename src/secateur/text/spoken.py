"""Text as it is said: what a model that spells from sound is taught. Numbers and contractions stay words."""

from __future__ import annotations

import unicodedata


def spoken(text: str) -> str:
    """`text` in lower case with letters, marks, digits and apostrophes within words; single spaces for all else.

    Error rates are counted on more even text (`normalise`), where "three two" is "32" and "don't" is "do not": no
    network hears that, so targets are not spelled so.

    >>> spoken("Don’t—THREE two, 'tis rock 'n' roll!")
    "don't three two tis rock n roll"
    """
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    kept = "".join(c if c == "'" or unicodedata.category(c)[0] in "LMN" else " " for c in plain)
    return " ".join(word for word in (w.strip("'") for w in kept.split()) if word)
