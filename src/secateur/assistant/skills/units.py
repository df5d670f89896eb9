"""Lengths, weights, volumes and temperatures from one unit to another."""

from __future__ import annotations

from ..skill import Context, Slots, number, plain, skill

# Each unit in its kind's base unit: metre, kilogram, litre.
SIZES = {
    "length": {
        "millimeters": 0.001, "centimeters": 0.01, "meters": 1.0, "kilometers": 1000.0, "inches": 0.0254,
        "feet": 0.3048, "yards": 0.9144, "miles": 1609.344,
    },
    "weight": {"grams": 0.001, "kilograms": 1.0, "jin": 0.5, "ounces": 0.028349523125, "pounds": 0.45359237},
    "volume": {
        "milliliters": 0.001, "liters": 1.0, "cups": 0.2365882365, "pints": 0.473176473, "gallons": 3.785411784,
    },
}  # fmt: skip
DEGREES = ("celsius", "fahrenheit")
CHINESE = {
    "millimeters": "毫米", "centimeters": "厘米", "meters": "米", "kilometers": "公里", "inches": "英寸",
    "feet": "英尺", "yards": "码", "miles": "英里", "grams": "克", "kilograms": "公斤",
    "jin": "斤", "ounces": "盎司", "pounds": "磅",
    "milliliters": "毫升", "liters": "升", "gallons": "加仑", "celsius": "摄氏度", "fahrenheit": "华氏度",
}  # fmt: skip


@skill("convert")
def convert(slots: Slots, context: Context) -> str:
    """`amount from` in `to`."""
    amount, source, target = number(slots.get("amount", "1")), slots["from"], slots["to"]
    result = converted(amount, source, target)
    if result is None:
        return context.say(
            f"{source.capitalize()} are not measured in {target}.",
            f"{CHINESE.get(source, source)}不能换算成{CHINESE.get(target, target)}。",
        )
    if amount == 1:
        source = {"feet": "foot", "inches": "inch"}.get(source, source.rstrip("s") if source not in DEGREES else source)
    return context.say(
        f"{plain(amount)} {source} is {plain(round(result, 3))} {target}.",
        f"等于{plain(round(result, 3))}{CHINESE.get(target, target)}。",
    )


def converted(amount: float, source: str, target: str) -> float | None:
    """The amount in the target's unit, or None for units of different kinds.

    >>> converted(100, "celsius", "fahrenheit"), converted(1, "miles", "grams")
    (212.0, None)
    """
    if source in DEGREES and target in DEGREES:
        if source == target:
            return amount
        return amount * 9 / 5 + 32 if source == "celsius" else (amount - 32) * 5 / 9
    for units in SIZES.values():
        if source in units and target in units:
            return amount * units[source] / units[target]
    return None
