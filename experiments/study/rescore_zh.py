"""N-best lists of Mandarin (`nbest_zh.py`) rescored by their pinyin head and n-grams of words, then corrected by sound.

    python3 experiments/study/rescore_zh.py LISTS --data SPEECH --run soup-0 --lm zh.npz --out OUT.json [--jobs 2]

A hypothesis scores  log P(tokens) + head * log P(its syllables | clip) + lm * log P(its words) + length * characters;
the three weights are chosen on dev, and then the costs of correction, on the dev texts that were so chosen.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import math
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

from secateur.base.files import write_json
from secateur.base.progress import say
from secateur.data.manifest import Utterance, read_manifest
from secateur.evaluate.compare import compare_results
from secateur.evaluate.corrected import PINYIN_EXTRA, correction
from secateur.evaluate.error_rate import Counts, compare_texts, total
from secateur.evaluate.result import Result
from secateur.evaluate.run import evaluate
from secateur.lm.tables import read_ngram
from secateur.text.by_sound import BySound
from secateur.text.chinese import HAN
from secateur.text.head_evidence import HeadEvidence
from secateur.text.lattice import MixedScores
from secateur.text.lexicon import LONGEST
from secateur.text.normalise import base_language, normaliser
from secateur.text.pinyin import Syllable, syllables
from secateur.text.word_model import WordModel, learn_words

SET, LANGUAGE = "commonvoice-zh-cn", "zh-CN"
HEAD = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8)
LM = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
LENGTH = (0.0, 0.5, 1.0, 2.0)
BEAM = 6


@dataclass(frozen=True)
class Hypothesis:
    """One text of a list, normalised, and what speaks for it."""

    text: str
    attention: float
    head: float
    lm: float


def main() -> None:
    """Choose on dev, report on test."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lists", type=Path)
    parser.add_argument("--data", type=Path, required=True, help=f"has {SET}/train.jsonl")
    parser.add_argument("--run", required=True, help="whose lists, such as soup-0")
    parser.add_argument("--lm", type=Path, required=True, help="n-grams of words (`secateur lm`)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    a = parser.parse_args()
    words = a.out.with_suffix(".words.tmp")
    texts = [u.text for u in read_manifest(a.data / SET / "train.jsonl") if base_language(u.language) == "zh"]
    learn_words(texts).write(words)
    read = {part: json.loads((a.lists / f"{a.run}.{part}.json").read_text()) for part in ("dev", "test")}
    scored: dict[str, list[list[Hypothesis]]] = {}
    with ProcessPoolExecutor(a.jobs) as pool:
        for part, rows in read.items():
            scored[part] = list(pool.map(partial(features, words=words, lm=a.lm), rows, chunksize=16))
            say(f"{part}: {len(rows)} lists scored")
    references = {part: [str(row["reference"]) for row in rows] for part, rows in read.items()}
    errors = [[counts(r, h.text) for h in row] for r, row in zip(references["dev"], scored["dev"], strict=True)]

    def rate(weights: tuple[float, float, float]) -> float:
        return total(one[pick(row, weights)] for one, row in zip(errors, scored["dev"], strict=True)).rate

    weights = min(itertools.product(HEAD, LM, LENGTH), key=rate)
    ways = {"beam": (0.0, 0.0, 0.0), "rescored": weights}
    writer = BySound(WordModel.read(words), lm=read_ngram(a.lm))
    found: dict[str, object] = {"weights": dict(zip(("head", "lm", "length"), weights, strict=True))}
    for part, rows in scored.items():
        best = [min((counts(r, h.text) for h in row), key=lambda c: c.errors) for r, row in
                zip(references[part], rows, strict=True)]  # fmt: skip
        found[f"{part} best of list"] = total(best).rate
    clips = {
        part: [u for u in read_manifest(a.data / SET / f"{part}.jsonl") if u.id in ids(read[part])] for part in read
    }
    results = {
        (part, way): result(part, way, clips[part], read[part], [row[pick(row, w)].text for row in scored[part]])
        for part in scored
        for way, w in ways.items()
    }
    for way in ways:
        dev, test = results["dev", way], results["test", way]
        after, summary = correction(test, writer, dev)
        d = compare_results(results["test", "beam"], after).difference
        found[way] = {"dev": dev.rate, "test": test.rate, "corrected": summary,
                      "against beam": {"delta": d.delta, "low": d.low, "high": d.high}}  # fmt: skip
        say(f"{way}: dev {100 * dev.rate:.2f}, test {100 * test.rate:.2f}, corrected {100 * after.rate:.2f} %")
    write_json(a.out, found)
    words.unlink()


def ids(rows: list[dict[str, str]]) -> set[str]:
    """The clips of lists."""
    return {row["id"] for row in rows}


def pick(row: list[Hypothesis], weights: tuple[float, float, float]) -> int:
    """The hypothesis that scores best."""
    head, lm, length = weights
    return max(
        range(len(row)),
        key=lambda i: row[i].attention + head * row[i].head + lm * row[i].lm + length * len(row[i].text),
    )


def result(part: str, way: str, clips: list[Utterance], rows: list[dict[str, str]], chosen: list[str]) -> Result:
    """The chosen texts as a result, with what the head recognised."""
    done = evaluate(lambda _: chosen, clips, model=way, data=part)
    kept = [replace(r, extras={PINYIN_EXTRA: row["head"]}) for r, row in zip(done.rows, rows, strict=True)]
    return replace(done, rows=tuple(kept))


def counts(reference: str, text: str) -> Counts:
    """Character errors."""
    return compare_texts(reference, text, LANGUAGE).counts


def features(row: dict[str, object], words: Path, lm: Path) -> list[Hypothesis]:
    """What speaks for each hypothesis of one list; of those that are the same text the likeliest stays."""
    scores, clean, head = scores_of(words, lm), normaliser(LANGUAGE), HeadEvidence.read(str(row["head"]))
    likeliest: dict[str, float] = {}
    for text, attention, _ in row["list"]:  # type: ignore[attr-defined]
        likeliest.setdefault(clean(text), attention)
    spoken = [[s for s in syllables(text) if isinstance(s, Syllable)] for text in likeliest]
    return [
        Hypothesis(text, attention, sound, words_of(text, scores))
        for (text, attention), sound in zip(likeliest.items(), head.scores(spoken), strict=True)
    ]


@lru_cache(1)
def scores_of(words: Path, lm: Path) -> MixedScores:
    """The word scores that correction asks."""
    writer = BySound(WordModel.read(words), lm=read_ngram(lm))
    assert writer.mixed is not None
    return writer.mixed


def words_of(text: str, scores: MixedScores) -> float:
    """log P of the likeliest words that spell the Chinese characters of a text, run by run."""
    return sum(log_prob(run, scores) for run in re.findall(f"[{HAN}]+", text))


def log_prob(run: str, scores: MixedScores) -> float:
    """The same of characters in a row: a beam over where words end."""
    known = scores.lm.numbers
    reached: list[dict[object, float]] = [{} for _ in range(len(run) + 1)]
    reached[0][scores.start()] = 0.0
    for i in range(len(run)):
        states = heapq.nlargest(BEAM, reached[i].items(), key=lambda item: item[1])
        for end in range(i + 1, min(i + LONGEST, len(run)) + 1):
            word = run[i:end]
            if end > i + 1 and word not in known and word not in scores.scores.model.words:
                continue
            for state, score in states:
                more, then = scores.step(state, word)
                if score + more > reached[end].get(then, -math.inf):
                    reached[end][then] = score + more
    return max(reached[-1].values())


if __name__ == "__main__":
    main()
