"""Transcripts with times: subtitles, Praat's and ELAN's tiers, labels, NIST's CTM and STM."""

from .span import Span, utterances_of

__all__ = ["Span", "utterances_of"]
