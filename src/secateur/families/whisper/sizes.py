"""Sizes that a foreign checkpoint claims, checked before a network of that size is built."""

from __future__ import annotations

from ...base.errors import SecateurError
from ...base.files import Json
from ...text.tokens import Tokens
from ...weights.json_values import MOST
from .config import WhisperConfig, uniform


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
