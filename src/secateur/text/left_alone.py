"""Which characters of a Chinese text correction by sound leaves alone: names, words that are words, Cantonese.

A correction that is wrong costs more trust than one that is missed. What is written is left as it is where it is a word
that a dictionary or the texts know, a person's or a place's name, a foreign name in characters of its sounds, or a word
that the user protects; text in Cantonese, whose words a dictionary of Mandarin lacks, stays whole.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

from ..base.extras import require
from .chinese import EXTRA
from .pinyin import quiet_jieba

CANTONESE = re.compile("[嘅咗唔哋冇嚟啲喺咁乜嘢睇畀攞搵嗰噉咩瞓掂嬲嘥諗谂揾佢孖啱]")
_FAMILIES = frozenset(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖"
    "邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂丛焦向柳邢路岳齐"
    "梅莫庄辛管祝左涂谷祁时舒耿牟卜詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋植甘景薄单包司柏宁柯阮桂闵解强柴华车冉房边净阴"
)
_FOREIGN = frozenset(
    "斯尔克特德拉巴马尼奥罗维奇诺伊亚莱曼森顿普鲁兹格莫林哈姆塞布雷卡迪贝里夫丹蒂凯戴埃费洛基默坦纳弗霍伦施威茨米勒阿比利萨达厄杰逊瑟伯根史汉"
    "查乔治约翰玛丽娜安娅莉露西亨佛朗科博古鲍杜邓肯吉米希腊穆罕赫本沃兰登肖恩柯欧文艾琳多泰摩柏"
)
_FOREIGN_RUN = 3  # characters in a row
_PLACE = re.compile("[\u4e00-\u9fff]{2}(?=[市县省镇乡村州郡岛湾湖江河山寺庙路街站港区屯庄沟峰桥])")
# A name begins a stretch of text, or follows what a person is introduced with.
_PERSON = re.compile(
    f"(?:(?<=^)|(?<=父亲)|(?<=祖父)|(?<=之子)|(?<=先生)|(?<=[和与及向叫姓]))[{''.join(sorted(_FAMILIES))}].."
)
_COURTESY = re.compile("^(?:字|号|名|谥)..")
_NAMES = ("nr", "nrt", "nrfg", "ns", "nt", "nz")


def frozen(run: str, known: Container[str], protected: Iterable[str] = (), careful: bool = True) -> frozenset[int]:
    """The places in a run of Chinese characters that stay as they are; not `careful`: the protected words only.

    `known` are the words of a dictionary and of texts.

    Raises:
        SecateurError: the extra `zh` is not installed.
    """
    kept: set[int] = set()
    for word in protected:
        for match in re.finditer(re.escape(word), run):
            kept.update(range(match.start(), match.end()))
    if not careful:
        return frozenset(kept)
    at = 0
    quiet_jieba()
    for word, flag in require("jieba.posseg", EXTRA).cut(run):
        end = at + len(word)
        name = flag in _NAMES and (word in known or (word[0] in _FAMILIES and 2 <= len(word) <= 4))
        if len(word) > 1 and (word in known or name):
            kept.update(range(at, end))
        at = end
    for match in (*_PLACE.finditer(run), *_COURTESY.finditer(run)):
        kept.update(range(match.start(), match.end()))
    for match in _PERSON.finditer(run):
        if match[0][:2] not in known and match[0][1:3] not in known:
            kept.update(range(match.start(), match.end()))
    first = 0
    for i in range(len(run) + 1):
        if i == len(run) or run[i] not in _FOREIGN:
            if i - first >= _FOREIGN_RUN:
                kept.update(range(first, i))
            first = i + 1
    return frozenset(kept)
