"""Of a clip's likeliest texts the best is taken: by the recogniser, its pinyin head, and the words."""

from __future__ import annotations

import itertools
import json
import re
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
from secateur.evaluate.alternatives import Alternative, alternatives_in, with_alternatives, without_alternatives
from secateur.evaluate.breakdown import by_extra, extra_names
from secateur.evaluate.corrected import correction
from secateur.evaluate.error_rate import count_errors
from secateur.evaluate.rescored import ATTENTION, candidates_of, rescored
from secateur.evaluate.result import PINYIN_EXTRA, Result, Row, read_result, write_result
from secateur.evaluate.run import summarise
from secateur.lm.estimate import train_ngram
from secateur.text.by_sound import BySound
from secateur.text.lexicon import general_lexicon
from secateur.text.rescore import RescoringWeights, TextScores, head_scores, weights_of
from secateur.text.word_model import WordModel

MODEL = WordModel({"我": 9, "在": 9, "银行": 4, "工作": 5}, {"": {"我": 5}, "我": {"在": 5}, "在": {"银行": 3}})
# What was said, and its list: the right text is not the likeliest, and only head and words together find all.
SAID = [
    ("我在银行工作", [("我在银航工作", -1.0), ("我在银行工作。", -1.4), ("我在银行做", -3.0)]),
    ("他去南方了", [("他去兰方了", -1.0), ("他去南方了", -1.5), ("他去北方了", -1.8)]),
    ("加入解放军", [("加入解放金", -0.5), ("加入解放军", -2.0)]),
    ("今天下雨", [("今天下雨", -0.2), ("今天下鱼", -2.5)]),
]


def result(said: list[tuple[str, list[tuple[str, float]]]], with_head: bool = True) -> Result:
    rows = [
        Row(f"{i}", f"s{i % 3}", 2.0, text, listed[0][0], count_errors(text, listed[0][0], "cer"),
            {PINYIN_EXTRA: str(heard(text))} if with_head else {})
        for i, (text, listed) in enumerate(said)
    ]  # fmt: skip
    made = summarise(rows, model="m", data="d", language="zh", metric="cer", seconds_compute=1.0, normalise="language")
    return with_alternatives(made, [[Alternative(*one) for one in listed] for _, listed in said])


@pytest.fixture(scope="module")
def writer() -> BySound:
    return BySound(MODEL)


def test_lists_are_normalised_each_text_once_and_survive_the_file(tmp_path: Path) -> None:
    said = [("下雨", [("下雨。", -0.5), ("下魚", -1.25), ("下雨", -0.1), ("", -4.0)])]
    one = result(said)
    assert alternatives_in(one.rows[0]) == [
        Alternative("下雨", -0.1),
        Alternative("下鱼", -1.25),
        Alternative("", -4.0),
    ]
    write_result(tmp_path / "r.json", one)
    assert read_result(tmp_path / "r.json").rows == one.rows
    assert alternatives_in(without_alternatives(one).rows[0]) == []
    assert extra_names(result(SAID).rows) == []  # evidence says nothing about the speaker
    with pytest.raises(SecateurError, match="no clip has an extra 'alternatives'"):
        by_extra(one.rows, "alternatives")
    broken = replace(one.rows[0], extras={"alternatives": ["下雨"]})
    with pytest.raises(SecateurError, match="clip '0': its alternatives"):
        alternatives_in(broken)


@pytest.mark.parametrize("trigrams", [False, True])
def test_words_are_scored_as_the_best_of_all_ways_to_cut_them(trigrams: bool) -> None:
    lm = train_ngram(["我 在 银行 工作", "在 银行 工作", "他 去 南方"] * 2, 3) if trigrams else None
    scores = TextScores(BySound(MODEL, lm=lm))

    def best(run: str) -> float:
        def cuts(text: str) -> list[list[str]]:
            if not text:
                return [[]]
            return [
                [text[:n], *rest]
                for n in range(1, min(len(text), 4) + 1)
                if n == 1 or any(text[:n] in words for words in scores.known)
                for rest in cuts(text[n:])
            ]

        def total(words: list[str]) -> float:
            state, score = scores.steps.start(), 0.0
            for word in words:
                step, state = scores.steps.step(state, word)
                score += step
            return score

        return max(map(total, cuts(run)))

    for text in ("我在银行工作", "我在银航工作", "他去南方GPS了我在", "", "ok"):
        expected = sum(best(run) for run in re.findall("[\u4e00-\u9fff]+", text))
        assert scores.log_prob(text) == pytest.approx(expected, abs=1e-9)
    assert scores.log_prob("我在银行工作") > scores.log_prob("我在银航工作")
    assert scores.known[0] is (lm.numbers if lm else general_lexicon().frequency)


def test_the_head_scores_what_was_heard_highest() -> None:
    texts = ["他去兰方了", "他去南方了", "他去北方了"]
    scores = head_scores(texts, heard("他去南方了"))
    assert max(zip(scores, texts, strict=True))[1] == "他去南方了" and head_scores(texts, None) == [0.0] * 3


def test_the_best_of_a_list_weighs_all_three(writer: BySound) -> None:
    test = result(SAID)
    candidates = candidates_of(test, writer)
    assert [r.hypothesis for r in rescored(test, candidates, ATTENTION).rows] == [r.hypothesis for r in test.rows]
    both = rescored(test, candidates, RescoringWeights(head=0.3, lm=0.5))
    assert both.rate == 0.0 and all(row.extras for row in both.rows)
    for one, weight in itertools.product(candidates, (0.0, 0.7)):
        scores = [a + 0.2 * h + weight * w + 2 * n for a, h, w, n in one.evidence.tolist()]
        assert one.best(RescoringWeights(0.2, weight, 2.0)) == scores.index(max(scores))
    alone = candidates_of(without_alternatives(test), writer)  # a row without a list has its hypothesis alone
    assert rescored(without_alternatives(test), alone, RescoringWeights()).rate == test.rate


def test_weights_are_chosen_on_dev_and_stages_are_reported(writer: BySound) -> None:
    dev, test = result(SAID), result([SAID[1], SAID[0], SAID[2]])
    after, found = correction(test, writer, dev)
    best = found["rescored"]
    assert after.rate <= best["rate"] < best["likeliest"] == found["before"]
    assert best["weights"]["head"] + best["weights"]["lm"] > 0 and best["dev"] == 0.0
    assert best["difference"]["delta"] == pytest.approx(best["rate"] - found["before"])
    assert after.settings["corrected"]["rescored"]["weights"] == best["weights"]
    plain = correction(test, writer)[1]  # without dev: the defaults, or what the word file stores
    assert plain["rescored"]["weights"] == {"head": 0.5, "lm": 0.5, "length": 0.0} and plain["dev"] == []
    stored = BySound(replace(MODEL, rescoring={"head": 0.0, "lm": 0.0}), lexicon=writer.lexicon)
    assert correction(test, stored)[1]["rescored"]["rate"] == found["before"]
    assert correction(without_alternatives(test), writer)[1]["rescored"] is None
    with pytest.raises(SecateurError, match="the dev result has none"):
        correction(test, writer, without_alternatives(dev))
    with pytest.raises(SecateurError, match="rescoring of the word file"):
        weights_of(replace(MODEL, rescoring={"hed": 1.0}))


def test_the_command_takes_the_best_and_stores_the_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, out = tmp_path / "words.json", tmp_path / "out.json"
    MODEL.write(words)
    write_result(tmp_path / "test.json", result(SAID))
    write_result(tmp_path / "dev.json", result(SAID[:3]))
    given = ["text", "correct", "--words", str(words), "--result", str(tmp_path / "test.json")]
    assert main([*given, "--dev", str(tmp_path / "dev.json"), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "the best of the alternatives: 0.00 %, the likeliest 15.00 %" in shown
    stored = json.loads(words.read_text())["rescoring"]
    assert weights_of(WordModel.read(words)) == RescoringWeights(**stored) and read_result(out).rate == 0.0
    assert main([*given, "--use-alternatives", "no", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rescored"] is None
