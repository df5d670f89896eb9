"""Help and errors in Chinese where the locale asks for it; English elsewhere, and where a translation is missing."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from secateur.base.locale import FOLDER, language, problem_said, said
from secateur.cli import COMMANDS, main


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")


def spoken_by_commands() -> Iterator[str]:
    """First lines of all commands' help."""
    for name in COMMANDS:
        module = importlib.import_module(f"secateur.cli.{name}")
        for command in getattr(module, "COMMANDS", {"": module}).values():
            yield command.HELP
            assert dataclasses.is_dataclass(command.Options)


def test_the_locale_says_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(key, raising=False)
    assert language() == "en"
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert language() == "zh"
    monkeypatch.setenv("LC_ALL", "C")
    assert language() == "c" and said("options") == "options"


@pytest.mark.usefixtures("chinese")
def test_the_tour_and_help_are_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    tour = capsys.readouterr().out
    assert "修剪语音识别模型" in tour
    lines = [line for line in tour.splitlines() if line.startswith("  ")]
    chinese = [line for line in lines if re.search("[\u4e00-\u9fff]", line)]
    assert len(chinese) >= 0.8 * len(COMMANDS)
    with pytest.raises(SystemExit):
        main(["transcribe", "--help"])
    shown = capsys.readouterr().out
    assert "转写" in shown and "选项" in shown and "示例：" in shown and "可能出现的名字和术语" in shown


@pytest.mark.usefixtures("chinese")
def test_errors_are_chinese_with_what_varies_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evalute"]) == 2
    assert capsys.readouterr().err == "secateur: 未知命令 'evalute'（是不是 'evaluate'？）；请看 secateur --help\n"
    assert main(["data", "stats", "no.jsonl"]) == 2
    assert capsys.readouterr().err == "secateur: no.jsonl：没有这个文件\n"
    assert main(["transcribe", "--beams", "2"]) == 2
    assert "未知选项 '--beams'（是不是 '--beam'？）" in capsys.readouterr().err
    assert problem_said("something nobody has translated") == "something nobody has translated"


def test_english_stays_english(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    assert main(["evalute"]) == 2
    assert capsys.readouterr().err.startswith("secateur: unknown command 'evalute' (did you mean")


def test_most_of_what_is_translated_is_still_said() -> None:
    source = "".join(p.read_text(encoding="utf-8") for p in sorted(FOLDER.parent.parent.rglob("*.py")))
    source += re.sub(r'"\s*\n\s*f?"', "", source)  # sentences over several lines
    texts: dict[str, str] = json.loads((FOLDER / "zh.json").read_text(encoding="utf-8"))["texts"]
    stale = [text for text in texts if text not in source]
    assert len(stale) < 0.15 * len(texts), stale
    helps = list(spoken_by_commands())
    assert sum(text in texts for text in helps) > 0.5 * len(helps)
    assert Path(FOLDER / "zh.json").stat().st_size < 60_000
