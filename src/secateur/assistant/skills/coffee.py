"""A coffee order, read back, and sent where orders go."""

from __future__ import annotations

from ..remote import post_json
from ..skill import Context, Slots, skill

BEFORE = ("size", "numberOfShots", "roast")
AFTER = ("milkAmount", "sugarAmount")


@skill("orderDrink")
def order(slots: Slots, context: Context) -> str:
    """`a large double shot latte with some soy milk, coming up`."""
    if context.settings.orders_url:
        post_json(context.settings.orders_url, dict(slots), context.settings.timeout)
    words = " ".join(slots[key] for key in (*BEFORE, "coffeeDrink") if key in slots)
    extras = " and ".join(slots[key] for key in AFTER if key in slots)
    article = "An" if words[:1] in "aeiou" else "A"
    return f"{article} {words}{' with ' + extras if extras else ''}, coming up."
