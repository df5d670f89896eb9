"""A long file that was killed goes on where it was, and says the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speech_clips import clips

from secateur.api.transcribe import transcribe
from secateur.decode.clips import DecodedAudio
from secateur.decode.options import DecodingOptions
from secateur.decode.segments import Segment, Word
from secateur.decode.speech import Window
from secateur.runtime.passages import WindowCache, key_of
from secateur.runtime.recogniser import Recogniser

ONE, TWO = Window(((0, 5), (9, 20)), 7), Window(((30, 40),), 3)
SAID = DecodedAudio(
    (Segment(0.0, 1.0, "hi", -0.1, 0.2, (1, 2), (-0.1, -0.2), 0.9, (Word("hi", 0.1, 0.5, 0.9),)),), "en"
)


def test_only_the_same_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.part"
    WindowCache(path, "key", "x").add([ONE], [SAID])
    with path.open("a") as file:
        file.write('{"window": [[30, 40]], "seg')  # killed here
    again = WindowCache(path, "key", "x")
    assert again.get(ONE) == SAID
    assert again.get(TWO) is None
    again.add([TWO], [DecodedAudio((), None)])
    assert WindowCache(path, "key", "x").get(TWO) == DecodedAudio((), None)
    assert WindowCache(path, "other", "x").get(ONE) is None


def test_the_key_tells_recordings_and_options_apart() -> None:
    audio = np.zeros(10, np.float32)
    keys = {key_of(a, m, o) for a in (audio, audio + 1) for m in (1, 2) for o in (DecodingOptions(),
                                                                                DecodingOptions(beam=2))}  # fmt: skip
    assert len(keys) == 8


def test_a_killed_file_goes_on_and_says_the_same(speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["secateur.api.transcribe"], "LONG", 10.0)
    monkeypatch.setattr("secateur.runtime.passages.CHUNK", 1)
    pause = np.zeros(3 * 16000, np.float32)
    audio = np.concatenate([np.concatenate([a, pause]) for a, _ in clips(speech, "librispeech-mini", 3, "dev")])
    soundfile.write(tmp_path / "long.wav", audio, 16000)
    whole = transcribe(inputs=(str(tmp_path / "long.wav"),), out=tmp_path / "out", threads=1)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["long.txt"]

    original, count = Recogniser._decoded, 0

    def dies(self: Recogniser, audios: list[np.ndarray], options: DecodingOptions) -> list[DecodedAudio]:  # type: ignore[type-arg]
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return original(self, audios, options)

    monkeypatch.setattr(Recogniser, "_decoded", dies)
    with pytest.raises(KeyboardInterrupt):
        transcribe(inputs=(str(tmp_path / "long.wav"),), out=tmp_path / "again", threads=1)
    (part,) = (tmp_path / "again").iterdir()
    assert len(part.read_text().splitlines()) == 2
    assert json.loads(part.read_text().splitlines()[1])["segments"]
    count = 10
    found = transcribe(inputs=(str(tmp_path / "long.wav"),), out=tmp_path / "again", threads=1)
    assert found["files"][0]["text"] == whole["files"][0]["text"]
    assert [p.name for p in (tmp_path / "again").iterdir()] == ["long.txt"]
