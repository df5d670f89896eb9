"""One text, path or array where several are expected is refused in one line: its letters or samples are no list."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secateur.api.adapt import AdaptSettings
from secateur.api.job import settings_of
from secateur.api.transcribe import TranscribeSettings, load
from secateur.audio.noise_bank import NoiseBank
from secateur.base.errors import SecateurError, several
from secateur.data.bank import AudioBank
from secateur.data.check import check
from secateur.data.exports import export
from secateur.data.manifest import Utterance, write_manifest
from secateur.data.prepare import prepare
from secateur.data.split import split_by_speaker
from secateur.data.stats import stats
from secateur.decode.options import DecodingOptions
from secateur.evaluate.conditions import chosen
from secateur.evaluate.run import evaluate
from secateur.keras.doctor import doctor
from secateur.lm.estimate import train_ngram
from secateur.text.alphabets import alphabet_of
from secateur.text.units import make_units
from secateur.weights.cache import clean

NEW = Path(tempfile.gettempdir()) / "never-written.jsonl"
TAKES_TEXTS: list[Callable[[Any], object]] = [
    train_ngram, alphabet_of, chosen, clean, lambda x: make_units("characters", x), lambda x: doctor(None, only=x),
]  # fmt: skip
TAKES_SETS: list[Callable[[Any], object]] = [
    stats, check, split_by_speaker, AudioBank.read, lambda x: write_manifest(NEW, x), lambda x: prepare(x, NEW),
    lambda x: export(x, "nemo", NEW), lambda x: evaluate(lambda _: [], x, model="m", data="d"), NoiseBank.read,
]  # fmt: skip


@pytest.mark.parametrize("function", [*TAKES_TEXTS, *TAKES_SETS], ids=lambda f: inspect.getsource(f)[:60].split("(")[0])
@pytest.mark.parametrize("one", ["set.jsonl", Path("set.jsonl")])
def test_a_text_or_a_path_is_not_several(function: Callable[[Any], object], one: str | Path) -> None:
    with pytest.raises(SecateurError, match=r"takes several, and .*set\.jsonl.* is one: "):
        function(one)
    assert not NEW.exists()


def test_several_keeps_what_is_several() -> None:
    names = iter(["a"])
    assert several("x", names) is names and several("x", ("a",)) == ("a",)
    assert several("x", np.zeros((2, 3))).shape == (2, 3)
    for one in (np.zeros(3), np.zeros(3, np.int16), b"abc", 3):
        with pytest.raises(SecateurError, match="takes several"):
            several("x", one)  # type: ignore[type-var]


def test_a_batch_of_one_recording() -> None:
    recogniser = load()
    for one in ("a.wav", Path("a.wav"), np.zeros(16000, np.float32), Utterance("a", Path("a.wav"), 1.0)):
        with pytest.raises(SecateurError, match=r"transcribe_batch takes several, and .* is one: put it into a list"):
            recogniser.transcribe_batch(one)  # type: ignore[arg-type]
    assert recogniser.transcribe_batch([np.zeros(16000, np.float32)])[0].text == ""


def test_settings_take_one_by_name_and_refuse_its_letters() -> None:
    with pytest.raises(SecateurError, match="words takes several, and 'Anna' is one: put it into a tuple"):
        DecodingOptions(words="Anna")  # type: ignore[arg-type]
    with pytest.raises(SecateurError, match="train takes several"):
        AdaptSettings(train=Path("a.jsonl"), out=Path("x"))  # type: ignore[arg-type]
    for given in ("hello, world.wav", Path("hello, world.wav")):
        settings = settings_of(TranscribeSettings, "transcribe", [given], {})
        assert settings.inputs == ("hello, world.wav",)
    two = settings_of(TranscribeSettings, "transcribe", [["a.wav", "b.wav"]], {})
    assert two.inputs == settings_of(TranscribeSettings, "transcribe", ["a.wav", "b.wav"], {}).inputs
