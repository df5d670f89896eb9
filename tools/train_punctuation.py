"""Train the marks of `secateur.text.punctuation`: train_punctuation.py TEXTS... [--test TEXTS].

TEXTS are punctuated sentences, one a line, or manifests (.jsonl). What ships was trained on the sentences of the
CPP set (g2pM, Park and Lee 2020, Apache-2.0; from Chinese Wikipedia), its dev part, and of Common Voice's zh-CN
train (CC0). Averaged perceptron; up to three sentences are joined to one text, so that full stops within a text are
seen.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from secateur.text.punctuation import MARKS, WEIGHTS, features, has_marks, punctuated, scores, words_and_kinds

KINDS = str.maketrans(
    {"；": "，", "：": "，", "！": "。", "？": "。", ";": "，", ",": "，", "!": "。", "?": "。", ":": "，"}
)
STAYS = re.compile(r"[^\w、，。]")


def sentences(paths: Sequence[Path]) -> list[str]:
    """Texts with three kinds of marks and no other signs."""
    lines: list[str] = []
    for path in paths:
        rows = path.read_text(encoding="utf-8").splitlines()
        lines += [json.loads(row)["text"] for row in rows] if path.suffix == ".jsonl" else rows
    plain = (STAYS.sub("", line.translate(KINDS)).strip("、，") for line in lines)
    return [line for line in plain if 4 < len(line) < 150 and line[-1] == "。"]


def examples(text: str) -> Iterator[tuple[list[tuple[str, str]], int, int, int]]:
    """Words, border, characters since the last mark, and the index of the mark there."""
    bare = re.sub("[、，。]", "", text)
    words = words_and_kinds(bare)
    marks, place = {}, 0
    for c in text:
        if c in MARKS:
            marks[place] = MARKS.index(c)
        else:
            place += 1
    place = since = 0
    for at, (word, _) in enumerate(words):
        if at:
            mark = marks.get(place, 0)
            yield words, at, since, mark
            since = 0 if mark else since
        place += len(word)
        since += len(word)


def train(texts: Sequence[str], epochs: int) -> dict[str, list[float]]:
    """Averaged weights."""
    prepared = [[(features(w, at, since), mark) for w, at, since, mark in examples(text)] for text in texts]
    weights: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(MARKS))
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(MARKS))
    step = 1
    for epoch in range(epochs):
        random.Random(epoch).shuffle(prepared)
        wrong = 0
        for text in prepared:
            for seen, right in text:
                total = scores(weights, seen)
                guess = max(range(len(MARKS)), key=total.__getitem__)
                step += 1
                if guess != right:
                    wrong += 1
                    for name in seen:
                        for i, change in ((right, 1.0), (guess, -1.0)):
                            weights[name][i] += change
                            sums[name][i] += step * change
        print(f"epoch {epoch + 1}: {wrong} wrong of {step}", flush=True)
    return {name: [w - s / step for w, s in zip(weights[name], sums[name], strict=True)] for name in weights}


def measured(texts: Sequence[str]) -> dict[str, float]:
    """Precision, recall and F1 of marks within texts, and of their kind."""
    right = same = given = wanted = 0
    for text in texts:
        found = punctuated(re.sub("[、，。]", "", text)).replace("？", "。")
        places: list[dict[int, str]] = []
        for one in (text, found):
            at, marks = 0, {}
            for c in one:
                if c in MARKS[1:]:
                    marks[at] = c
                else:
                    at += 1
            marks.pop(at, None)
            places.append(marks)
        right += len(places[0].keys() & places[1].keys())
        same += sum(places[0].get(k) == v for k, v in places[1].items())
        wanted, given = wanted + len(places[0]), given + len(places[1])
    precision, recall = right / max(given, 1), right / max(wanted, 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    counts = {"texts": len(texts), "marks": wanted, "precision": precision, "recall": recall, "f1": f1}
    return {**counts, "right_kind": same / max(right, 1)}


def main() -> None:
    """Train, keep what is heavy, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", type=Path)
    parser.add_argument("--test", nargs="*", type=Path, default=[])
    parser.add_argument("--most", type=int, default=60000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--features", type=int, default=30000)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    if options.texts:
        lines = sentences(options.texts)
        draw = random.Random(0)
        draw.shuffle(lines)
        lines, joined = lines[: options.most], []
        while lines:
            joined.append("".join(lines.pop() for _ in range(min(draw.choice((1, 1, 2, 3)), len(lines)))))
        weights = train(joined, options.epochs)
        heavy = sorted(weights, key=lambda name: -max(map(abs, weights[name])))[: options.features]
        unit = 8
        kept = {name: [round(unit * value) for value in weights[name]] for name in sorted(heavy)}
        text = json.dumps({"unit": unit, "weights": kept}, ensure_ascii=False, separators=(",", ":"))
        WEIGHTS.write_bytes(gzip.compress(text.encode(), mtime=0))
    found = {
        f"{path.parent.name}/{path.name}": measured([s for s in sentences([path]) if has_marks(s)][:3000])
        for path in options.test
    }
    print(json.dumps(found, indent=1))
    if options.results:
        options.results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
