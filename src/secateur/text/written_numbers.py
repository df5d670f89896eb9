"""Numbers as they are written: inverse text normalisation of Mandarin, and of English.

What a recogniser spells, 二零二六年十一月三十号, becomes 2026年11月30日. The rules are those of GB/T 15835-2011: Arabic
numerals for dates, times, measures, money, percentages, decimals, telephone numbers and counts from ten on; characters
for counts below ten (三个人), approximations (三四个, 十几, 几百), weekdays, the farmers' calendar, and set phrases
(三心二意, 三十六计). 万 and 亿 stay for round numbers (350万). A run of numerals that is no number stays as it is.
"""

# ruff: noqa: E501 (lines of the tables are short, but their characters count as two)

from __future__ import annotations

import re
from collections.abc import Callable

from .english_numbers import english_numbers
from .languages import base_language

_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "○": 0, "幺": 1, "两": 2}
_PLAIN = str.maketrans(
    "萬億兩點號負塊鐘個農曆陰舊時開萬", "万亿两点号负块钟个农历阴旧时开万"
)  # one for one: places stay
_SMALL = {"十": 10, "百": 100, "千": 1000}
_D, _N = "[零〇○一二三四五六七八九幺]", "[零〇○一二两三四五六七八九十百千万亿幺]"
_COUNT = "[零〇○一二两三四五六七八九十百千万亿]+"
_ALONE = "(?<![零〇○一二两三四五六七八九十百千万亿幺几数])"
_END = "(?![零〇○一二两三四五六七八九十百千万亿幺几])"
_OPERAND = f"负?{_COUNT}(?:点{_D}+)?"
_PERIOD = "(?:上午|下午|早上|早晨|清晨|凌晨|中午|晚上|傍晚|夜里|半夜|明早|明晚|今早|今晚)"
# Read as written in any text; longer ones first where one holds another.
STAYING = (
    "一千零一夜", "不管三七二十一", "三七二十一", "九九八十一", "三十而立", "四十不惑", "三十六计", "七十二变",
    "七十二行", "三百六十行", "十八般", "十二生肖", "二十四节气", "二十四孝", "十万八千里", "五十步笑百步",
    "十八罗汉", "一百零八将", "十万火急", "百万雄师", "十全十美", "一五一十", "七七八八", "十有八九",
    "十之八九", "八九不离十", "一传十", "十传百", "十一黄金周", "十一假期", "十一长假", "十一国庆",
    "国庆十一", "百分之百", "一一五十", "万万", "千千万万", "一万个不", "十拿九稳", "十字", "十足",
    "十分", "十来", "百十来", "五十知天命", "六十花甲", "七十古来稀", "九十九朵", "一二九运动",
    "一二八事变", "九一八", "七七事变", "五四运动", "三八线", "六一儿童节", "五一", "一二三木头人",
    "二十八宿", "十三经", "十三陵", "二十四史", "三万里", "十六国", "五代十国", "五十岚", "三十六歌仙",
    "大年三十", "双十一", "双十二", "十月怀胎",
)  # fmt: skip
_STAYING = "|".join(sorted((s for s in STAYING if s != "十分"), key=len, reverse=True)) + (
    "|十分(?!钟|之|零|[一二三四五六七八九])|二百五(?![十百千万元块米人])|十一(?=放假|期间|出游|长假|假期|黄金周)"
)
# One of these behind a count below ten: a measure of physics, time or money, which takes numerals.
_MEASURED = (
    "公里|千米|厘米|毫米|公斤|千克|毫克|毫升|平方米|平方公里|立方米|平米|公顷|英寸|英尺|摄氏度|海里|小时|分钟|秒钟|秒|岁|元(?!帅|首|素|旦|宵|件|月|年|老|气|朝|代|曲)|美元|欧元|英镑|日元|港元|"
    "瓦|伏|安培|赫兹|兆|吉|分贝|千瓦|马力|吨|克|升|米(?!饭|粉|线|色|黄|奇|其)|斤|号线|号楼|路公交|楼层|月份|点钟"
)
# Years of reigns are written in characters (GB/T 15835-2011, 4.2.3).
_REIGNS = (
    "建元|元光|太初|建武|永平|建安|黄初|太和|建兴|泰始|太康|永和|太元|元嘉|大业|武德|贞观|永徽|显庆|开元|天宝|大历|贞元|元和|会昌|咸通|建隆|太平兴国|景德|"
    "庆历|嘉祐|熙宁|元丰|元祐|崇宁|政和|宣和|靖康|建炎|绍兴|乾道|干道|淳熙|庆元|嘉定|淳祐|咸淳|至元|大德|至正|洪武|建文|永乐|洪熙|宣德|正统|景泰|天顺|"
    "成化|弘治|正德|嘉靖|隆庆|万历|泰昌|天启|崇祯|天命|天聪|崇德|顺治|康熙|雍正|乾隆|嘉庆|道光|咸丰|同治|光绪|宣统|民国|成泰|明治|大正|昭和|平成|令和|"
    "[祖宗帝王公]"
)
# Ten by itself is a number before one of these.
_AFTER_TEN = f"(?:{_MEASURED}|个|人|天|年|名|位|张|块|本|条|只|次|件|台|辆|家|周|月|日|号|度|分钟|倍|层|楼|级|页|万|亿|多|余|点|岁|斤|届|期|集|场|支|座|所|门|项)"
_CLOCK = (
    f"({_COUNT})点(?:(钟|整)|(半)|([一三])刻|(零?{_COUNT})分(?!之|钟)|(零[一二三四五六七八九]|[一二三四五]?十{_D}?))?"
)

_RULES: tuple[tuple[str, str], ...] = (
    ("stay", _STAYING),
    ("stay", "(?:农历|阴历|旧历|初|闰)" + f"(?:[正腊冬]月|{_COUNT}月)?(?:初|廿|卅)?{_N}*"),
    ("stay", f"[正腊冬]月(?:初|廿|卅)?{_N}+"),
    ("stay", f"(?:{_REIGNS})(?:元|{_COUNT})年(?:{_COUNT}月)?"),
    ("stay", "(?:十[六七八九]|二十)大(?=代表|报告|召开|精神|以来)"),
    ("stay", f"(?:星期|周|礼拜)[一二三四五六](?!{_N})"),
    ("date", f"(?:({_D}{{4}}|{_D}{{2}})年)?({_COUNT})月({_COUNT})[日号](?!线|楼|院|门|店|机)"),
    ("month", f"({_D}{{4}})年({_COUNT})月(?!{_N})"),
    ("year", f"(?<!{_N})({_D}{{4}}|[零〇九八七]{_D})(年|后(?!来|面|天|边))(?!级)"),
    ("dotted", f"{_ALONE}({_COUNT}|{_D}+)((?:点{_D}+){{2,}})(?!{_N}|[点分半钟整刻])"),
    ("sum", f"{_ALONE}{_OPERAND}(?:(?:加|减去?|乘以?|除以|等于|大于|小于){_OPERAND})+{_END}"),
    ("clock", f"({_PERIOD})?{_ALONE}{_CLOCK}{_END}"),
    ("percent", f"(负?)(百|千)分之(负?)({_COUNT}|{_D}+)(?:点({_D}+))?{_END}"),
    ("fraction", f"{_ALONE}({_COUNT})分之({_COUNT}){_END}"),
    ("decimal", f"(?<!{_N})(负?)({_COUNT}|{_D}+)点({_D}+)([万亿]?){_END}(?!点)"),
    ("score", f"{_ALONE}({_COUNT})比({_COUNT})(?!较|如|例|方|起|不|得)" + _END),
    ("digits", f"(?<!{_N})(?:{_D}){{3,}}(?!{_N}|几)"),
    ("after", f"{_ALONE}({_COUNT})([块米])([一二三四五六七八九]{_D}?){_END}"),
    ("digits", f"(?<={_N}[元块角毛])[一二三四五六七八九](?=角(?![星形])|毛|分(?![之钟]))"),
    (
        "digits",
        f"(?<!{_N})(?:[二三四五六](?=G(?![A-Za-z]))|三(?=D(?![A-Za-z])))|(?<=A)[三四五](?=纸)|(?<=T)[一二三](?=航站楼)",
    ),
    ("count", f"((?<!正)负|零下|第)?{_ALONE}({_COUNT}){_END}"),
)
_EACH = [(kind, re.compile(pattern)) for kind, pattern in _RULES]

Match = re.Match[str]
_STAYS = "\0"  # what was matched, as it is


def number(text: str) -> int | None:
    """The whole number that numerals say, with their unit left out at the end or not; None: they say none.

    >>> number("一百零五"), number("三万五"), number("两亿三千万"), number("三四百"), number("二零二六")
    (105, 35000, 230000000, None, 2026)
    """
    if all(c in _DIGITS and c != "两" for c in text) and text:
        return int(_digits(text))
    total, rest = 0, text
    for unit, size in (("亿", 10**8), ("万", 10**4)):
        head, result, tail = rest.partition(unit)
        if not result:
            continue
        value = _section(head, inner=bool(total))
        if not value:
            return None
        total += value * size
        if tail in _DIGITS and tail != "零":  # 三万五: the next unit is left out
            return total + _DIGITS[tail] * size // 10
        rest = tail
        if not rest:
            return total
    value = _section(rest, inner=bool(total))
    return None if value is None else total + value


def _section(text: str, inner: bool) -> int | None:
    """A number below ten thousand; `inner`: after 万 or 亿, where it may begin with a zero."""
    total, before, digit, zero = 0, 10**4, None, False
    if inner and text[:1] in tuple("零〇"):
        text, zero = text[1:], True
    for i, c in enumerate(text):
        if c in _SMALL:
            size = _SMALL[c]
            if size >= before or (digit is None and (size > 10 or (total and not zero and before != 100 and i))):
                return None
            total += (1 if digit is None else digit) * size
            before, digit, zero = size, None, False
        elif c in "零〇○":
            if digit is not None or zero or not i:
                return None
            zero = True
        elif c in _DIGITS and digit is None:
            digit = _DIGITS[c]
        else:
            return None
    if digit is None:
        return total or None
    if total and before > 10 and not zero:  # 一千二, 两百五
        return total + digit * before // 10 if before in (100, 1000) else None
    return total + digit


def shown(value: int) -> str:
    """A number in digits, with 万 and 亿 where it is round.

    >>> shown(3500000), shown(230000000), shown(35000), shown(100000000)
    ('350万', '2.3亿', '35000', '1亿')
    """
    if value >= 10**8 and value % 10**6 == 0:
        return f"{value / 10**8:.2f}".rstrip("0").rstrip(".") + "亿"
    if value >= 10**4 and value % 10**4 == 0:
        return f"{value // 10**4}万"
    return str(value)


def _digits(text: str) -> str:
    return "".join(str(_DIGITS[c]) for c in text)


def _plain(text: str) -> str | None:
    """Digits one by one, or a number as it counts."""
    if len(text) > 1 and all(c in _DIGITS and c != "两" for c in text):
        return _digits(text)
    value = number(text)
    return None if value is None else str(value)


def _date(m: Match) -> str | None:
    year, month, day = m[1], number(m[2]), number(m[3])
    kept = year is None and re.search("[元零〇一二三四五六七八九十]年$", m.string[: m.start()])
    if kept:
        return _STAYS
    if month is None or day is None or not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return (f"{_digits(year)}年" if year else "") + f"{month}月{day}日"


def _month(m: Match) -> str | None:
    month = number(m[2])
    return f"{_digits(m[1])}年{month}月" if month and month <= 12 else None


def _clock(m: Match) -> str | None:
    period, hour = m[1] or "", number(m[2])
    sure, half, quarter, minutes, bare = m[3], m[4], m[5], m[6], m[7]
    if hour is None or hour > 24:
        return None
    after = m.string[m.end() :]
    if bare and not period and m[2] == "零":
        return None  # 零点零一
    if minutes or bare:
        text = minutes or bare
        minute = number(text.lstrip("零")) if text.lstrip("零") else 0
        single = minutes and not text.startswith("零") and len(text) == 1
        if (
            minute is None
            or minute > 59
            or (single and not period and not re.search("[在于到从是至]$|现在$", m.string[: m.start()]))
        ):
            return None  # 九点五分 may be a mark
        if bare and not period and re.match("[万亿倍个米元岁%公斤度]", after):
            return None
        shown_minute = f"0{minute}" if text.startswith("零") and minute < 10 else str(minute)
        return f"{period}{hour}点{shown_minute}" + ("分" if minutes else "")
    if half:
        return f"{period}{hour}点半" if not after.startswith(("个", "天")) else None
    if quarter:
        return f"{period}{hour}点{quarter}刻"
    if sure or (period and not re.match(_D, after)):
        return f"{period}{hour}点{sure or ''}"
    return None


def _percent(m: Match) -> str | None:
    whole = _plain(m[4])
    sign = "-" if m[1] or m[3] else ""
    rest = f".{_digits(m[5])}" if m[5] else ""
    return None if whole is None else f"{sign}{whole}{rest}{'%' if m[2] == '百' else '‰'}"


def _fraction(m: Match) -> str | None:
    below, above = number(m[1]), number(m[2])
    return f"{above}/{below}" if below and above and below < 1000 and "万" not in m[1] else None


def _decimal(m: Match) -> str | None:
    whole = _plain(m[2])
    return None if whole is None else f"{'-' if m[1] else ''}{whole}.{_digits(m[3])}{m[4]}"


def _dotted(m: Match) -> str | None:
    """A version, or an address of the internet: 二点零点一."""
    first = _plain(m[1])
    return None if first is None else ".".join([first, *(_digits(part) for part in m[2][1:].split("点"))])


def _sum(m: Match) -> str | None:
    """All numbers of an arithmetic in digits where one is: 3乘以5等于15; 三加五 stays."""
    whole, counts = f"({_COUNT})(?:点({_D}+))?", re.findall(_COUNT, re.sub(f"点{_D}+", "", m[0]))
    values = [_plain(text) for text in counts]
    if None in values or (len("".join(filter(None, values))) == len(values) and not re.search("[负点]", m[0])):
        return None
    written = re.sub(whole, lambda one: f"{_plain(one[1])}{'.' + _digits(one[2]) if one[2] else ''}", m[0])
    return written.replace("负", "-")


def _score(m: Match) -> str | None:
    one, other = number(m[1]), number(m[2])
    return f"{one}:{other}" if one is not None and other is not None and max(one, other) < 1000 else None


def _after(m: Match) -> str | None:
    value = number(m[1])
    counts = m.string[m.end() : m.end() + 1] in tuple("个只条人")
    return None if value is None or counts else f"{value}{m[2]}{_digits(m[3])}"


def _count(m: Match) -> str | None:
    sign, text = m[1] or "", m[2]
    after = m.string[m.end() :]
    if text.endswith("两") and len(text) > 1:  # of silver
        text, after = text[:-1], "两"
    value = number(text)
    if value is not None and _elided(text) and re.match("[个名人位次本条件只种家]", after):
        return None
    if value is None or text in ("百", "千", "万", "亿", "千万", "百万", "万亿", "亿万", "零") or text[0] in "百千万亿":
        return None
    if len(text) == 2 and all(c in _DIGITS for c in text):
        return None  # 三四个, 一一
    measured = re.match(f"(?:{_MEASURED}|度(?!过|假|数|量)|块钱|块(?=[,，。!！?？]|$))", after)
    small = value < 10
    if small and not (
        sign in ("负", "零下") or (measured and not (text == "一" and re.match("度|块|吉|兆|克服|升", after)))
    ):
        return None
    if text == "十" and not sign and not re.match(_AFTER_TEN, after):
        return None
    if sign == "负" and re.match("[担责]", after):
        return None
    return {"负": "-", "零下": "零下", "第": "第"}.get(sign, "") + shown(value) + ("两" if after == "两" else "")


def _elided(text: str) -> bool:
    """Whether the last unit is left out: 一百四 for 140."""
    return len(text) > 2 and text[-1] in "一二三四五六七八九" and text[-2] in "百千万亿"


_WRITE: dict[str, Callable[[Match], str | None]] = {
    "stay": lambda m: _STAYS, "date": _date, "month": _month, "year": lambda m: _digits(m[1]) + m[2], "clock": _clock,
    "percent": _percent, "fraction": _fraction, "decimal": _decimal, "score": _score, "dotted": _dotted, "sum": _sum,
    "digits": lambda m: _digits(m[0]), "after": _after, "count": _count,
}  # fmt: skip


def mandarin_numbers(text: str) -> str:
    """Numbers in Mandarin text, in simplified or traditional characters, as they are written.

    >>> mandarin_numbers("二零二六年十一月三十号下午三点半，气温负三点五度，涨了百分之二十")
    '2026年11月30日下午3点半，气温-3.5度，涨了20%'
    >>> mandarin_numbers("三四个人花了三万五，一点也不贵，十分高兴")
    '三四个人花了35000，一点也不贵，十分高兴'
    """
    plain, result, at = text.translate(_PLAIN), "", 0
    while at < len(plain):
        for kind, pattern in _EACH:
            m = pattern.match(plain, at)
            if m is None or not m[0]:
                continue
            written = _WRITE[kind](m)
            if written is None:
                continue
            result += text[at : m.end()] if written == _STAYS else written
            at = m.end()
            break
        else:
            run = re.compile(f"{_N}+").match(plain, at)  # numerals that are no number stay, whole
            end = run.end() if run else at + 1
            result += text[at:end]
            at = end
    return result


def numbers_written(text: str, language: str | None) -> str:
    """Numbers as they are written in `language`; text in others than Mandarin and English stays.

    Raises:
        SecateurError: an unknown language, or English without `text2num`.
    """
    code = "en" if language is None and text.isascii() else "zh" if language is None else base_language(language)
    return mandarin_numbers(text) if code in ("zh", "yue") else english_numbers(text) if code == "en" else text
