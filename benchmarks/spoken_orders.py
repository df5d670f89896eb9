"""Coffee orders spoken by flite and espeak-ng: what phrase mode's weights are chosen on; recordings stay a test.

    python benchmarks/spoken_orders.py OUT --count 84

Writes OUT/0.wav, ... and OUT/orders.json: a list of {"audio", "text", "slots", "voice"}. Needs both programs (Debian:
flite, espeak-ng). The sentences come from a small generator of its own, not from the grammar.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from secateur.base.files import write_json

DRINKS = (
    "coffee", "house coffee", "drip coffee", "iced coffee", "americano", "cappuccino", "espresso", "latte", "mocha",
    "iced mocha",
)  # fmt: skip
BEFORE_OR_AFTER = {
    "size": ["small", "medium", "large", "eight ounce", "twelve ounce", "sixteen ounce", "twenty ounce"],
    "numberOfShots": ["single shot", "double shot", "triple shot"],
    "roast": ["light roast", "medium roast", "dark roast"],
}
AFTER = {
    "milkAmount": ["milk", "whole milk", "skim milk", "soy milk", "almond milk", "cream"],
    "sugarAmount": ["sugar", "brown sugar", "sweetener"],
}
AMOUNTS = ["", "", "some ", "a bit of ", "a little bit of ", "a lot of ", "lots of "]
OPENINGS = (
    "can i get a", "i'd like a", "could i have a", "i want a", "may i have a", "can i have a", "i'll have a",
    "i would like a", "get me a", "please make me a", "can you get me a",
)  # fmt: skip
VOICES = [("flite", voice) for voice in ("slt", "rms", "awb", "kal16")]
VOICES += [("espeak-ng", voice) for voice in ("en-us", "en-gb", "en-us+f3")]


def order(draw: random.Random) -> tuple[str, dict[str, str]]:
    """A sentence and its slots."""
    slots: dict[str, str] = {}
    before, after = [], []
    for name, values in BEFORE_OR_AFTER.items():
        if draw.random() < 0.5:
            slots[name] = draw.choice(values)
            (before if draw.random() < 0.6 else after).append(slots[name])
    slots["coffeeDrink"] = draw.choice(DRINKS)
    for name, values in AFTER.items():
        if draw.random() < 0.45:
            slots[name] = draw.choice(AMOUNTS) + draw.choice(values)
            after.append(slots[name])
    draw.shuffle(before)
    draw.shuffle(after)
    text = " ".join([draw.choice(OPENINGS), *before, slots["coffeeDrink"]])
    text += f" with {' and '.join(after)}" if after else ""
    return text + (" please" if draw.random() < 0.3 else ""), slots


def main() -> None:
    """Speak and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=84)
    options = parser.parse_args()
    missing = [program for program in ("flite", "espeak-ng") if shutil.which(program) is None]
    if missing:
        sys.exit(f"spoken_orders.py: {' and '.join(missing)} not installed")
    options.out.mkdir(parents=True, exist_ok=True)
    draw, rows = random.Random(5), list[dict[str, Any]]()
    for number in range(options.count):
        text, slots = order(draw)
        program, voice = VOICES[number % len(VOICES)]
        file = str(options.out / f"{number}.wav")
        speed = str(draw.choice([140, 160, 175]))
        command = ["flite", "-voice", voice, "-t", text, "-o", file]
        if program == "espeak-ng":
            command = ["espeak-ng", "-v", voice, "-s", speed, "-w", file, text]
        subprocess.run(command, check=True)
        rows.append({"audio": f"{number}.wav", "text": text, "slots": slots, "voice": f"{program} {voice}"})
    write_json(options.out / "orders.json", rows)


if __name__ == "__main__":
    main()
