"""Folders whose checksums fit but whose numbers are absurd: refused before memory or time is spent on them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secateur.base.errors import SecateurError
from secateur.base.files import sha256
from secateur.runtime.contents import BUNDLED
from secateur.runtime.recogniser import Recogniser

SOURCE = next(BUNDLED.iterdir())


def spoilt(folder: Path, file: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """The bundled model with one file changed and signed anew."""
    shutil.copytree(SOURCE, folder)
    values = json.loads((folder / file).read_text())
    change(values)
    (folder / file).write_text(json.dumps(values))
    contents = json.loads((folder / "export.json").read_text())
    contents["files"][file] = {"bytes": (folder / file).stat().st_size, "sha256": sha256(folder / file)}
    (folder / "export.json").write_text(json.dumps(contents))
    return folder


@pytest.mark.parametrize("key", ["vocabulary", "audio_context", "text_context", "width", "conv_channels"])
@pytest.mark.parametrize("value", [10**9, 2**62, 0, -5])
def test_sizes(key: str, value: int, tmp_path: Path) -> None:
    folder = spoilt(tmp_path / "m", "config.json", lambda values: values.update({key: value}))
    with pytest.raises(SecateurError, match="config"):
        Recogniser.load(folder)


@pytest.mark.parametrize(("key", "value"), [("window", 10**9), ("hop", 10**6), ("sample_rate", 10**8), ("bins", 10**5)])
def test_front_ends(key: str, value: int, tmp_path: Path) -> None:
    folder = spoilt(tmp_path / "m", "config.json", lambda values: values["front_end"].update({key: value}))
    with pytest.raises(SecateurError, match="config"):
        Recogniser.load(folder)


def test_an_hour_of_padding(tmp_path: Path) -> None:
    change = {"audio_context": 2_000_000, "padded": True}
    folder = spoilt(tmp_path / "m", "config.json", lambda values: values.update(change))
    with pytest.raises(SecateurError, match="a window of 40000 s"):
        Recogniser.load(folder)


CHAIN = [{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}] * 200
TOKENIZERS: dict[str, dict[str, Any]] = {
    "chained decoders": {"decoder": {"type": "Sequence", "decoders": CHAIN}},
    "nested decoders": {"decoder": {"type": "Sequence", "decoders": [
        {"type": "Sequence", "decoders": CHAIN[:15]}, {"type": "Sequence", "decoders": CHAIN[:15]}]}},
    "a regular expression": {"pre_tokenizer": {
        "type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}},
    "a replacing expression": {"normalizer": {"type": "Replace", "pattern": {"Regex": "(a|a)+b"}, "content": ""}},
    "long replacements": {"decoder": {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 100_000}},
    "an unknown part": {"decoder": {"type": "CTC", "pad_token": "a", "word_delimiter_token": "|", "cleanup": True}},
}  # fmt: skip


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokenizers(name: str, tmp_path: Path) -> None:
    folder = spoilt(tmp_path / "m", "tokenizer.json", lambda values: values.update(TOKENIZERS[name]))
    began = time.process_time()
    with pytest.raises(SecateurError, match=r"tokenizer"):
        Recogniser.load(folder)
    assert time.process_time() - began < 30  # s of CPU: minutes before
