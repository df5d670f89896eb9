"""Why something is ordered: "it's dark in here, turn on the lamp", 我要睡了，关灯. The reason itself orders nothing.

What is felt may stand without a mark, in Mandarin only before its order (开灯太亮了 is none). An event needs its mark,
because without one it is a condition: 天黑了开灯.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from .outside import language_of

# {rooms} are those of a grammar.
_FELT = {
    "en": (
        "(?:(?:it(?:'s| is)(?: getting)?|(?:i'm|i am|we're|we are)|(?:the|this) room is|(?:the )?(?P<room>{rooms}) is) "
        "(?:(?:a bit|a little|far|way|too|so|very|really|rather|quite|pretty) )*"
        "(?:hot|cold|warm|cool|chilly|freezing|boiling|stuffy|dark|dim|gloomy|bright|loud|quiet|noisy|late)"
        "(?: in here| in there| outside| now| today| tonight)*|"
        "i can(?:'t|not) (?:see|sleep|hear)(?: a thing| anything)?)"
    ),
    "zh": (
        "(?P<room>{rooms})?(?:屋子?里|房间里?|家里|这里|这儿|这边|外面|今天|我|里面?)?"
        "(?:(?:太|有点儿?|有些|好|真|这么|越来越)[热冷闷暗黑亮吵潮](?:了|啊|呀|哦)*|[热冷闷]死我?了)"
    ),
}
_EVENT = {
    "en": (
        "(?:(?:i'm|i am|we're|we are) (?:(?:(?:going|off|heading|about|ready) (?:(?:to|out|for|go) ?)*)?"
        "(?:bed|sleep|work|leave|school|home|out|back|leaving|tired)|up)|good ?night|good morning|bedtime|time for bed)"
    ),
    "zh": (
        "(?:(?:我们?|咱们?)?(?:先|就|快|都|要|准备|马上|该|得|去)*"
        "(?:睡觉?|休息|出门|走|上班|上学|回来|到家|回家|躺下|起床|起来|看电影|看书|吃饭)了|"
        "天快?要?[黑亮]了|看不[清见]了?|不早了|晚安|早上好|早安)"
    ),
}
_MARK = r"\s*[,，.。;；!！]\s*(?:so )?"


def reason(text: str, language: str, rooms: Sequence[str] = ()) -> tuple[str, str]:
    """The room that the reason of an order names, and the text without that reason.

    >>> reason("客厅太暗了，开灯", "zh", ["客厅"]), reason("turn on the fan, it's hot in here", "en")
    (('客厅', '开灯'), ('', 'turn on the fan'))
    """
    plain = text.strip().replace("’", "'")
    before, after = _patterns(language_of(language), tuple(rooms))
    result = before.match(plain)
    if result:
        return (result["room"] or "").lower(), plain[result.end() :]
    result = after.search(plain)
    return ((result["room"] or "").lower(), plain[: result.start()]) if result else ("", text)


@lru_cache(maxsize=16)
def _patterns(language: str, rooms: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A reason before an order, and one after it."""
    felt, event = _FELT[language].format(rooms="|".join(map(re.escape, rooms)) or "(?!)"), _EVENT[language]
    free = r"\s+(?:so )?" if language == "en" else ""
    before = rf"(?:{felt}(?:{_MARK}|{free})|{event}{_MARK})"
    after = rf"(?:(?:{_MARK}|{free or _MARK}){felt}|{_MARK}{event})[.。!！]*$"
    return re.compile(before, re.I), re.compile(after, re.I)
