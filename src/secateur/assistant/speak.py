"""Answers spoken by espeak-ng, where it is installed."""

from __future__ import annotations

import shutil
import subprocess

from ..base.errors import SecateurError

VOICES = {"en": "en-us", "zh": "cmn"}


def voice_installed() -> bool:
    """Whether answers can be spoken."""
    return shutil.which("espeak-ng") is not None


def speech(text: str, language: str = "en") -> bytes:
    """A WAV file that says `text`.

    Raises:
        SecateurError: espeak-ng is missing or fails.
    """
    return _run([*_command(language), "--stdout"], text)


def say_aloud(text: str, language: str = "en") -> None:
    """Say `text` through the loudspeaker.

    Raises:
        SecateurError: espeak-ng is missing or fails.
    """
    _run(_command(language), text)


def _command(language: str) -> list[str]:
    if not voice_installed():
        raise SecateurError("espeak-ng is not installed: install it, or leave out --speak")
    return ["espeak-ng", "-v", VOICES.get(language[:2], language), "--stdin"]


def _run(command: list[str], text: str) -> bytes:
    done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=30)
    if done.returncode:
        raise SecateurError(f"espeak-ng failed ({done.stderr.decode(errors='replace').strip()})")
    return done.stdout
