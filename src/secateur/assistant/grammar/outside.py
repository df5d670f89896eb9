"""Words outside a grammar: those that do not matter, those that turn an order into something else.

A text is an order only if the grammar has every word of it. Excused are politeness and hesitation (`FILLERS`), a word
said twice, and small words left out (`SMALL`). Everything else that stands beside a command means something: a
negation, a report, a question, a condition, or a thing that nobody set up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .alike import one_apart
from .words import words_of


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split(";"))


# May stand anywhere outside a value, as phrases of one word or more.
FILLERS = {
    "en": _phrases(
        """
        please; kindly; um; uh; er; erm; hmm; mm; ah; oh; hey; hi; hello; ok; okay; alright; well; so; now; right now;
        just; quickly; again; thanks; thank you; thank you very much; the; a; an; for me; for us; my dear; right away;
        immediately; at once; would you; will you; could you; can you; in here; cheers; mate; if you don't mind;
        if you would; if you wouldn't mind; if possible
        """
    ),
    "zh": _phrases(
        """
        请; 请你; 帮我; 给我; 替我; 请帮我; 请您; 麻烦; 麻烦你;
        麻烦您; 劳驾; 劳烦; 劳烦您; 一下; 吧; 啊; 呀; 哦; 喔; 哈; 嘛; 呗; 哎; 诶; 喂; 嗯;
        呃; 额; 那个; 那;
        啦; 好; 好的; 谢谢; 谢谢你; 你好; 您好; 现在; 马上; 立刻; 赶紧; 快; 快点; 嘿; 你帮我; 您帮我; 你给我; 来;
        好吗; 行吗; 好不好; 好么; 可以吗; 拜托; 拜托了; 辛苦了; 麻烦了; 谢啦; 谢了; 有劳; 有劳了
        """
    ),
}

# May be left out.
SMALL = {
    "en": _set("a an the to of for in at is it me my some please"),
    "zh": frozenset("请的个一了到为"),
}

# Forbid: with one of these beside it, nothing is an order. What is said about the others ("which word?") is not asked.
FORBIDDING = {
    "en": _set(
        """
        not no never don't dont doesn't doesnt didn't didnt won't wont wouldn't wouldnt shouldn't shouldnt
        can't cant cannot couldn't couldnt isn't isnt aren't arent wasn't wasnt weren't weren hasn't haven't
        hadn't mustn't needn't nobody nothing none neither nor without stop avoid refuse forbid forget
        unless until if when whenever while whether because although though before after once who whom whose
        why where which what how did does do was were has had have been is are am may might must should
        shall he she they we i you it's he's she's they're we're i'm you're said says say told tells asked
        asks heard thinks thought think believe suppose wonder someone somebody everybody everyone anybody
        anyone already yesterday ever rather instead almost nearly maybe perhaps
        """
    ),
    "zh": frozenset(
        "别不勿没未无非莫甭休谁吗么呢如若假要是否果他她它们我咱说问讲道听想觉得怎为何哪什几"
        "过了着曾已经被当等让该应会能可敢也都才又刚先比"
    ),
}

# In speech that was not recognised word for word: what makes something else of the nearest sentence of a grammar,
# anywhere, or as one of its first two words.
TURNING = {
    "en": _set("not never don't didn't doesn't nobody without unless if says told asked"),
    "zh": frozenset("别不勿没谁吗如说"),
}
OPENING = {
    "en": _set("who whom why when where did does was were is are has have he she they should until while because"),
    "zh": frozenset("为怎他她"),
}

# What turns an imperative with a question mark into a polite request, or makes a question of it in the first place.
ASKING = _set(
    """
        can could will would may what what's how how's which when who where is are am do does did 什 几 多 怎 哪
        谁 吗 呢 能 可 否 不 么 何 咋 没 啥 any should shall
        """
)


# Join two orders or two things.
JOINING = _set("and then 和 跟 与 并")

# Say something of a thing, and are none.
PRAISING = _set("very really quite so 真 很 太 挺 这")

# Never part of a name: "in Paris on Monday" is no place.
PARTING = _set(
    """
        on at this next last for during to from with by than or and but then over under about into week
        weekend evening morning night afternoon monday tuesday wednesday thursday friday saturday sunday
        today tomorrow yesterday in of at it is 的 把 是 别 不 没 谁 吗 呢 如 怎 什 几 说 他 她 我 你 了 早
        晚 午 夜 周 期
        """
)


def language_of(language: str) -> str:
    """The language whose words these are: English where there are no others."""
    return "zh" if language.startswith("zh") else "en"


def polite(words: Sequence[str]) -> bool:
    """Whether a Mandarin sentence with 吗 at its end asks for a favour: 能帮我开灯吗.

    >>> polite(list("能帮我开灯吗")), polite(list("灯开着吗"))
    (True, False)
    """
    text = "".join(words)
    asked = re.match(r"(你|您|请问)?(能|可以|可否|能不能|可不可以)(请你)?(帮|给我|麻烦|把|将)", text)
    return asked is not None and words[-1] == "吗"


def turned(written: str, sentence: str, language: str, unsure: int = 0) -> bool:
    """Whether `written` has a word that makes something else of `sentence`, which lacks it.

    Of its first `unsure` words the recogniser was not sure: they may be others, and open nothing.

    >>> [turned("did i have a latte", "can i have a latte", "en", unsure) for unsure in (0, 1)]
    [True, False]

    >>> turned("oh don't turn on the light", "turn on the light", "en"), turned("i was a latte", "i want a latte", "en")
    (True, False)
    """
    language, words, known = language_of(language), words_of(written), words_of(sentence)
    # An opening word may be another of its sound that was recognised wrongly: was for want.
    first = [
        word for word in words[unsure:2] if not any(word[0] == one[0] and one_apart(word[:3], one[:3]) for one in known)
    ]
    turning = TURNING[language].intersection(words) | OPENING[language].intersection(first)
    return not turning <= set(known)
