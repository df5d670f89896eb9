"""Transcripts in the style that a recogniser writes: fine-tuning then need not unlearn capitals and full stops."""

from __future__ import annotations

import re


def as_sentence(text: str) -> str:
    """Bare lower- or upper-case `text` as a sentence: first letter and "I" capital, a full stop at the end.

    Text that has both cases, or punctuation at its end, or no Latin letter, is someone's own style and stays as it is.

    >>> as_sentence("i think he's right")
    "I think he's right."
    >>> as_sentence("Bob said so.")
    'Bob said so.'
    """
    text = text.strip()
    bare = text.lower() if text == text.upper() else text
    if not re.search("[a-z]", bare) or bare != bare.lower() or bare[-1:] in ".?!,;:":
        return text
    bare = re.sub(r"\bi\b(?!')", "I", bare)
    bare = re.sub(r"\bi(?='(m|ll|ve|d)\b)", "I", bare)
    return bare[0].upper() + bare[1:] + "."
