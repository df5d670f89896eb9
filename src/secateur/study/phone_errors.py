"""The phone error rate of a CTC model whose units are phones: sounds are compared, whatever words they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..base.errors import SecateurError
from ..data.manifest import Utterance
from ..runtime.recogniser import Recogniser
from ..runtime.transcript import Transcript
from ..text.phones import Phones


def phones_of(recogniser: Recogniser) -> Phones:
    """The phones of a recogniser.

    Raises:
        SecateurError: it writes something else.
    """
    text = getattr(recogniser, "text", None)
    if not isinstance(text, Phones):
        raise SecateurError("phones are counted of CTC models that write them (units = 'phones'): use wer or cer")
    return text


def in_phones(units: Phones, utterances: Sequence[Utterance]) -> list[Utterance]:
    """The clips with their words' usual pronunciations, and nothing between words, as transcripts."""
    return [replace(u, text=units.sounds(units.encode(u.text))) for u in utterances]


def sounds(units: Phones, transcript: Transcript) -> str:
    """The phones of a transcript."""
    return units.sounds(unit for segment in transcript.segments for unit in segment.tokens)
