"""Texts as words: what grammars are spelled in and texts are matched by."""

from __future__ import annotations

import functools
import importlib.util
import re
import unicodedata
from collections.abc import Callable, Iterable

HAN = "\u3400-\u9fff"
_WORD = re.compile(rf"[a-z]+\d+[a-z\d]*|\d+(?:,\d{{3}})*(?:\.\d+)?|[{HAN}]|\?|(?:(?![{HAN}\d_])[\w'])+")
_FRACTIONS = {"½": ".5", "¼": ".25", "¾": ".75"}
# Signs that are read as words. A minus is a sign before a digit, an operation between numbers; else a hyphen.
_SIGNS = (
    (re.compile(r"(\d?)([½¼¾])"), lambda m: (m[1] or "0") + _FRACTIONS[m[2]]),
    (re.compile(r"(?<=[\d零〇一二两三四五六七八九十百])度半(?![天日])"), lambda m: "点五度"),
    (re.compile(r"\s*[%％]"), lambda m: " percent "),
    (re.compile(r"\s*(?:℃|°\s*c\b)", re.I), lambda m: " degrees celsius "),
    (re.compile(r"\s*(?:℉|°\s*f\b)", re.I), lambda m: " degrees fahrenheit "),
    (re.compile(r"\s*°"), lambda m: " degrees "),
    (re.compile(r"(?<=\d)\s*[×*]\s*(?=[-−\d])"), lambda m: " times "),
    (re.compile(r"(?<=\d)\s*[÷/]\s*(?=[-−\d])"), lambda m: " divided by "),
    (re.compile(r"(?<=\d)\s*\+\s*(?=[-−\d])"), lambda m: " plus "),
    (re.compile(r"(?<=\d)\s+[-−]\s+(?=\d)"), lambda m: " minus "),
    (re.compile(rf"(?:^|(?<=[\s(,{HAN}]))[-−](?=\d)"), lambda m: " minus "),
)
# Traditional characters that commands are made of, for where OpenCC is not installed.
_TRADITIONAL = str.maketrans(
    "開關燈電視調風臥廚書請幫給設個計時鐘鍾鬧點幾嗎沒別誰說負兩萬減氣溫熱樣麼這樓廳為記筆錄還動啟裡裏讓該應會過來後們對號現問紅綠藍黃"
    "變換聽寫讀訴機陽臺檯庫園從當與並長間車飯衛週準備盞壞連進乘數學實術總邊亞單雙幹無須發覺認為經對於許歲億",
    "开关灯电视调风卧厨书请帮给设个计时钟钟闹点几吗没别谁说负两万减气温热样么这楼厅为记笔录还动启里里让该应会过来后们对号现问红绿蓝黄"
    "变换听写读诉机阳台台库园从当与并长间车饭卫周准备盏坏连进乘数学实术总边亚单双干无须发觉认为经对于许岁亿",
)


def words_of(text: str) -> list[str]:
    """The words of a text as grammars spell them: lower case, simplified characters, each for itself; signs as words.

    Punctuation is left out but for a question mark: an order that is asked is none.

    >>> words_of("Set a 5-minute timer, 請!")
    ['set', 'a', '5', 'minute', 'timer', '请']
    >>> words_of("-3.5 + 1,000 = ?"), words_of("把燈調到50%")
    (['minus', '3.5', 'plus', '1000', '?'], ['把', '灯', '调', '到', '50', 'percent'])
    """
    if text.isascii() and text.isalpha():  # most words of templates
        return [text.lower()]
    plain = text.lower().replace("’", "'")
    for sign, word in _SIGNS:
        plain = sign.sub(word, plain)
    plain = unicodedata.normalize("NFKC", plain)
    if re.search(f"[{HAN}]", plain):
        plain = _simplifier()(plain)
    result = [word.strip("'") for word in _WORD.findall(plain)]
    return [word.replace(",", "") for word in result if word]


def joined(words: Iterable[str]) -> str:
    """Words as a text: spaces between them, but not between characters of Chinese.

    >>> joined(["客", "厅", "tv"]), joined(["soy", "", "milk"])
    ('客厅 tv', 'soy milk')
    """
    return re.sub(rf"(?<=[{HAN}]) (?=[{HAN}])", "", " ".join(word for word in words if word))


@functools.cache
def _simplifier() -> Callable[[str], str]:
    if importlib.util.find_spec("opencc") is not None:
        import opencc

        return opencc.OpenCC("t2s").convert
    return lambda text: text.translate(_TRADITIONAL)
