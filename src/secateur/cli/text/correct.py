"""`secateur text correct`: what sounds right but is written wrong, mended; in texts or in a result file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...base.errors import SecateurError
from ...evaluate.corrected import HEARD, Rewrite, choose, corrected
from ...text.by_sound import BySound, SoundCosts
from ...text.word_model import WordModel
from ..command import option

HELP = """Chinese that sounds right but is written wrong, mended: words with the same or nearly the same pinyin take the
place of unlikely ones, as a dictionary and the words of transcripts say. With --result, a result file of `evaluate` is
corrected and counted again; how readily characters change is then chosen on --dev."""
EXAMPLE = """secateur text correct "我在银航工作" --words words.json
secateur text correct --words words.json --result test.json --dev dev.json --out corrected.json"""
GRID = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0)  # nats a changed character


@dataclass(frozen=True)
class Options:
    """What is corrected, by which words."""

    texts: tuple[str, ...] = option((), help="texts to correct, each in quotes", positional=True)
    words: Path | None = option(None, help="a file of `secateur text learn`")
    result: Path | None = option(None, help="a result file of `secateur evaluate`, with rows")
    dev: Path | None = option(None, help="a result of the same model on a dev set, to choose --changed on")
    changed: float = option(SoundCosts().changed, help="what a changed character costs, in nats; lower changes more")
    out: Path | None = option(None, help="where the corrected result goes")


def run(options: Options) -> dict[str, Any]:
    """Correct texts, or a result file."""
    model = WordModel.read(options.words) if options.words else WordModel()
    if options.result is None:
        if not options.texts:
            raise SecateurError("nothing to correct: give texts, or --result FILE")
        writer = BySound(model, SoundCosts(changed=options.changed))
        return {"corrected": [{"text": text, "corrected": writer.correct(text)} for text in options.texts]}
    return _result(options, options.result, model)


def _result(options: Options, path: Path, model: WordModel) -> dict[str, Any]:
    from ...evaluate.compare import compare_results
    from ...evaluate.result import read_result, write_result

    before, cost = read_result(path), options.changed
    tried: dict[float, float] = {}
    writer = BySound(model)
    rewrites = {c: _rewrite(writer.costing(SoundCosts(changed=c))) for c in {*GRID, cost}}
    if options.dev is not None:
        cost, tried = choose(read_result(options.dev), {c: rewrites[c] for c in GRID})
    after = corrected(before, rewrites[cost])
    after = replace(after, settings={**after.settings, "corrected": {"changed": cost, "words": str(options.words)}})
    if options.out is not None:
        write_result(options.out, after)
    d = compare_results(before, after).difference
    found: dict[str, Any] = {
        "before": before.rate, "after": after.rate, "changed": cost, "dev": {str(c): rate for c, rate in tried.items()},
        "difference": {"delta": d.delta, "low": d.low, "high": d.high, "better": d.b_better},
    }  # fmt: skip
    if before.sounds is not None and after.sounds is not None:
        found["pinyin"] = {"before": before.sounds.pinyin, "after": after.sounds.pinyin}
    return found


def _rewrite(writer: BySound) -> Rewrite:
    return lambda row: writer.correct(row.hypothesis, str(row.extras.get(HEARD, "")))


def show(result: dict[str, Any]) -> str:
    """A line a text; of a result file, both rates."""
    if "corrected" in result:
        return "\n".join(entry["corrected"] for entry in result["corrected"])
    d = result["difference"]
    return (
        f"{100 * result['before']:.2f} % became {100 * result['after']:.2f} % at {result['changed']:g} nats a change: "
        f"{100 * d['delta']:+.2f} points ({100 * d['low']:+.2f} to {100 * d['high']:+.2f})"
    )
