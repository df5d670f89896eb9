"""How numbers count in Mandarin: digits, cardinals, and 2 as 两 before measure words."""

from __future__ import annotations

import re

DIGITS = "零一二三四五六七八九"
NUMERALS = DIGITS + "十百千万亿两点"


def by_digit(number: str) -> str:
    """Every digit by itself; a dot is 点, everything else goes.

    >>> by_digit("2.05"), by_digit("138-0013")
    ('二点零五', '一三八零零一三')
    """
    return "".join("点" if c == "." else DIGITS[int(c)] if c.isdecimal() else c if c in "xX" else "" for c in number)


def cardinal(number: str, two: str = "两") -> str:
    """A number as it counts; `two` is 2 before 百, 千, 万 and 亿 at the beginning. Decimals by digit.

    >>> cardinal("1001"), cardinal("200"), cardinal("12.50"), cardinal("20000")
    ('一千零一', '两百', '十二点五零', '两万')
    """
    integer, _, rest = number.partition(".")
    text = whole(int(integer or "0"))
    if text.startswith("二") and text[1:2] in tuple("百千万亿"):
        text = two + text[1:]
    return f"{text}点{by_digit(rest)}" if rest else text


def whole(number: int) -> str:
    """A whole number."""
    if number < 10:
        return DIGITS[number]
    parts: list[str] = []
    for value, unit in ((10**8, "亿"), (10**4, "万"), (1000, "千"), (100, "百"), (10, "十")):
        if number >= value or parts:
            count, number = divmod(number, value)
            if count:
                parts.append(whole(count) + unit)
            elif parts and not parts[-1].endswith("零") and number:
                parts.append("零")
    if number:
        parts.append(DIGITS[number])
    text = "".join(parts).rstrip("零")
    return text.removeprefix("一") if text.startswith("一十") else text


# Measure words that 2 is read 两 before. Words that number something (号 楼 班 月 日 季度 级 线 路) are not among them.
_WORDS = """
    个 位 人 只 条 张 本 件 名 口 家 间 座 辆 台 部 把 双 对 支 枝 根 片 块 元 角 毛 斤 公斤 千克 克 吨 米
    厘米 毫米 公里 千米 岁 倍 遍 趟 回 顿 场 句 首 种 样 份 杯 瓶 碗 袋 盒 箱 包 颗 粒 头 匹 棵 朵 封 篇 步
    声 眼 下 圈 股 道 项 笔 批 群 套 副 幅 架 艘 枚 株 亩 公顷 升 毫升 平方米 立方米 平米 美元 欧元 英镑
    日元 港元 港币 美金 百 千 万 亿 小时 分钟 秒 刻钟 点钟 天 周 星期 礼拜 年 次 点半 点整 成 层 滴 盘 桌
    床 节课 堂课 门课 代人 大 方 队 组 边 三 仟 佰 些 者 国 军 岸 地 党 院 翼 侧 极 栋 幢 套房 居室 重 类
    款 则 届 任 尺 寸 英寸 英里 海里 磅 盎司 打 帖 摄氏度 度 帧 兆 字节 赫兹 瓦 千瓦 伏 安培 拍 折 晚 夜
    整天
"""
MEASURES = tuple(_WORDS.split())
_MEASURE = "(?:" + "|".join(sorted(MEASURES, key=len, reverse=True)) + ")"
_NOT_COUNTED = re.compile("年级|年[一二三四1-4]?班|次元|次方|手|氧化|战|大爷|节课本|百五|月|日|号|楼|点[0-9]|等|度空间")
_COUNTED = re.compile(_MEASURE)
_PLACE = re.compile("^点(?![0-9一二三四五六七八九零])|^点[0-5][0-9](?![0-9])|^点[一二三四五]?十")


def two(after: str) -> str:
    """How 2 is read before the text `after`.

    >>> two("次"), two("次元"), two("号楼"), two("点半"), two("年级")
    ('两', '二', '二', '两', '二')
    """
    if _PLACE.match(after):
        return "两"
    if _NOT_COUNTED.match(after) or not _COUNTED.match(after):
        return "二"
    return "两"


def counted(number: str, after: str) -> str:
    """A number before the text `after`, as it counts."""
    return two(after) if number == "2" else cardinal(number)
