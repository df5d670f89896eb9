"""Polyphones read by a network: g2pM (Park and Lee, Interspeech 2020), numpy alone, weights in its package.

It was trained on Wikipedia and knows rare characters and names there (`results/mandarin_text.md` compares); words of
everyday speech are what rules and the dictionary of phrases read better, so they come first. The package loads pickles
of its own: install it from a source that you trust.
"""

from __future__ import annotations

import functools
from typing import Any

from ..base.extras import require


def read_by_model(run: str) -> list[str]:
    """The readings of a run of Chinese characters, one each, with tone numbers and v for ü.

    Raises:
        SecateurError: the extra `polyphones` is not installed.
    """
    return [str(name).replace("u:", "v") for name in _model()(run, char_split=True, tone=True)]


@functools.cache
def _model() -> Any:
    return require("g2pM", "polyphones").G2pM()
