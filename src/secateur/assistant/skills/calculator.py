"""Two numbers and what to do with them."""

from __future__ import annotations

import operator
from collections.abc import Callable

from ..skill import Context, Slots, number, plain, skill

OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "plus": operator.add,
    "minus": operator.sub,
    "times": operator.mul,
    "divided by": operator.truediv,
    "percent of": lambda a, b: a * b / 100,
}


@skill("calculate")
def calculate(slots: Slots, context: Context) -> str:
    """`first operation second`."""
    first, second = number(slots["first"]), number(slots["second"])
    name = slots["operation"]
    if name == "divided by" and second == 0:
        return context.say("Nothing can be divided by zero.", "不能除以零。")
    result = plain(OPERATIONS[name](first, second))
    return context.say(f"{plain(first)} {name} {plain(second)} is {result}.", f"等于{result}。")
