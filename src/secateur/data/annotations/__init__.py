"""Transcripts with times: subtitles, Praat's and ELAN's tiers, labels, NIST's CTM and STM."""

from .span import TimedText, utterances_of

__all__ = ["TimedText", "utterances_of"]
