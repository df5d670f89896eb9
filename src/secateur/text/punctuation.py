"""Punctuation of Mandarin text that has none: commas, enumeration commas, full stops and question marks.

At every border between words (jieba's) a linear model chooses among no mark and 、，。 by the words, characters
and parts of speech around it and the distance to the last mark (an averaged perceptron, Collins 2002). Its
weights, trained by `tools/train_punctuation.py`, lie in `punctuation.json.gz`. A pause makes a mark likelier. A
question mark stands where the words ask. Text that already has marks between its words stays as it is.
"""

from __future__ import annotations

import functools
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..base.extras import require
from .chinese import EXTRA, HAN
from .pinyin import quiet_jieba

MARKS = ("", "、", "，", "。")
ANY_MARK = re.compile("[，。！？；：、,.!?;:…]")
WEIGHTS = Path(__file__).with_name("punctuation.json.gz")
PAUSE = 0.35  # seconds from which a pause speaks for a mark
PAUSE_WORTH = 4.0  # of the model's score, for every PAUSE, at most three
LIKELIER = 5.0  # added to every mark: where F1 is best on dev
_END = "</s>"
_CHINESE = re.compile(f"[{HAN}]")
_HALF_WIDTH = re.compile(f"(?<=[{HAN}])\\s*[,.?!:;](?:\\s*(?=[{HAN}])|$)|(?<=\\w)[,?!;]\\s*(?=[{HAN}])")
_FULL_WIDTH = str.maketrans(",.?!:;", "，。？！：；")
_ASKS = re.compile(
    "[吗嘛]$|(?<!什)么$|(?<![着还])呢$|为什么|怎么(?!也|都|样都|样也)|什么时候|多少|多[大高长远久重深]了?$|几[点个号岁天年月次本张楼]|什么(?=颜色|东西|地方|意思|样|味)|哪[里儿个些位种年天]|谁|是不是|有没有|能不能|可不可以|会不会|"
    "要不要|好不好|行不行|对不对|什么$|什么[意东事原名]|难道|(?<!没)(?<!没有)有什么(?!都|也|说)[\u4e00-\u9fff]{1,4}$|"
    # a choice: 你喜欢红色还是蓝色, but not 我想了想还是算了
    "^(?:[你您他她这那]们?|咱们?|我们|[今明后]天|晚上|中午).*(?:喜欢|[是要想选吃喝去买用坐])[^了]{0,8}(?<![你您他她我])"
    "还是(?![算不没要得会很先再那这挺有老])(?!.*[吧了]$).{1,8}$"
)
_REPORTS = re.compile(
    "不知道|没有什么|有什么说什么|无论|不管|不论|知道|记得|忘了|告诉|问他|问我|没什么|谁都|什么都|怎么都|多少都|任何|"
    "谁也|什么也|哪里都|几个月|几年|几天|几个"
)


def words_and_kinds(text: str) -> list[tuple[str, str]]:
    """Words with their part of speech.

    Raises:
        SecateurError: the extra `zh` is not installed.
    """
    quiet_jieba()
    return [(word, flag[:1]) for word, flag in require("jieba.posseg", EXTRA).cut(text)]


def features(words: Sequence[tuple[str, str]], at: int, since: int) -> list[str]:
    """What is seen at the border before `words[at]`, with `since` characters since the last mark."""
    a, ka = words[at - 1]
    b, kb = words[at] if at < len(words) else (_END, _END)
    z, kz = words[at - 2] if at > 1 else (_END, _END)
    c, kc = words[at + 1] if at + 1 < len(words) else (_END, _END)
    far = min(since, 30) // 3
    return [
        "", f"a{a}", f"b{b}", f"ab{a}|{b}", f"A{ka}{kb}", f"B{kz}{ka}{kb}", f"C{ka}{kb}{kc}", f"x{a[-1]}", f"y{b[0]}",
        f"xy{a[-1]}{b[0]}", f"za{z}|{a}", f"bc{b}|{c}", f"d{far}", f"dB{far}{kb}", f"dA{far}{ka}", f"l{len(a)}{len(b)}",
        f"yd{b[0]}{far // 2}", f"r{min(sum(len(w) for w, _ in words[at : at + 12]), 12)}",
    ]  # fmt: skip


def scores(weights: Mapping[str, Sequence[float]], seen: Sequence[str]) -> list[float]:
    """The score of each of `MARKS`."""
    total = [0.0] * len(MARKS)
    for name in seen:
        for i, value in enumerate(weights.get(name, ())):
            total[i] += value
    return total


@functools.cache
def _weights() -> dict[str, list[float]]:
    stored = json.loads(gzip.decompress(WEIGHTS.read_bytes()))
    return {name: [value / stored["unit"] for value in values] for name, values in stored["weights"].items()}


def has_marks(text: str) -> bool:
    """Whether a text has marks between its words, beside one at its end."""
    return ANY_MARK.search(text.strip()[:-1]) is not None


def punctuated(text: str, pauses: Mapping[int, float] | None = None) -> str:
    """`text` with marks, unless it has some or no Chinese; `pauses` has seconds before characters, by their place.

    Half-width marks between Chinese characters, which Whisper writes at times, become full-width ones.

    >>> punctuated("你叫什么名字"), punctuated("你好, 世界")
    ('你叫什么名字？', '你好，世界')

    Raises:
        SecateurError: the extra `zh` is not installed.
    """
    text = _HALF_WIDTH.sub(lambda m: m[0].strip().translate(_FULL_WIDTH), text.strip())
    if not _CHINESE.search(text) or has_marks(text):
        return text
    bare = text[:-1] if ANY_MARK.match(text[-1:]) else text
    words = words_and_kinds(bare)
    result, place, since, begin = "", 0, 0, 0
    weights, pauses = _weights(), pauses or {}
    for at, (word, _) in enumerate(words):
        mark = ""
        if at and since and word.strip() and words[at - 1][0].strip():
            mark = _mark(weights, words, at, since, pauses.get(place, 0.0))
        if mark:
            if mark == "。":
                mark, begin = _closing(result[begin:]), len(result) + 1
            result, since = result + mark, 0
        result += word
        place += len(word)
        since += len(word)
    end = text[-1] if bare != text and text[-1] not in ".。" else _closing(result[begin:])
    return result + end


def _mark(
    weights: Mapping[str, Sequence[float]], words: Sequence[tuple[str, str]], at: int, since: int, pause: float
) -> str:
    total = scores(weights, features(words, at, since))
    total[1:] = [value + LIKELIER for value in total[1:]]
    more = min(pause / PAUSE, 3.0) if pause >= PAUSE else 0.0
    total[2] += PAUSE_WORTH * more
    total[3] += PAUSE_WORTH * (more if pause > 2 * PAUSE else 0.0)
    return MARKS[max(range(len(MARKS)), key=total.__getitem__)]


def _closing(sentence: str) -> str:
    """The mark at the end of a sentence: a question mark where it asks.

    >>> _closing("你去不去啊"), _closing("我不知道他是谁"), _closing("他是谁")
    ('？', '。', '？')
    """
    last = re.split("[，、]", sentence)[-1]
    choice = re.search("(.)不\\1", last)
    asks = _ASKS.search(last) or (choice and not _REPORTS.search(last))
    return "？" if asks and (not _REPORTS.search(last) or re.search("[吗]$", last)) else "。"
