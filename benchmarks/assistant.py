"""Spoken coffee orders understood: how many are accepted with their intent and every slot right, clean and in noise.

    python benchmarks/assistant.py bundled exported/tiny.en --out benchmarks/results/assistant.json

The recordings are `barista-commands` (Picovoice's speech-to-intent benchmark); the grammars are those that come with
secateur (`home` and `coffee`), written from the bar's card, not from the recordings. Noise is `noise/kitchen.opus`, at
a signal-to-noise ratio over the whole clip, from a place in the file drawn by the clip's number. Two ways a model:
`free` (recognised freely, matched with the grammar) and `phrase` (the assistant's one pass: decoded inside the grammar
too, and rejected there). Slots count as right when they are the same words. `books` are clips of audio books
(librispeech-mini test, cut to 8 s), `everyday` short sentences (speechocean762 test; the threshold was chosen on its
dev): how many of them are taken for an order. Results are kept clip by clip, so that a killed run goes on.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from recorded import how

from secateur.assistant.grammar.file import read_grammar
from secateur.assistant.grammar.match import Match, match
from secateur.assistant.understand import Understanding
from secateur.audio.read import read_audio
from secateur.base.errors import SecateurError
from secateur.base.files import read_json, write_json
from secateur.base.progress import track
from secateur.decode.options import DecodingOptions
from secateur.runtime.recogniser import Recogniser

OTHERS = ("books", "everyday", "everyday-dev")
CONDITIONS = ("clean", "24", "18", "12", "6", *OTHERS)
RATE = 16000
GREEDY = DecodingOptions(language="en", timestamps=False, temperatures=(0.0,))


def orders(data: Path) -> list[dict[str, Any]]:
    """The recordings with intent and slots; the set's values begin with a space where no amount was said."""
    import json

    folder = data / "barista-commands"
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["path"] = folder / row["audio"]
        row["slots"] = {key: " ".join(value.split()) for key, value in row["slots"].items()}
    return rows


def others(data: Path, condition: str) -> list[dict[str, Any]]:
    """Speech that orders nothing: audio books, or short everyday sentences (dev: chosen on; test: reported)."""
    import json

    name, split = {"books": ("librispeech-mini", "test"), "everyday": ("speechocean762", "test")}.get(
        condition, ("speechocean762", "dev")
    )
    rows = [json.loads(line) for line in (data / name / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{"id": row["id"], "path": data / name / row["audio"], "intent": None, "slots": {}} for row in rows]


def with_noise(audio: np.ndarray[Any, Any], noise: np.ndarray[Any, Any], snr: float, number: int) -> Any:
    """The clip with noise from a place that depends on the clip's number."""
    start = int(np.random.default_rng(number).integers(len(noise) - len(audio)))
    part = noise[start : start + len(audio)]
    scale = np.sqrt(np.mean(audio**2) / (np.mean(part**2) * 10 ** (snr / 10)))
    return np.clip(audio + scale * part, -1, 1).astype(np.float32)


def right(found: Match | None, row: dict[str, Any]) -> bool:
    """Intent and all slots."""
    return found is not None and found.intent == row["intent"] and found.slots == row["slots"]


def measure(name: str, folder: str, options: argparse.Namespace, kept: dict[str, Any]) -> None:
    """Fill `kept[name][condition]` with a mark a clip: free, phrase, seconds of each, confidence of the phrase.

    `free` recognises without a grammar and matches the text; `phrase` is the assistant's own one pass. Both from
    samples to intent and slots.
    """
    recogniser = Recogniser.load(None if folder == "bundled" else folder, threads=1)
    understanding = Understanding(recogniser, read_grammar(*options.grammar))
    noise = read_audio(options.data / "noise" / "kitchen.opus", RATE)
    for condition in options.conditions:
        silent = condition in OTHERS
        rows = (others(options.data, condition) if silent else orders(options.data))[:: options.every]
        done = kept.setdefault(name, {}).setdefault(condition, {})
        for number, row in enumerate(track(rows, f"{name}, {condition}")):
            if row["id"] in done:
                continue
            audio = read_audio(row["path"], RATE)
            if silent:
                audio = audio[: 8 * RATE]
            elif condition != "clean":
                audio = with_noise(audio, noise, float(condition), number * options.every)
            begun = time.process_time()
            matched = match(understanding.grammar.graph, recogniser.transcribe(audio, GREEDY).text)
            between = time.process_time()
            meant = None if options.free_only else understanding.audio(audio).match
            ended = time.process_time()
            if silent:
                marks = [int(matched is not None), int(meant is not None)]
            else:
                marks = [int(right(matched, row)), int(right(meant, row))]
            if options.free_only:
                marks[1] = -1
            sure = meant.confidence if meant is not None else 0.0
            done[row["id"]] = [*marks, round(between - begun, 3), round(ended - between, 3), round(sure, 3)]
            if number % 20 == 19:
                write_json(options.partial, kept, None)
        write_json(options.partial, kept, None)


def summary(kept: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a model and condition: shares in per cent with 95 % intervals (bootstrap over clips), seconds a clip."""
    rows = []
    for name, conditions in kept.items():
        for condition, clips in conditions.items():
            if not clips:
                continue
            table = np.array(list(clips.values()))
            draws = np.random.default_rng(0).integers(len(table), size=(2000, len(table)))
            row: dict[str, Any] = {"model": name, "condition": condition, "clips": len(table)}
            for column, way in enumerate(("free", "phrase")):
                if table[:, column].min() < 0:  # not measured
                    continue
                shares = table[:, column][draws].mean(1)
                low, high = np.quantile(shares, [0.025, 0.975])
                row[way] = round(float(100 * table[:, column].mean()), 1)
                row[f"{way}_low"], row[f"{way}_high"] = round(float(100 * low), 1), round(float(100 * high), 1)
                row[f"{way}_cpu_s"] = round(float(table[:, 2 + column].mean()), 3)
            if condition not in OTHERS and table[:, 1].min() >= 0:
                row["confidence"] = round(float(table[:, 4].mean()), 3)  # beside `phrase`: the share that was right
            rows.append(row)
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="'bundled', or name=folder of an exported model")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SECATEUR_DATA", "../shared/data")))
    parser.add_argument("--conditions", nargs="+", default=CONDITIONS, choices=CONDITIONS)
    parser.add_argument("--grammar", nargs="+", default=["home", "coffee"])
    parser.add_argument("--every", type=int, default=1, help="take every n-th recording")
    parser.add_argument("--free-only", action="store_true", help="leave phrase mode out")
    parser.add_argument("--partial", type=Path, default=Path("/tmp/assistant-partial.json"), help="kept between runs")
    parser.add_argument("--out", type=Path, help="write the summary as JSON here")
    options = parser.parse_args()
    kept = read_json(options.partial) if options.partial.exists() else {}
    for word in options.models:
        name, _, folder = word.partition("=")
        measure(name, folder or name, options, kept)
    for row in summary(kept):
        print(row)
    if options.out:
        write_json(options.out, {"how": how(), "grammar": " ".join(options.grammar), "rows": summary(kept)})


if __name__ == "__main__":
    try:
        main()
    except SecateurError as problem:
        sys.exit(f"assistant.py: {problem}")
