"""The first lines of help are whole sentences: people read them in lists."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from secateur.cli import COMMANDS, main
from secateur.cli.command import _first_sentence

FAMILIES = [name for name in COMMANDS if hasattr(importlib.import_module(f"secateur.cli.{name}"), "COMMANDS")]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_line_of_a_list_of_commands_ends(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([family, "--help"]) == 0
    title, _, *lines = capsys.readouterr().out.splitlines()
    listed = [line for line in lines if line and not line.startswith("each has --help")]
    assert listed and [line for line in listed if not line.endswith(".")] == []
    if family == "text":  # its title names them all
        assert title.split(": ")[1].split(", ") == [line.split()[0] for line in listed]


def test_a_citation_ends_no_sentence() -> None:
    class Masks:
        """How much is hidden (Park et al.
        2019). Only while training."""

    class Names:
        """What of Lee et al. Conformers keep. More."""

    assert _first_sentence(Masks) == "How much is hidden (Park et al. 2019)."
    assert _first_sentence(Names) == "What of Lee et al. Conformers keep."


def test_words_that_no_option_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-call.wav").write_bytes(b"")
    for words, expected in (
        (["adapt", "--train", "a.jsonl", "b.jsonl", "--out", "x"], "'b.jsonl' belongs to no option"),
        (["evaluate", "tiny.en", "a.jsonl", "b.jsonl"], "MODEL MANIFEST are all"),
        (["transcribe", "-call.wav"], "write ./-call.wav"),
        (["transcribe", "-calls.wav"], "unknown option '-calls.wav'"),
    ):
        assert main(words) == 2
        assert expected in capsys.readouterr().err
