"""Pinyin becomes text and mistakes that sound right are mended, by a dictionary and the words of texts."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("opencc")
pytest.importorskip("wetext")
pytest.importorskip("pypinyin")
pytest.importorskip("jieba")
from head_small import heard

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.data.manifest import Utterance, read_manifest, write_manifest
from secateur.evaluate.corrected import CHANGED, HEAD, correction, without_head
from secateur.evaluate.error_rate import count_errors
from secateur.evaluate.result import PINYIN_EXTRA, Result, Row
from secateur.evaluate.run import summarise
from secateur.lm.estimate import train_ngram
from secateur.text.by_sound import BySound, SoundCosts, aligned
from secateur.text.chinese import normalise_chinese
from secateur.text.lattice import Edge, MixedScores, beam_path, best_path
from secateur.text.lexicon import Entry, Lexicon, general_lexicon
from secateur.text.pinyin import parse_syllable, pinyin
from secateur.text.word_model import WordModel, WordScores, learn_words


@pytest.fixture(scope="module")
def general() -> BySound:
    return BySound(WordModel())


def chance(scores: WordScores, before: str, word: str) -> float:
    """log P(word | before), whether or not the pair was seen."""
    if word in scores.after(before):
        return scores.pair(before, word)
    return scores.unseen(before) + scores.alone(word)


def test_a_model_of_pairs_is_a_distribution() -> None:
    model = WordModel({"a": 6, "b": 3, "c": 1}, {"": {"a": 4}, "a": {"b": 3, "c": 1}})
    scores = WordScores(model, {"a": 5e5, "b": 2.5e5, "c": 2.5e5})
    for before in ("", "a", "b"):
        assert sum(math.exp(chance(scores, before, w)) for w in "abc") == pytest.approx(1, abs=1e-6)


def test_the_best_path_is_the_best_of_all_paths() -> None:
    model = WordModel({"x": 2, "y": 5, "xy": 1, "z": 2}, {"": {"x": 2, "y": 1}, "x": {"y": 2, "z": 1}, "y": {"z": 3}})
    scores = WordScores(model, dict.fromkeys(("x", "y", "z", "xy", "yz"), 2e5))
    edges = [
        [Edge(1, "x", -1.0), Edge(1, "y", 0.0), Edge(2, "xy", -0.5)],
        [Edge(2, "y", 0.0), Edge(3, "yz", -0.2)],
        [Edge(3, "z", 0.0), Edge(3, "x", 0.3)],
    ]

    def paths(at: int) -> list[list[Edge]]:
        if at == len(edges):
            return [[]]
        return [[edge, *rest] for edge in edges[at] for rest in paths(edge.end)]

    def score(path: list[Edge]) -> float:
        words = ["", *(e.word for e in path)]
        return sum(e.evidence for e in path) + sum(chance(scores, a, b) for a, b in itertools.pairwise(words))

    assert best_path(edges, scores) == [e.word for e in max(paths(0), key=score)]
    assert best_path([[], [Edge(2, "x")]], scores) == []


def test_the_beam_finds_the_best_path_under_a_model_of_three_words() -> None:
    scores = WordScores(WordModel({"x": 2, "y": 5, "z": 2}), dict.fromkeys(("x", "y", "z", "xy", "yz"), 2e5))
    mixed = MixedScores(scores, train_ngram(["x y x", "y y z", "x y x", "xy z"], 3), 0.6)
    edges = [
        [Edge(1, "x", -1.0), Edge(1, "y", 0.0), Edge(2, "xy", -0.5)],
        [Edge(2, "y", 0.0), Edge(3, "yz", -0.2)],
        [Edge(3, "z", 0.0), Edge(3, "x", 0.3)],
    ]

    def paths(at: int) -> list[list[Edge]]:
        return [[]] if at == 3 else [[edge, *rest] for edge in edges[at] for rest in paths(edge.end)]

    def score(path: list[Edge]) -> float:
        total, state = 0.0, mixed.start()
        for edge in path:
            step, state = mixed.step(state, edge.word)
            total += step + edge.evidence
        return total

    best = max(paths(0), key=score)
    assert beam_path(edges, mixed) == [e.word for e in best]
    assert beam_path([[], [Edge(2, "x")]], mixed) == []
    step, after = mixed.step(mixed.start(), "y")  # a share of each model, and what the trigrams know next
    other = mixed.lm.score(mixed.lm.numbers["y"], mixed.lm.start())
    assert math.exp(step) == pytest.approx(0.4 * math.exp(scores.after_word("", "y")) + 0.6 * math.exp(other), rel=1e-5)
    assert mixed.step(after, "z")[0] > mixed.step(mixed.step(mixed.start(), "x")[1], "z")[0]


def test_a_language_model_decides_between_words_of_one_sound(general: BySound) -> None:
    text, costs = "他在报告中提到适宜", SoundCosts(careful=False, changed=2.0)
    lm = train_ngram(["他 在 报告 中 提到 事宜", "提到 事宜", "中 提到 事宜"] * 3, 3)
    assert BySound(WordModel(), costs, general.lexicon, lm).correct(text) == "他在报告中提到事宜"
    assert BySound(WordModel(), replace(costs, lm=0.0), general.lexicon, lm).correct(text) == text
    assert BySound(WordModel(), costs, general.lexicon).correct(text) == text
    spoken = pinyin("在报告中提到事宜")
    assert general.characters(spoken) == "在报告中提到适宜"
    assert BySound(WordModel(), lexicon=general.lexicon, lm=lm).characters(spoken) == "在报告中提到事宜"


def test_pinyin_becomes_text(general: BySound) -> None:
    for text in ("重庆的银行", "好奇怪的石头", "同年加入中国人民解放军", "位于美国加利福尼亚州"):
        assert general.characters(pinyin(text)) == text
    assert general.characters("zong1 guo2") == "中国" and general.characters("zhong1 guo2 qqq4") == "中国qqq4"


def test_texts_teach_their_own_words(general: BySound, speech: Path) -> None:
    folder = speech / "commonvoice-zh-cn"
    train, dev = ([u.text for u in read_manifest(folder / f"{name}.jsonl")] for name in ("train", "dev"))
    taught = BySound(learn_words(train[:1000]))
    dev = [normalise_chinese(text).replace(" ", "") for text in dev[:30]]
    wrong = {
        name: sum(a != b for text in dev for a, b in zip(text, writer.characters(pinyin(text)), strict=True))
        for name, writer in (("general", general), ("taught", taught))
    }
    assert wrong["taught"] < wrong["general"] < 0.3 * sum(map(len, dev))


def test_what_sounds_right_is_mended_and_what_is_right_stays(general: BySound) -> None:
    assert general.correct("我在银航工作") == "我在银行工作"
    assert general.correct("这是历届政府，GPS 3") == "这是历届政府，GPS 3"
    assert general.costing(SoundCosts(changed=50.0)).correct("我在银航工作") == "我在银航工作"
    small = Lexicon({}, [Entry("是", (parse_syllable("shi4"),)), Entry("事", (parse_syllable("si4"),))])
    assert [e.word for e in small.like([parse_syllable("si1")])] == ["是", "事"]


def test_what_the_head_heard_decides_between_sounds(general: BySound) -> None:
    assert general.correct("加入解放金") == "加入解放金"
    assert general.correct("加入解放金", heard("加入解放军")) == "加入解放军"
    ready = general.costing(SoundCosts(changed=1.0))
    assert ready.correct("爬山，大地震") == "爬山，大地震"
    assert ready.correct("爬山，大地震", heard("唐山大地震")) == "唐山，大地震"
    said, other = ([parse_syllable(n) for n in names.split()] for names in ("wo3 zai4 jia1", "wo3 cai4 jia1 ma5"))
    assert [s and s.numbered for s in aligned(said, other)] == ["wo3", "cai4", "jia1"]
    assert aligned(said, []) == [None] * 3
    free, held = (general.costing(SoundCosts(changed=0.0, near=0.0, head=weight)) for weight in (0.0, 30.0))
    assert free.correct("兰方", heard("兰方")) == "南方"  # n and l sound alike, but l was heard
    assert pinyin(held.correct("兰方", heard("兰方")), "plain") == "lan fang"


def test_the_weight_of_the_head_and_the_cost_of_a_change_are_chosen_on_dev(general: BySound) -> None:
    def result(pairs: list[tuple[str, str]], with_head: bool) -> Result:
        rows = [
            Row(f"{i}", f"s{i % 3}", 2.0, said, text, count_errors(said, text, "cer"),
                {PINYIN_EXTRA: str(heard(said))} if with_head else {})
            for i, (said, text) in enumerate(pairs)
        ]  # fmt: skip
        return summarise(rows, model="m", data="d", language="zh", metric="cer", seconds_compute=1.0)

    # Only who asks the head can tell that the first is wrong and the second, which sounds alike, is not.
    dev = [("加入解放军", "加入解放金"), ("兰方", "兰方"), ("在银行工作", "在银航工作"), ("加入解放军", "加入解放金")]
    test = [("兰方", "兰方"), ("加入解放军", "加入解放金")]
    alone, _ = correction(result(test, False), general, result(dev, False))
    after, found = correction(result(test, True), general, result(dev, True))
    assert found["head"] > 0 and found["after"] == after.rate < alone.rate <= found["before"]
    assert len(found["dev"]) == len(CHANGED) + len(HEAD) - 1
    assert after.settings["corrected"]["before"] == found["before"]
    assert without_head(result(test, True)).rows == result(test, False).rows
    with pytest.raises(SecateurError, match="for Chinese"):
        correction(replace(result(test, True), language="en"), general)


def test_commands_learn_write_and_correct(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["悟真会在世界各地设有支部", "悟真会的支部"]
    clips = [Utterance(str(i), tmp_path / "a", 1.0, text, "", "zh") for i, text in enumerate(texts)]
    write_manifest(tmp_path / "t.jsonl", clips)
    words = str(tmp_path / "words.json")
    assert main(["text", "learn", str(tmp_path / "t.jsonl"), "--out", words]) == 0
    said = capsys.readouterr()
    assert "of 2 texts" in said.out and "dict" not in said.err
    assert main(["text", "characters", pinyin("世界各地的支部"), "--words", words]) == 0
    assert capsys.readouterr().out == "世界各地的支部\n"
    assert main(["text", "correct", "在世界各地设有直部", "--words", words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["corrected"][0]["corrected"] == "在世界各地设有支部"
    assert main(["text", "correct"]) == 2 and "nothing to correct" in capsys.readouterr().err
    assert general_lexicon().frequency["支部"] > 0


def test_correct_text_is_left_alone_by_default(speech: Path) -> None:
    texts = [normalise_chinese(u.text) for u in read_manifest(speech / "commonvoice-zh-cn" / "dev.jsonl")[:250]]
    writer = BySound(WordModel())
    changed = sum(sum(a != b for a, b in zip(writer.correct(t), t, strict=True)) for t in texts)
    assert changed <= 0.002 * sum(len(t.replace(" ", "")) for t in texts)  # 4.1 % before


@pytest.mark.parametrize(
    "text",
    [
        "佢哋嚟咗未啊", "我哋去食饭先啦", "李复阳是江西人", "曾祖父杨杰", "诸葛亮和周瑜", "克里斯蒂安诺罗纳尔多",
        "绍兴二十年", "他把书还给图书馆", "时势造英雄", "他在做作业", "川越市位于日本",
    ],
)  # fmt: skip
def test_names_words_and_cantonese_stay(text: str) -> None:
    assert BySound(WordModel()).correct(text) == text


def test_what_is_no_word_is_corrected_by_default() -> None:
    writer = BySound(WordModel())
    assert writer.correct("我在银航工作") == "我在银行工作"
    assert writer.correct("他加入解放君") == "他加入解放军"
    assert writer.correct("我想去北晶") == "我想去北京"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("我在銀航工作", "我在銀行工作"), ("這個時候他加入解放君，", "這個時候他加入解放軍，"),
        ("請幫我打開客廳的燈", "請幫我打開客廳的燈"), ("我想去北晶看電影", "我想去北京看電影"),
        ("乾隆时期他加入解放君", "乾隆时期他加入解放军"), ("我哋喺銀航做嘢", "我哋喺銀航做嘢"),
    ],
)  # fmt: skip
def test_traditional_text_is_corrected_and_stays_so(text: str, right: str) -> None:
    assert BySound(WordModel()).correct(text) == right


def test_what_the_recogniser_is_sure_of_stays() -> None:
    writer = BySound(WordModel())
    writer = writer.costing(replace(writer.costs, sure=4.0))
    text = "我在银航工作"
    assert writer.correct(text, confidence=[0.999] * len(text)) == text
    assert writer.correct(text, confidence=[0.5] * len(text)) == "我在银行工作"
    with pytest.raises(SecateurError, match="costs of the word file"):
        BySound(WordModel(costs={"chnaged": 3.0}))
