"""Mandarin text measured: measure_mandarin.py [--correct TEXTS ...], into experiments/mandarin/results/text.json.

Counts of sentences that must act and must not, of numbers read and written, of readings of polyphones, coverage of the
catalogue, and what correction changes of correct TEXTS (sentences a line, or manifests). Punctuation and polyphones
have files of their own, from `train_punctuation.py --results` and `compare_polyphones.py --results`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from make_catalogue import differences, read

from secateur.assistant.grammar.file import read_grammar
from secateur.assistant.grammar.several import matches
from secateur.text.by_sound import BySound
from secateur.text.chinese import normalise_chinese
from secateur.text.word_model import WordModel, learn_words
from secateur.text.written_numbers import mandarin_numbers

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "experiments" / "mandarin" / "results" / "text.json"


def rows(path: str) -> list[str]:
    """Lines that are no comments."""
    lines = (ROOT / "tests" / path).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def share(cases: Sequence[bool]) -> dict[str, int]:
    """How many of how many."""
    return {"right": sum(cases), "of": len(cases)}


def commands() -> dict[str, dict[str, int]]:
    """Sentences that must act, with every slot, and that must not."""
    found = {}
    for language, names in (("zh", ("home_zh",)), ("en", ("home", "coffee"))):
        graph = read_grammar(*names).graph
        must = [json.loads(row) for row in rows(f"assistant/sentences/{language}_must.jsonl")]
        right = []
        for row in must:
            done = [{"intent": one.intent, "slots": one.slots} for one in matches(graph, row["text"])]
            right.append(done == [{"intent": row["intent"], "slots": row["slots"]}, *row.get("also", [])])
        quiet = [not matches(graph, row) for row in rows(f"assistant/sentences/{language}_must_not.txt")]
        found |= {f"{language}, must act": share(right), f"{language}, must not act": share(quiet)}
    return found


def table(path: str, write: Callable[[str], str]) -> dict[str, int]:
    """Rows of text and outcome."""
    pairs = [row.split("\t") for row in rows(path)]
    return share([write(text).replace(" ", "") == wanted.replace(" ", "") for text, wanted in pairs])


def changed(texts: Sequence[str], writer: BySound) -> dict[str, float]:
    """Shares of characters and of sentences of correct text that correction changes."""
    pairs = [(text, writer.correct(text)) for text in texts]
    letters = sum(sum(a != b for a, b in zip(text, other, strict=True)) for text, other in pairs)
    return {
        "characters": letters / max(sum(map(len, texts)), 1),
        "sentences": sum(text != other for text, other in pairs) / max(len(texts), 1),
        "of": len(texts),
    }


def sentences(path: Path, most: int) -> list[str]:
    """Sentences of a file, drawn at random."""
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = [json.loads(line)["text"] for line in lines] if path.suffix == ".jsonl" else lines
    lines = [line.replace("▁", "").strip() for line in lines]
    return random.Random(1).sample(lines, min(most, len(lines)))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--correct", type=Path, nargs="*", default=[], help="correct texts")
    parser.add_argument(
        "--words", type=Path, help="manifest whose words correction knows; left out: the dictionary only"
    )
    parser.add_argument("--most", type=int, default=400)
    options = parser.parse_args()
    before = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {}
    missing, stale = differences("zh")
    found = {
        "commands": commands(),
        "numbers read": table("text/chinese_numbers.tsv", normalise_chinese),
        "numbers written": table("text/written_numbers.tsv", mandarin_numbers),
        "catalogue": {"entries": len(read("zh")), "missing": len(missing), "stale": len(stale)},
        "correction": before.get("correction", {}),
    }
    if options.correct:
        texts = [] if options.words is None else sentences(options.words, 10**6)
        writer = BySound(learn_words(texts) if texts else WordModel())
        everyday = [row.split("\t")[0].replace("*", "") for row in rows("text/polyphones.tsv")]
        found["correction"] = {"everyday sentences": changed(everyday, writer)} | {
            f"{path.parent.name}/{path.name}": changed(sentences(path, options.most), writer)
            for path in options.correct
        }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
