"""Help and errors in Chinese where the locale asks for it; English elsewhere, and where a translation is missing."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from secateur.base.locale import Catalogue, columns, language, translated
from secateur.base.option_fields import walk
from secateur.cli import COMMANDS, main
from secateur.cli.shown import shown_table, with_titles
from secateur.data.demo import BUNDLED

TOOLS = Path(__file__).resolve().parent.parent.parent / "tools"
sys.path.insert(0, str(TOOLS))
from make_catalogue import differences, read  # noqa: E402
from message_templates import Module, module_templates, numbered, templates  # noqa: E402


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")


def test_the_locale_says_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(key, raising=False)
    assert language() == "en"
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert language() == "zh"
    monkeypatch.setenv("LC_ALL", "C")
    assert language() == "c" and translated("options") == "options"


@pytest.mark.usefixtures("chinese")
def test_the_tour_and_help_are_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    tour = capsys.readouterr().out
    assert "给语音识别模型剪枝" in tour
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
    assert capsys.readouterr().err == "secateur: 未知命令“evalute”（是不是“evaluate”？）；请看 secateur --help\n"
    assert main(["data", "stats", "no.jsonl"]) == 2
    assert capsys.readouterr().err == "secateur: no.jsonl：没有这个文件\n"
    assert main(["transcribe", "--beams", "2"]) == 2
    assert "未知选项“--beams”（是不是“--beam”？）" in capsys.readouterr().err
    assert translated("something nobody has translated") == "something nobody has translated"


def test_english_stays_english(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")
    assert main(["evalute"]) == 2
    assert capsys.readouterr().err.startswith("secateur: unknown command 'evalute' (did you mean")


def test_messages_within_messages_are_filled_in() -> None:
    catalogue = Catalogue({
        "{0}: cannot be read ({1})": "{0}：无法读取（{1}）", "Permission denied": "权限不够",
        "no such file": "没有这个文件", "{0} clips": "{0} 条录音", "decoding {0} clips": "解码 {0} 条录音",
        "unknown {0} '{1}'{2}; known: {3}": "未知的{0}“{1}”{2}；已知：{3}", "criterion": "准则",
        "(did you mean '{0}'?)": "（是不是“{0}”？）",
    })  # fmt: skip
    say = catalogue.translated
    assert say("a b.wav: cannot be read (Permission denied)") == "a b.wav：无法读取（权限不够）"
    known = "unknown criterion 'tailor' (did you mean 'taylor'?); known: random, taylor"
    assert say(known) == "未知的准则“tailor”（是不是“taylor”？）；已知：random, taylor"
    assert say("unknown criterion 'criterion'; known: a") == "未知的准则“criterion”；已知：a"  # a name is no word
    assert say("decoding 12 clips") == "解码 12 条录音"  # the particular before the general
    assert say("x.wav: no such file; y.wav: Permission denied") == "x.wav：没有这个文件；y.wav：权限不够"
    assert say("nothing known") == "nothing known"
    assert say("Decoding 12 clips") == "解码 12 条录音"  # a sentence of its own


def test_a_long_hostile_line_takes_no_longer_than_its_length() -> None:
    catalogue = Catalogue({"{0}: {1}, {2}: {3}, {4}: {5} end": "{0}{1}{2}{3}{4}{5}"})
    line = ": , " * 300
    assert catalogue.translated(line) == line


SLOTS = re.compile(r"\{\d+\}")


def test_the_catalogue_is_complete_and_fresh() -> None:
    """`tools/make_catalogue.py --missing FILE` lists what to translate, --merge adds it, --sweep removes the stale."""
    missing, stale = differences("zh")
    assert not missing
    assert not stale


def test_translations_keep_what_varies() -> None:
    wrong = {k: v for k, v in read("zh").items() if set(SLOTS.findall(k)) != set(SLOTS.findall(v))}
    assert not wrong


def test_every_option_and_command_is_chinese(capsys: pytest.CaptureFixture[str], chinese: None) -> None:
    """Walked as a user sees them, not as the source has them: whatever is shown has no sentence in English left."""
    said = set(templates())
    for name in COMMANDS:
        module = importlib.import_module(f"secateur.cli.{name}")
        for command in getattr(module, "COMMANDS", {"": module}).values():
            assert re.search("[\u4e00-\u9fff]", translated(command.HELP)), command.HELP
            for one in walk(command.Options):
                sentence = one.field.metadata["help"]
                assert sentence in said and re.search("[\u4e00-\u9fff]", translated(sentence)), sentence
        assert re.search("[\u4e00-\u9fff]", translated(COMMANDS[name]))


def test_extraction_finds_what_is_said(tmp_path: Path) -> None:
    source = (
        "def f(name, count):\n    problem = f'{name}: is damaged' if count else 'is empty'\n"
        "    say(f'reading {name}')\n    raise SecateurError(f'{name}: {problem}; take {count} of them')\n"
    )
    (tmp_path / "a.py").write_text(source, encoding="utf-8")
    found = {numbered(text) for text in module_templates(Module(tmp_path / "a.py", tmp_path))}
    assert {"{0}: {1}; take {2} of them", "{0}: is damaged", "is empty", "reading {0}"} <= found


def test_what_is_said_far_from_where_it_is_written_is_found(tmp_path: Path) -> None:
    source = (
        '"""A reader of files."""\nEXAMPLE = "secateur data prepare some folder"\nSTOP = "one of the words".split()\n'
        "def notes(parts, clips):\n    found = []\n    found.append('its recording is left out')\n"
        "    found += [f'{clips} clips', f'{parts} of its pages are missing']\n    return found\n"
    )
    (tmp_path / "a.py").write_text(source, encoding="utf-8")
    found = {numbered(text) for text in module_templates(Module(tmp_path / "a.py", tmp_path))}
    assert found == {"its recording is left out", "{0} clips", "{0} of its pages are missing"}


ENGLISH = re.compile(r"[a-z]{3,} [a-z]{2,}")  # two words in a row: names of files and models are single ones


@pytest.mark.usefixtures("chinese")
def test_results_are_chinese(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dev = str(BUNDLED / "dev.jsonl")
    for folder, text in (("a", "ONCE MORE UNTO THE BREACH DEAR FRIENDS"), ("b", "")):
        (tmp_path / f"{folder}.opus").write_bytes((BUNDLED / "dev" / "gus-00.opus").read_bytes())
        (tmp_path / f"{folder}.txt").write_text(text, encoding="utf-8")
    commands = (
        ("data", "stats", dev, "--by", "speaker"), ("data", "split", dev, "--by", "id", "--out", "split"),
        ("data", "prepare", ".", "--out", "all.jsonl"),
        ("text", "normalise", "ok", "--language", "de"),
    )  # fmt: skip
    for command in commands:
        assert main([*command]) == 0
        shown = capsys.readouterr()
        for line in (shown.out + shown.err).splitlines():
            plain = re.sub(r"`[^`]*`", "", line)  # what is typed stays
            assert not ENGLISH.search(plain), line
    assert "语句" in translated("2 utterances, 0.10 h; 1 speaker; language en; texts in upper case only")
    assert main(["data", "stats", dev, "--json"]) == 0
    assert '"utterances"' in capsys.readouterr().out


@pytest.mark.usefixtures("chinese")
def test_tables_stay_aligned_with_characters_of_two_columns() -> None:
    lines = shown_table(
        ["model", "parameters", "file"], [["录音室", "1.0 M", "2 MB"], ["tiny", "37.8 M", "77 MB"]]
    ).split("\n")
    assert lines[0].split() == ["模型", "参数", "文件"]
    assert len({columns(line) for line in lines}) == 1
    table = "arm  parameters  without\na         1.0 M      0.1"
    assert [columns(line) for line in with_titles(table).split("\n")] == [columns(line) for line in table.split("\n")]
