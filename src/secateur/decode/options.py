"""How to decode, in one frozen dataclass; thresholds are those of the Whisper reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..base.errors import SecateurError


@dataclass(frozen=True)
class DecodingOptions:
    """Everything a user may choose about decoding (Radford et al. 2022, section 4.5)."""

    language: str | None = None  # "en", "zh-CN", ...; None: detected if the model knows several
    task: Literal["transcribe", "translate"] = "transcribe"
    # None: only where audio is longer than one window, and only by models that still decode like OpenAI's.
    timestamps: bool | None = None
    beam: int = 1  # at temperature 0; 1 is greedy
    patience: float = 1.0  # finished beams to wait for, in beams (Kasai et al. 2022)
    length_penalty: float | None = None  # None: mean log probability; else the exponent of Wu et al. 2016, eq. 14
    best_of: int = 5  # samples at every temperature above 0
    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    compression_ratio_threshold: float | None = 2.4  # text that compresses better repeats itself
    log_prob_threshold: float | None = -1.0  # mean log probability below which a result is not trusted
    no_speech_threshold: float | None = 0.6
    max_tokens: int | None = None  # a window; None: half the text context
    word_times: bool = False  # every word's start, end and confidence
    condition_on_previous: bool = False  # prompt a window with the text before it
    words: tuple[str, ...] = ()  # names and terms to expect; they go into the prompt
    lm: tuple[Path, ...] = ()  # CTC models: n-gram language models, mixed; their words are the lexicon
    lm_shares: tuple[float, ...] = ()  # in which they are mixed; empty: evenly
    lm_weight: float = 0.5  # of the language model's log probabilities beside the network's
    word_bonus: float = 0.5  # added for every word: a language model by itself prefers few
    blank_penalty: float = 0.0  # with language models: taken off the blank's log probability
    numbers_as_words: bool = False  # encoder-decoders: no token with a digit or a currency sign is written
    unknown: float | None = None  # added for a word that no language model has; None: there are none
    seed: int = 0  # of sampling; every window draws from its own generator

    def __post_init__(self) -> None:
        for name in ("beam", "best_of"):
            if getattr(self, name) < 1:
                raise SecateurError(f"{name} must be at least 1, found {getattr(self, name)}")
        if not self.temperatures or min(self.temperatures) < 0:
            raise SecateurError("temperatures must be one or more numbers from 0 up")
        if self.patience <= 0:
            raise SecateurError(f"patience must be above 0, found {self.patience}")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise SecateurError(f"max_tokens must be at least 1, found {self.max_tokens}")
