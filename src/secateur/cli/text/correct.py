"""`secateur text correct`: correct Chinese that sounds right but is written wrong, in texts or in a result file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ...base.errors import SecateurError
from ...base.files import Json
from ...base.locale import translated
from ...base.options import Settings, option
from ...base.progress import say
from ...lm.tables import read_ngram
from ...text.by_sound import BySound, costs_of
from ...text.word_model import WordModel

HELP = """Correct Chinese that sounds right but is written wrong.

Words with the same or nearly the same pinyin replace unlikely ones, as a dictionary and the words of transcripts
suggest. With --result, a result file of `evaluate` or of a study's run is corrected and counted again. Where rows carry
alternatives (`evaluate --alternatives`), the best of them is taken first, by their log probabilities, the pinyin head
and the words; what a head recognised is weighed where rows carry it. How readily characters change, and all weights,
are chosen on --dev."""
EXAMPLE = """secateur text correct "我在银航工作" --words words.json
secateur text correct --words words.json --result test.json --dev dev.json --out corrected.json"""


@dataclass(frozen=True)
class Options(Settings):
    """What is corrected, by which words."""

    texts: tuple[str, ...] = option((), "Correct these texts, each in quotes.", positional=True)
    words: Path | None = option(None, "Correct towards the words of this file of `secateur text learn`.")
    result: Path | None = option(None, "Correct this result file of `secateur evaluate`, which has rows.")
    dev: Path | None = option(
        None, "Choose changed, head and all weights on this result of the same model on a dev set."
    )
    changed: float | None = option(
        None,
        "Let a changed character cost this much; less changes more (left out: what the word file was tuned to, "
        "else 8).",
        unit="nats",
        above=0,
    )
    head: float | None = option(
        None, "Weight what the pinyin head recognised by this (left out: the word file's, else 0.5).", least=0
    )
    careful: bool | None = option(
        None, "Leave words, names and single characters alone (left out: the word file's, else yes)."
    )
    lm: Path | None = option(
        None, "Ask this language model of Chinese words as well when correcting (a file of `secateur lm`)."
    )
    lm_share: float | None = option(
        None, "Take this share of a word's probability from lm (left out: the word file's, else 0.8).", unit="share",
        least=0, below=1, advanced=True,
    )  # fmt: skip
    use_alternatives: bool = option(True, "Take the best of each clip's alternatives first, with result.")
    protect: tuple[str, ...] = option((), "Never change these words, such as names, separated by commas.")
    store: bool = option(True, "Keep in the word file what was chosen on dev.")
    use_head: bool = option(True, "Use what the pinyin head recognised, with result.")
    out: Path | None = option(None, "Write the corrected result here.", writes=".json")


def run(options: Options) -> Json:
    """Correct texts, or a result file."""
    model = WordModel.read(options.words) if options.words else WordModel()
    model = replace(model, protected=(*model.protected, *options.protect))
    given: Json = {"head": options.head, "careful": options.careful, "lm": options.lm_share}
    costs = costs_of(model, options.changed)
    costs = replace(costs, **{name: value for name, value in given.items() if value is not None})
    writer = BySound(model, costs, lm=None if options.lm is None else read_ngram(options.lm))
    if options.result is None:
        if not options.texts:
            raise SecateurError("nothing to correct: give texts, or --result FILE")
        return {"corrected": [{"text": text, "corrected": writer.correct(text)} for text in options.texts]}
    from ...evaluate.alternatives import without_alternatives
    from ...evaluate.corrected import correction, without_head
    from ...evaluate.result import read_result, write_result

    before = read_result(options.result)
    dev = read_result(options.dev) if options.dev is not None else None
    if not options.use_head:
        before, dev = without_head(before), None if dev is None else without_head(dev)
    if not options.use_alternatives:
        before, dev = without_alternatives(before), None if dev is None else without_alternatives(dev)
    after, summary = correction(before, writer, dev)
    if dev is not None and options.words is not None and options.store:
        costs_chosen = {"changed": summary["changed"], "careful": float(summary["careful"])}
        costs_chosen |= {name: summary[name] for name in ("head", "lm") if summary[name] is not None}
        weights = model.rescoring if summary["rescored"] is None else summary["rescored"]["weights"]
        replace(model, costs=costs_chosen, rescoring=weights).write(options.words)
        say(f"{options.words}: correction will charge {summary['changed']:g} nats a character, chosen on {options.dev}")
    if options.out is not None:
        write_result(options.out, after)
    return summary


def show(result: Json) -> str:
    """A line a text; of a result file, both rates."""
    if "corrected" in result:
        return "\n".join(entry["corrected"] for entry in result["corrected"])
    from ...evaluate.corrected import weighed

    lines, d, best = list[str](), result["difference"], result["rescored"]
    if best is not None:
        rate, likeliest, e = 100 * best["rate"], 100 * best["likeliest"], best["difference"]
        lines.append(
            translated(
                f"the best of the alternatives: {rate:.2f} %, the likeliest {likeliest:.2f} %: "
                f"{100 * e['delta']:+.2f} points ({100 * e['low']:+.2f} to {100 * e['high']:+.2f})"
            )
        )
    lines.append(
        translated(
            f"{100 * result['before']:.2f} % became {100 * result['after']:.2f} % at {weighed(result)}: "
            f"{100 * d['delta']:+.2f} points ({100 * d['low']:+.2f} to {100 * d['high']:+.2f})"
        )
    )
    return "\n".join(lines)
