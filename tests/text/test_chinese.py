"""Chinese that says the same is the same: width, script, numbers, signs; what is said differently stays different."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("opencc")
pytest.importorskip("wetext")
pytest.importorskip("pypinyin")
pytest.importorskip("jieba")

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.data.manifest import read_manifest
from secateur.text import chinese
from secateur.text.alphabets import scripts_of
from secateur.text.chinese import normalise_chinese
from secateur.text.normalise import normaliser


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("１９８０年３月５日", "一九八〇年三月五日"),
        ("臺灣的頭髮發揮", "台湾的头发发挥"),
        ("乾隆皇帝很乾燥", "乾隆皇帝很干燥"),
        ("2.5%的人", "百分之二点五的人"),
        ("一共2,000元。", "一共两千元"),
        ("下午3:15", "下午三点十五分"),
        ("-5℃", "负五摄氏度"),
        ("１０ｋｇ大米", "十千克大米"),
        ("「开灯」！[noise]", "开灯"),
        ("ＧＰＳ导航，Hello", "gps导航 hello"),
        ("COVID-19", "covid 十九"),
        ("第3次", "第三次"),
    ],
)
def test_the_same_words_are_the_same(one: str, other: str) -> None:
    normalise = normaliser("zh-CN")
    assert "".join(normalise(one).split()) == "".join(normalise(other).split()) != ""


def test_errors_survive_and_texts_in_brackets_stay() -> None:
    assert normalise_chinese("他在家") != normalise_chinese("她在家")
    assert normalise_chinese("（约）三人") == "约 三人"


def test_normalising_twice_changes_nothing_on_real_texts(speech: Path) -> None:
    texts = [u.text for u in read_manifest(speech / "commonvoice-zh-cn" / "dev.jsonl")]
    once = [normalise_chinese(text) for text in texts]
    assert [normalise_chinese(text) for text in once] == once
    assert scripts_of(once) == {"CJK"}
    assert not any(set(text) & set("，。、「」《》0123456789") for text in once)


def test_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opencc", None)
    chinese._converter.cache_clear()
    with pytest.raises(SecateurError, match=r"pip install 'secateur-asr\[zh\]'"):
        normalise_chinese("好")


def test_commands_print_a_line_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["text", "pinyin", "重庆的银行行长，2.5分", "你好"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "chong2 qing4 de5 yin2 hang2 hang2 zhang3 er4 dian3 wu3 fen1",
        "ni3 hao3",
    ]
    assert main(["text", "normalise", "「臺灣」", "--language", "zh", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["normalised"] == [{"text": "「臺灣」", "normalised": "台湾"}]
    assert main(["text", "pinyin", "好", "--form", "number"]) == 2
    assert "did you mean 'numbers'" in capsys.readouterr().err
