"""Numbers in Chinese text as they are read aloud, where the grammars of wetext read them otherwise or not at all.

Rules run in order over text with plain (half-width) digits and simplified characters; what they leave is wetext's:
dates, times, fractions and measures. Readings follow GB/T 15835-2011 (numerals in publications) and the practice of
Chinese text normalisation (WeTextProcessing; DiDi's chn_text_norm): numbers that name something (rooms, telephones,
identity cards, flights) digit by digit, those that count as numbers; 2 as 两 before measure words and 百千万亿.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .chinese_cardinals import DIGITS, NUMERALS, by_digit, cardinal, counted, two, whole

_N = r"\d+(?:\.\d+)?"
_DASH = r"\s*[-–—−~～﹣]{1,2}\s*"

Match = re.Match[str]
_CURRENCIES = {
    "HK$": "港元", "HKD": "港元", "NT$": "新台币", "TWD": "新台币", "US$": "美元", "USD": "美元", "A$": "澳元",
    "AUD": "澳元", "C$": "加元", "CAD": "加元", "S$": "新加坡元", "SGD": "新加坡元", "RMB": "元", "CNY": "元",
    "JPY": "日元", "EUR": "欧元", "GBP": "英镑", "$": "美元", "¥": "元", "€": "欧元", "£": "英镑", "₩": "韩元",
    "₽": "卢布", "₹": "卢比", "฿": "泰铢",
}  # fmt: skip
_MONEY = re.compile(
    "(" + "|".join(map(re.escape, _CURRENCIES)) + rf")\s*({_N})\s*([百千万亿]*)(?:{_DASH}"
    "(?:" + "|".join(map(re.escape, _CURRENCIES)) + rf")?\s*({_N})\s*([百千万亿]*))?(?:元|块|美元|港元|港币)?"
)


def _money(m: Match) -> str:
    name, first, scale, last, scale_last = m.groups()
    amount = counted(_short(first), scale or "元") + scale
    if last:
        amount += "到" + counted(_short(last), scale_last or "元") + scale_last
    return amount + _CURRENCIES[name]


def _price(m: Match) -> str:
    """`¥5000-8000/月`: 每月五千到八千元."""
    unit = m[5] or "元"
    amounts = (counted(_short(number), unit) for number in (m[1] or m[3], m[2] or m[4]) if number)
    return f"每{_EACH.get(m[6], m[6])}{'到'.join(amounts)}{unit}"


def _short(number: str) -> str:
    """An amount without zeros at the end: 3.50 is read 3.5."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def _flat(m: Match) -> str:
    """`3室2厅1卫`: rooms are counted."""
    rooms, name, halls, baths = m.groups()
    count = [counted(rooms, "个") + name, counted(halls, "个") + "厅", counted(baths, "个") + "卫" if baths else ""]
    return "".join(count)


def _range(m: Match) -> str:
    """`3-5公斤`, `10%-20%`, `8点-10点`; a larger number first without a unit is no range."""
    first, unit, last, after = m[1], m[2] or "", m[3], m[4] or ""
    if not unit and not after and float(first) >= float(last):
        return m[0]
    if after == "%":
        return f"百分之{cardinal(first)}到百分之{cardinal(last)}"
    if re.fullmatch("(?:19|20)[0-9]{2}", first) and after == "年":
        return f"{by_digit(first)}{unit}到{by_digit(last)}年"
    rest = m.string[m.end(3) :]
    return counted(first, unit or rest) + unit + "到" + counted(last, rest) + after


_NAMES = (
    "身份证|证件|护照|学号|工号|座位|车牌|牌照|QQ|qq|微信|帐号|账号|帐户|账户|卡号|银行卡|尾号|订单|单号|运单|快递|编号|邮编|邮政编码|"
    "密码|验证码|取件码|取票号|电话|手机|座机|分机|号码|热线|客服|传真|致电|拨打|"
    "房间号|房号|门牌|序列号|代码|群号|会员|发票|合同|流水|会议号|货号|桌号|条码|病历号|社保|医保|提取码|邀请码|激活码|口令"
)
# Written in digits and read one by one.
_NAMED = re.compile(
    rf"({_NAMES})([号码]*(?:\s*[是为:：]\s*|\s*))(\+?\d[\d \-]{{2,}}[\dXx]|\d{{3,}})(?!\s*[元块万亿%人个次年月日])"
)
_PHONE = re.compile(
    r"(?<![\d.])(\+?86[ -]?)?(1[3-9]\d[ -]?\d{4}[ -]?\d{4}|0\d{2,3}[ -]\d{7,8}|[48]00-?\d{3}-?\d{4})(?![\d.])"
)
_CALL = re.compile(r"((?:打|拨|报警|急救|火警|查号)[了过通个]?\s*)(11[0-9]|12[0-9]|\d{5})(?!\d|\s*[元块万亿个人次遍])")
_HOTLINE = re.compile(
    r"(?<![\d.])(10086|10010|123(?:06|15|45|20)|9[56]\d{3})(?=热线|电话|客服|短信|网|平台|$|[,。!?、\s])"
)
_IDENTITY = re.compile(r"(?<![\d.])(\d{17}[\dXx]|\d{11,})(?![\d.元块人个])")
_ROOM = re.compile(r"(?<![\d.第])(\d{3,4})(?=号?(?:房间|房|室|教室|宿舍|包间|包厢|病房|办公室|会议室|寝室))")
_UNIT = re.compile(r"((?:单元|楼|栋|幢))(\d{3,4})(?!\d|[层楼户人个平米元块多万])")
_BUS = re.compile(r"(?<![\d.])(\d{3})(?=路(?:公交|车|公共|电车|$))")
_MODEL = re.compile(r"(?<![A-Za-z])([A-Za-z]{1,6}-?)(\d{3,})(?![\d.]|\s*[万亿元])")
_PLANE = re.compile(r"(?<=波音|空客)(\d{3})")
_LINES = re.compile(r"(?<![\d.])(\d{3,4})(?=[pP]\b|[pP][^A-Za-z])")
_BORN = re.compile(r"(?<![\d.])(\d0|\d\d|[12]\d{3})(?=后(?!来|面|天|再|续|备|果|悔))")
_YEAR = re.compile(r"(?<![\d.])(0\d|[12]\d{3})(?=年(?!级|[来前内间后多长以之限龄])|年(?:来|前|后|以|之|底|初|代|间))")
# 98年出生: the years of the last century that people name by two digits; with what follows or goes before, a length.
_SHORT_YEAR = re.compile(
    r"(?<![\d.近约第过达满整长活共期])(8[1-9]|9[1-9])(?=年(?!级|[来前内间后多长以之限龄了里]|历史|时间|寿命|的(?:历史|时间|寿命|经验)))"
)
_CODE = re.compile(r"(?<![A-Za-z])(KN|N|AK)-?(\d\d)(?![\d.])", re.IGNORECASE)  # N95, AK47: digit by digit
_VERSION = re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}(?![\d.])")
_CLOCK = re.compile(r"(?<![\d:])(\d{1,2}):([0-5]\d):([0-5]\d)(?![\d:])")
_SCORE = re.compile(
    r"((?:比分是?|比数|战平|大胜|险胜|战胜|击败|落后|领先|不敌|[以为][^\d]{0,2})\s*)(\d+)\s*[:–—比-]\s*(\d+)(?![\d:%])"
)
_RANGE = re.compile(
    rf"(?<![\d./:A-Za-z-])({_N})([年月日号点时分秒元块岁米斤克里天周个人万亿楼层度%]|公斤|公里|厘米|小时|分钟)?"
    rf"{_DASH}({_N})(?![\d./:=]|\s*=)(%|年|[\u4e00-\u9fff]|(?=[a-zA-Z℃°]|$|[,。,]))?"
)
_PERCENTS = re.compile(rf"({_N})%{_DASH}({_N})%")
_PERMILLE = re.compile(rf"(-?)({_N})\s*‰")
_ORDINAL = re.compile(r"第\s*(\d+)(?![\d.])")
_AFTER_UNIT = re.compile(r"(?<![\d.])(\d+)([米块元])(\d{1,2})(?![\d.]|[分角毛厘毫]|公分|厘米)")
_PRICE = re.compile(
    rf"(?:¥({_N})(?:{_DASH}({_N}))?|({_N})(?:{_DASH}({_N}))?\s*(元|块|美元|欧元|港元))\s*/\s*([\u4e00-\u9fff]{{1,3}}|kg|m2)"
)
_TWO = re.compile(r"(?<![\d.:/第A-Za-z])2(?![\d.:/A-Za-z%])(?=[\u4e00-\u9fff])")
_MONTH_DAY = re.compile(r"(?<!\d)(\d{1,2})月(\d{1,2})(?=[日号])")
_WON = re.compile(
    r"(?<![\d.:])(\d{1,3})\s*[-–—:]\s*(\d{1,3})"
    r"(?=战胜|击败|大胜|险胜|完胜|领先|落后|获胜|取胜|告负|不敌|输给|战平|逆转)"
)
_LEADING = re.compile(r"(?<![\d.:/A-Za-z-])0\d+(?![\d.:/年月日点-])")
_ZEROS = re.compile(r"(?<![\d.])(\d+\.\d*0)(?=元|块|美元|港元)")
_TIMES = re.compile(rf"(?<![\d.A-Za-z])({_N})(?:\s*[*×]\s*|(?<!0)[xX])({_N})(?![\d.A-Za-z])")
_COMPARED = re.compile(r"([<>≈])\s*(?=-?\d)")
_SQUARE = re.compile(r"(?<=\d)\s*(k|c|d|m)?m\s*(?:\^?([23])|([²³]))(?![A-Za-z0-9])")
_LENGTHS = {"k": "公里", "c": "厘米", "d": "分米", "m": "毫米", "": "米"}
_EACH = {"kg": "公斤", "m2": "平方米"}
_MIXED = re.compile(r"(?<![\d.])(\d+)\s*(\d+)⁄(\d+)|(\d+)⁄(\d+)")
_EMERGENCY = re.compile(r"(?<![\d.])(1[12]\d)(?![\d.])(?=$|[^\d.:/%A-Za-z℃°-])")
_DOTTED = re.compile(r"(?<![\d.])((?:19|20)\d\d)\.(1[0-2]|0?[1-9])\.(3[01]|[12]\d|0?[1-9])(?![\d.])")
_CLASS_OF = re.compile(
    r"(?<![\d.])((?:19|20)\d\d)(?=[级届]|(?:北京|东京|巴黎|里约|伦敦)?(?:冬?奥|亚运|世界杯|欧洲杯|春晚|春节|赛季))"
)
_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")  # of the internet
_DAYS = re.compile(r"((?:周|星期|礼拜)[一二三四五六日天])\s*[-–—~～]+\s*(?=周|星期|礼拜|[一二三四五六日天])")
_MIDNIGHT = re.compile(r"(?<![\d:])0?0:([0-5]\d)(?![\d:])")
_FLAT = re.compile(r"(?<![\d.])(\d)([室房])(\d)厅(?:(\d)卫)?")
_CRAFT = re.compile(
    r"(?<=[歼轰运直苏图])-(?=\d)|(?:(?<=东风)|(?<=长征)|(?<=巨浪)|(?<=鹰击)|(?<=红旗)|(?<=米格)|(?<=波音)|(?<=空客)|(?<=神舟))-(?=\d)"
)
_AREA_CODE = re.compile(r"[(（](0\d{2,3})[)）]\s*(\d{3,4})-?(\d{4})(?!\d)")
_KNOWN_BY = re.compile(
    r"(?<![\d.])(\d{3})(?=事件|大促|晚会|工作制|购物节|国道|省道|胶水|安全卫士|医院)|(?<![\d.])(11[0249]|12[02])(?=报警|急救|火警|消防|指挥中心|接警|出警|电话)"
    r"|(?<![\d.])(985|211)(?=[、和与及/]?(?:985|211)?(?:高校|大学|院校|工程|毕业))"
)
_UNITS = {"mAh": "毫安时", "kWh": "千瓦时", "kW": "千瓦", "kV": "千伏", "V": "伏", "Hz": "赫兹", "kHz": "千赫兹",
          "MHz": "兆赫兹", "GHz": "吉赫兹", "kPa": "千帕", "mmHg": "毫米汞柱", "dB": "分贝", "g": "克",
          "mA": "毫安", "hp": "马力", "mmol/L": "毫摩尔每升"}  # fmt: skip
_MEASURED = re.compile(
    rf"(?<![\d.A-Za-z])(?:({_N}){_DASH})?({_N})\s*({'|'.join(sorted(_UNITS, key=len, reverse=True))})(?![A-Za-z\d])"
)
_SPEEDS = re.compile(rf"({_N}){_DASH}({_N})\s*km/h")
_BOTH = re.compile(rf"(?<![\d.])({_N})([a-z]{{1,3}}){_DASH}(?={_N}\2(?![a-z]))")  # 3cm-5cm
# Letters that begin like a unit and are none: 5v5, 1vs1.
_NO_UNIT = re.compile(rf"(?<![\d.A-Za-z])({_N})(?=[Vv][Ss]?\d)")
_LARGE = re.compile(r"(?<=\d)\s*(?:K[MmGg]|CM|MM|[Mm]L)(?:/[Hh])?(?![A-Za-z])")  # as people write ml, kg, km/h
_EQUALS = re.compile(rf"(?<=[A-Za-z\d{NUMERALS}])\s*=\s*(?=[-\dA-Za-z])")
_POWER = re.compile(r"(?<=[A-Za-z\d)])(?:\^(\d{1,3})(?!\d)|([²³]))")
_THOUSANDS_OF = re.compile(r"(?<=\d)(?:w(?=\+|[多元块人字次粉]|$|[\s,。!?、])|W(?=\+))")  # 10w+, as people type 万
_PLATE = re.compile(r"(?<=[\u4e00-\u9fff][A-Z])[·•]\s?(?=[A-Z0-9]{5})")
_HOLIDAY = re.compile(
    r"(?<![\d.])(38|51|54|61|71|81)(?=妇女节|女神节|女生节|劳动节|假期|小长假|青年节|儿童节|建党节|建军节)"
)
_SINCE = re.compile(
    r"((?:生|建|办|立|业|卒|逝|摄|写|著|始|起|成)于\s*)((?:1[0-9]|20)\d\d)(?![\d.:/%-]|[年万亿元块人个米])"
)
_DIVIDED = re.compile(rf"(?<=\d)\s*÷\s*(?={_N})")
_DAY = re.compile(  # that something is named after: 9·11事件, 5.12大地震
    r"(?<![\d.])(\d{1,2})(?:[·•](\d{1,2})|\.([12]\d|3[01]))"
    "(?=事件|晚会|运动|大?地震|惨案|事变|起义|讲话|空难|大促|购物节|特大|汶川|玉树)"
)

RULES: tuple[tuple[re.Pattern[str], Callable[[Match], str]], ...] = (
    (_MIXED, lambda m: f"{cardinal(m[1])}又{cardinal(m[3])}分之{cardinal(m[2])}" if m[1] else
     f"{cardinal(m[5])}分之{cardinal(m[4])}"),
    (_SQUARE, lambda m: ("平方" if (m[2] or m[3]) in ("2", "²") else "立方") + _LENGTHS[m[1] or ""]),
    (_THOUSANDS_OF, lambda m: "万"),
    (_PLATE, lambda m: ""),
    (_HOLIDAY, lambda m: by_digit(m[1])),
    (_SINCE, lambda m: m[1] + by_digit(m[2])),
    (_AREA_CODE, lambda m: by_digit(m[1] + m[2] + m[3])),
    (_COMPARED, lambda m: {">": "大于", "<": "小于", "≈": "约等于"}[m[1]]),
    (_DOTTED, lambda m: f"{by_digit(m[1])}年{cardinal(m[2])}月{cardinal(m[3])}日"),
    (_ADDRESS, lambda m: by_digit(m[0])),
    (_CRAFT, lambda m: ""),
    (_DAY, lambda m: by_digit(m[1] + (m[2] or m[3]))),
    (re.compile("(?<![0-9])7-11(?=便利|店|超市)"), lambda m: "七十一"),
    (_KNOWN_BY, lambda m: by_digit(m[1] or m[2] or m[3])),
    (_DIVIDED, lambda m: "除以"),
    (_LARGE, lambda m: m[0].strip().lower()),
    (_SPEEDS, lambda m: f"每小时{cardinal(m[1])}到{cardinal(m[2])}公里"),
    (_NO_UNIT, lambda m: cardinal(m[1])),
    (_MEASURED, lambda m: (counted(m[1], _UNITS[m[3]]) + "到" if m[1] else "") + counted(m[2], _UNITS[m[3]]) +
     _UNITS[m[3]]),
    (_BOTH, lambda m: f"{m[1]}{m[2]}到"),
    (_FLAT, _flat),
    (_MIDNIGHT, lambda m: "零点" + ("" if m[1] == "00" else f"{_minutes(m[1])}分")),
    (_DAYS, lambda m: m[1] + "到"),
    (_POWER, lambda m: f"的{cardinal(m[1], '二') if m[1] else '二' if m[2] == '²' else '三'}次方"),
    (_CLASS_OF, lambda m: by_digit(m[1])),
    (_NAMED, lambda m: m[1] + m[2] + ("加" if m[3].startswith("+") else "") + by_digit(m[3])),
    (_PHONE, lambda m: ("加八六" if (m[1] or "").startswith("+") else "八六" if m[1] else "") + by_digit(m[2])),
    (_CALL, lambda m: m[1] + by_digit(m[2])),
    (_HOTLINE, lambda m: by_digit(m[1])),
    (_IDENTITY, lambda m: by_digit(m[1])),
    (re.compile(r"\+86(?!\d)"), lambda m: "加八六"),
    (_PRICE, _price),
    (_MONEY, _money),
    (_CLOCK, lambda m: f"{counted(str(int(m[1])), '点整')}点{_minutes(m[2])}分{_minutes(m[3])}秒"),
    (_SCORE, lambda m: f"{m[1]}{cardinal(m[2])}比{cardinal(m[3])}"),
    (_WON, lambda m: f"{cardinal(m[1])}比{cardinal(m[2])}"),
    (_LEADING, lambda m: by_digit(m[0])),
    (_VERSION, lambda m: "点".join(cardinal(part, "二") for part in m[0].split("."))),
    (_ROOM, lambda m: by_digit(m[1])),
    (_UNIT, lambda m: m[1] + by_digit(m[2])),
    (_BUS, lambda m: by_digit(m[1])),
    (_PLANE, lambda m: by_digit(m[1])),
    (_LINES, lambda m: by_digit(m[1])),
    (_MODEL, lambda m: m[1].rstrip("-") + by_digit(m[2])),
    (_CODE, lambda m: m[1] + by_digit(m[2])),
    (_BORN, lambda m: by_digit(m[1])),
    (_PERMILLE, lambda m: f"{'负' if m[1] else ''}千分之{cardinal(m[2])}"),
    (_PERCENTS, lambda m: f"百分之{cardinal(m[1])}到百分之{cardinal(m[2])}"),
    (_RANGE, _range),
    (_ZEROS, lambda m: _short(m[1])),
    (_MONTH_DAY, lambda m: f"{cardinal(m[1])}月{cardinal(m[2])}"),
    (_YEAR, lambda m: by_digit(m[1])),
    (_SHORT_YEAR, lambda m: by_digit(m[1])),
    (_ORDINAL, lambda m: f"第{cardinal(m[1], '二')}"),
    (_AFTER_UNIT, lambda m: f"{counted(m[1], m[2])}{m[2]}{by_digit(m[3].rstrip('0') or '0')}"),
    (_TIMES, lambda m: f"{cardinal(m[1], '二')}乘{cardinal(m[2], '二')}"),
    (_TWO, lambda m: two(m.string[m.end() :])),
    (_EQUALS, lambda m: "等于"),
    (_EMERGENCY, lambda m: cardinal(m[1])),
)  # fmt: skip
_LETTERS = re.compile(r"(?<![A-Za-z])([A-Za-z])\s?(?:2|二|to)\s?([A-Za-z])(?![A-Za-z])")  # B2B, O2O, B to C
_ROMAN = {chr(0x2160 + i): whole(i + 1) for i in range(12)}
_CIRCLED = {chr(first + i): whole(i + 1) for first in (0x2460, 0x2474, 0x2488) for i in range(20)} | {
    **{chr(0x2776 + i): whole(i + 1) for i in range(10)},
    "⓪": "零",
}
_SIGNS = {"㎡": "平方米", "㎥": "立方米", "㎞": "公里", "㎏": "千克", "㎝": "厘米", "㎜": "毫米",
          "㎎": "毫克", "㏄": "毫升", "∶": ":", "√": "根号",
          "㎢": "平方公里", "℃": "摄氏度", "°C": "摄氏度"}  # fmt: skip
_ONE_CHARACTER = str.maketrans({**_ROMAN, **_CIRCLED})
_FRACTION = re.compile("[¼-¾⅐-⅞]")
_GREAT = str.maketrans("壹贰貳叁參肆伍陆陸柒捌玖拾佰仟萬億", "一二二三三四五六六七八九十百千万亿")
_FINANCIAL = re.compile(  # a name may have one of them, or 陆陆续续
    "(?=[伍陆拾零]*[壹贰貳叁參肆柒捌玖佰仟])[壹贰貳叁參肆伍陆陸柒捌玖拾佰仟零]{2,}[萬億万亿]?"
)
_ONE = re.compile(f"幺(?=点?[{DIGITS}幺])|(?<=[{DIGITS}幺])幺|(?<=[{DIGITS}幺]点)幺")
_SECOND_PERCENT = re.compile(f"(百分之[{NUMERALS}]+(?:到|至))(?!百分之)(?=[{NUMERALS}])")
_TWO_WITHIN = re.compile("(?<=[千万亿零])两(?=[百千])")
_MINUS_PERCENT = re.compile(f"([负正])百分之(?=[{NUMERALS}])")
_HUNDRED_PERCENT = re.compile("百分之?百(?!分)")
# Cut short where a numeral ends: 一千五 is 一千五百, 一百一 is 一百一十.
_CUT_SHORT = re.compile(f"(?<=[一二两三四五六七八九])([百千万亿])([一二两三四五六七八九])(?![{NUMERALS}半多几分来])")
_NEXT = {"百": "十", "千": "百", "万": "千", "亿": "千万"}
_BELOW_ZERO = re.compile(f"零下(?=[{NUMERALS}]+摄氏度)")
_PER = re.compile(f"([{NUMERALS}]+)(公里|千米|米|转|升|次|元|帧)每(小时|秒|分钟|分|天)")
_KILO = re.compile(f"(?<=[{NUMERALS}])千([克米])")
_MAO = re.compile("(?<=[块元])二(?=[毛角])")
_POWERS = re.compile("的(平|立)方(?!公?[米里]|厘米|英)")
_OLD_TENS = re.compile("(?<!五)[廿卅](?=[一二三四五六七八九年日天号岁多余]|$)")  # not 五卅
_TENTHS_OF_YUAN = re.compile(
    f"(?<=[{NUMERALS}])元([一两二三四五六七八九])角(?:([一二三四五六七八九])分)?(?![{NUMERALS}])"
)
_PAST_HOUR = re.compile(f"(?<=[{NUMERALS}]点)(三十|十五|四十五)(?:分(?!之)|(?![{NUMERALS}分万亿]))")
_NO_TENS = re.compile("(?<=分)零(?=[一二三四五六七八九]秒)")
_SAME_UNIT = re.compile(f"([{NUMERALS}])([^{NUMERALS}到刻半]{{1,3}})到([负{NUMERALS}]+)(?=\\2)")
_TWO_GREAT = re.compile(f"(?<![{NUMERALS}第初])二(?=[百千万亿])")


def _minutes(number: str) -> str:
    """Minutes and seconds of a clock: 05 is 零五, 00 is 零."""
    return "零" if number == "00" else by_digit(number) if number[0] == "0" else cardinal(number)


def signs_read(text: str) -> str:
    """Characters that hold a number or a unit, taken apart before compatibility forms are lost.

    >>> signs_read("①号，50㎡，½，Ⅲ期")
    '一号，50平方米，1⁄2，三期'
    """
    for sign, name in _SIGNS.items():
        text = text.replace(sign, name)
    text = text.translate(_ONE_CHARACTER)
    return _FRACTION.sub(lambda m: _FRACTIONS[m[0]], text)


_FRACTIONS = {
    "¼": "1⁄4", "½": "1⁄2", "¾": "3⁄4", "⅐": "1⁄7", "⅑": "1⁄9", "⅒": "1⁄10", "⅓": "1⁄3", "⅔": "2⁄3", "⅕": "1⁄5",
    "⅖": "2⁄5", "⅗": "3⁄5", "⅘": "4⁄5", "⅙": "1⁄6", "⅚": "5⁄6", "⅛": "1⁄8", "⅜": "3⁄8", "⅝": "5⁄8", "⅞": "7⁄8",
}  # fmt: skip


def numbers_read(text: str) -> str:
    """Numbers that wetext would read otherwise, as they are read.

    >>> numbers_read("第2季度，¥3.5万，202号房间")
    '第二季度，三点五万元，二零二号房间'
    """
    for pattern, read in RULES:
        text = pattern.sub(read, text)
    return text


def one_reading(text: str) -> str:
    """Readings that are equally right as one: 幺 as 一 among digits, 二百 as 两百, financial numerals, both 百分之.

    >>> one_reading("幺三八"), one_reading("二百"), one_reading("百分之十到二十"), one_reading("壹佰")
    ('一三八', '两百', '百分之十到百分之二十', '一百')
    """
    text = _LETTERS.sub(r"\1二\2", text)
    text = _FINANCIAL.sub(lambda m: m[0].translate(_GREAT), text)
    text = _MINUS_PERCENT.sub(r"百分之\1", text)
    text = _HUNDRED_PERCENT.sub("百分之一百", _TWO_WITHIN.sub("二", text))
    return _TWO_GREAT.sub("两", _SECOND_PERCENT.sub(r"\1百分之", _ONE.sub("一", text)))


def one_number(text: str) -> str:
    """Numbers that are said in two ways, as one: only for comparing, since other words are said.

    >>> one_number("一千五"), one_number("八十公里每小时"), one_number("零下三摄氏度"), one_number("二的平方")
    ('一千五百', '每小时八十公里', '负三摄氏度', '二的二次方')
    >>> one_number("九点三十分"), one_number("八点十五"), one_number("三度到五度")
    ('九点半', '八点一刻', '三到五度')
    """
    text = _OLD_TENS.sub(lambda m: "二十" if m[0] == "廿" else "三十", text)
    text = _TENTHS_OF_YUAN.sub(r"点\1\2元", text)
    text = _PAST_HOUR.sub(lambda m: {"三十": "半", "十五": "一刻", "四十五": "三刻"}[m[1]], text)
    text = _NO_TENS.sub("", text)
    text = _SAME_UNIT.sub(r"\1到\3", text)
    text = _CUT_SHORT.sub(lambda m: m[1] + m[2] + _NEXT[m[1]], text)
    text = _POWERS.sub(lambda m: f"的{'二' if m[1] == '平' else '三'}次方", _BELOW_ZERO.sub("负", text))
    text = _KILO.sub(lambda m: {"克": "公斤", "米": "公里"}[m[1]], text)
    return _MAO.sub("两", _PER.sub(r"每\3\1\2", text))
