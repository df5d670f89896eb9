"""How to decode, in one frozen dataclass; thresholds are those of the Whisper reference."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from ..base.errors import SecateurError
from ..base.options import Settings, option
from ..text.languages import language_tag


@dataclass(frozen=True)
class DecodingOptions(Settings):
    """How audio is decoded into text (Radford et al. 2022, section 4.5)."""

    language: str | None = option(
        None,
        "Decode this language, by code or name (en, zh-CN, german); left out or auto: detected, if a model knows more.",
    )
    task: Literal["transcribe", "translate"] = option("transcribe", "Transcribe, or translate into English.")
    timestamps: bool | None = option(
        None,
        "Give segment times from the model's timestamp tokens; left out: only where audio is longer than one "
        "window, and only by models that still decode like OpenAI's.",
    )
    beam: int = option(
        1,
        "Search with this many beams; 1 is greedy, the fastest (with lm: 5, CTC 32).",
        unit="beams",
        least=1,
        elsewhere=("beam_size", "num_beams", "beam_width"),
    )
    patience: float = option(
        1.0, "Wait for this many finished hypotheses a beam (Kasai et al. 2022).", above=0, advanced=True
    )
    length_penalty: float | None = option(
        None,
        "Divide by the length to this exponent (Wu et al. 2016, eq. 14); left out: mean log probability.",
        least=0,
        advanced=True,
    )
    best_of: int = option(5, "Draw this many samples at every temperature above 0.", least=1, advanced=True)
    temperatures: tuple[float, ...] = option(
        (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
        "Decode again at the next of these where a result is not trusted; 0 alone never does.",
        least=0,
        advanced=True,
        was=("temperature",),
        elsewhere=("temperature_increment_on_fallback",),
    )
    compression_ratio_threshold: float | None = option(
        2.4,
        "Distrust text that compresses better than this: it repeats itself; none trusts it.",
        above=0,
        advanced=True,
    )
    log_prob_threshold: float | None = option(
        -1.0, "Distrust text whose mean log probability is below this; none trusts it.", most=0, advanced=True
    )
    no_speech_threshold: float | None = option(
        0.6, "Write nothing where no speech is likelier than this and the text is not trusted; none always writes.",
        unit="probability", least=0, most=1, advanced=True,
    )  # fmt: skip
    no_speech_tilt: float | None = option(
        None,
        "Lower no_speech_threshold by this, in log odds, for every nat that the text's mean log probability is "
        "below 0; left out: the rule of the Whisper reference.",
        least=0,
        advanced=True,
    )
    unlikely_threshold: float | None = option(
        None,
        "Write nothing where the text's mean log probability is below this; left out: however unlikely it is.",
        most=0,
        advanced=True,
    )
    calibrated: bool = option(
        True,
        "Take the thresholds above from the model, where they were calibrated for it and none of them is given.",
        advanced=True,
    )
    vad: Literal["auto", "on", "off"] = option(
        "auto",
        "Look for speech first, leave long pauses out, cut long recordings in pauses and end segments there; auto: "
        "always.",
        elsewhere=("vad_filter", "use_vad"),
    )
    vad_detector: Literal["auto", "silero", "energy"] = option(
        "auto", "Find speech with this detector; auto: silero where it is installed, energy otherwise.", advanced=True
    )
    vad_threshold: float = option(
        0.5, "Take sound for speech from this probability on.", unit="probability", above=0, below=1, advanced=True
    )
    max_tokens: int | None = option(
        None,
        "Write at most this many tokens a window; left out: half the text context.",
        unit="tokens",
        least=1,
        advanced=True,
        elsewhere=("max_new_tokens", "sample_len"),
    )
    word_times: bool = option(
        False, "Give every word's start, end and confidence.", elsewhere=("word_timestamps", "return_timestamps")
    )
    condition_on_previous: bool = option(
        False,
        "Prompt every window with the text before it.",
        advanced=True,
        elsewhere=("condition_on_previous_text", "condition_on_prev_tokens", "carry_initial_prompt"),
    )
    words: tuple[str, ...] = option(
        (),
        "Prompt with these names and terms, separated by commas.",
        elsewhere=("initial_prompt", "prompt", "hotwords", "hot_words", "keywords", "context_bias"),
    )
    lm: tuple[Path, ...] = option(
        (), "Search with these n-gram language models, mixed; of CTC models their words are the lexicon."
    )
    lm_shares: tuple[float, ...] = option(
        (), "Mix the language models in these shares; left out: evenly.", unit="share", least=0, advanced=True
    )
    lm_weight: float | None = option(
        None,
        "Weight the language model's log probabilities by this beside the network's; left out: 0.5 for CTC "
        "models, 0.2 for others.",
        least=0,
        advanced=True,
        elsewhere=("alpha", "kenlm_alpha"),
    )
    word_bonus: float | None = option(
        None, "Add this for every word: a language model by itself prefers few; left out: 0.5.", advanced=True
    )
    blank_penalty: float = option(
        0.0, "Take this off the blank's log probability, with language models.", advanced=True
    )
    numbers_as_words: bool = option(
        False, "Write no token with a digit or a currency sign (encoder-decoder models).", advanced=True
    )
    unknown: float | None = option(
        None,
        "Add this for a word that no language model has; left out: there are none, or, of encoder-decoders, what "
        "the model gives its rarest.",
        advanced=True,
    )
    seed: int = option(0, "Seed the samples of temperatures above 0.", advanced=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.language == "auto":
            object.__setattr__(self, "language", None)
        if self.language is not None:
            language_tag(self.language)  # an error for a language that nobody knows
        if not self.temperatures:
            raise SecateurError("temperatures must be one or more numbers from 0 up")


OF_LM = ("lm_weight", "lm_shares", "word_bonus", "blank_penalty", "unknown")


def check_decoding(options: DecodingOptions, usual: DecodingOptions) -> None:
    """Refuse what was set otherwise than in `usual` and would do nothing.

    Raises:
        SecateurError: settings of a detector that is off, of a beam, of a language model or of samples that are not
            asked for.
    """
    given = [one.name for one in fields(options) if getattr(options, one.name) != getattr(usual, one.name)]
    needs = {name: "--vad on" for name in given if name.startswith("vad_") and options.vad == "off"}
    if not options.lm:
        needs |= dict.fromkeys(OF_LM, "--lm")
        if options.beam == 1:
            needs |= dict.fromkeys(("patience", "length_penalty"), "--beam 2")
    if not any(options.temperatures):
        needs |= dict.fromkeys(("best_of", "seed"), "--temperatures 0,0.2")
    for name in given:
        if name in needs:
            flag = name.replace("_", "-")
            if name.startswith("vad_") and usual.vad != "off":
                raise SecateurError(f"--{flag} has no effect with --vad off: leave out one of them")
            raise SecateurError(f"--{flag} has no effect without {needs[name]}: set both, or leave it out")
