"""`secateur evaluate`: the error rate of a model on a manifest, with an interval, a breakdown and a result file."""

from __future__ import annotations

from ..api import real_use
from ..api.evaluate import EvaluateSettings, evaluate
from ..base.files import Json
from ..base.locale import translated
from ..base.options import to_dict
from ..evaluate.bootstrap import too_few
from ..evaluate.breakdown import by_extra, by_length, by_speaker, extra_names
from ..evaluate.error_rate import confusions
from ..evaluate.real_use_table import lines
from ..evaluate.real_use_table import table as table_of_lines
from ..evaluate.result import Result
from ..evaluate.table import headings, percent, table, unit
from ..text.normalise import SCHEMES, explained
from .shown import shown_table

HELP = "Word (or character) error rate of a model on a manifest, with a 95 % interval by resampling speakers."
EXAMPLE = """secateur evaluate tiny.en ../shared/data/speechocean762/test.jsonl --limit 100 --out tiny.json
secateur evaluate runs/kiosk/exported/pruned test.jsonl --by gender
secateur evaluate runs/kiosk/exported/pruned test.jsonl --conditions all --limit 100 --out real-use/
secateur evaluate runs/ctc test.jsonl --lm general.npz,mine.npz --tune-on dev.jsonl
secateur evaluate runs/zh/dense test.jsonl --correct words.json --tune-on dev.jsonl
secateur evaluate runs/zh/dense test.jsonl --alternatives 16 --correct words.json --tune-on dev.jsonl"""


Options = EvaluateSettings


def run(options: EvaluateSettings) -> Json:
    """Evaluate, write the result file, and return its summary."""
    if options.conditions:
        measured = lines(real_use.measure(options))
        return {"model": options.model, "conditions": table_of_lines(measured), "lines": to_dict(measured)}
    result: Result = evaluate(options)
    slices = _slices(result, options.by) if options.by else None
    values = result.summary()
    values["confusions"] = [
        {"reference": left, "hypothesis": right, "times": times}
        for (left, right), times in confusions([(r.reference, r.hypothesis) for r in result.rows], result.metric, 8)
    ]
    if slices is not None:
        values["by"] = slices
    values["extras"] = extra_names(result.rows)
    return values


def show(values: Json) -> str:
    """The summary for a terminal."""
    if "conditions" in values:
        return shown_table(*values["conditions"])
    extras, confused, slices = values.pop("extras"), values.pop("confusions"), values.pop("by", None)
    result = Result.of_summary(values, "result")
    titles, rows = table([(result.model, result)])
    lines = [
        shown_table(titles, rows),
        "",
        translated(
            f"{result.words} {translated(unit(result))} in {result.utterances} clips of {result.speakers} speakers, "
            f"{result.seconds_audio / 60:.1f} min: {result.substitutions} substituted, {result.deletions} deleted, "
            f"{result.insertions} inserted; computed in {result.seconds_compute:.1f} s"
        ),
    ]
    if result.languages:
        lines += ["", *_languages(result)]
    if result.normalise:
        names = [one.language for one in result.languages] or [result.language]
        scheme = result.normalise if result.normalise in SCHEMES else None
        lines += [translated(f"normalised: {explained(name, scheme)}") for name in names]
    if result.without_reference:
        lines.append(
            translated(
                f"{result.without_reference} clips without a reference word: what was recognised there counts as "
                "inserted"
            )
        )
    few = too_few(result.rate, result.interval, result.speakers or result.utterances)
    if few:
        lines.append(translated(few))
    if "corrected" in result.settings:
        from ..evaluate.corrected import weighed

        how = result.settings["corrected"]
        lines.append(translated(f"corrected by sound, {weighed(how)}: {percent(how['before'])} before"))
    if result.sounds is not None:
        s = result.sounds
        lines.append(
            translated(
                f"pinyin error rate {_spread(s.pinyin, s.pinyin_interval)}; without tones "
                f"{_spread(s.toneless, s.toneless_interval)}; tone error rate {_spread(s.tone, s.tone_interval)}"
            )
        )
    if confused:
        none = translated("(nothing)")
        shown = (f"{c['reference'] or none} → {c['hypothesis'] or none} ×{c['times']}" for c in confused)
        lines.append(translated("most frequent:") + " " + ", ".join(shown))
    if slices:
        names = ["group", headings(result.metric)[1], unit(result), "clips", "speakers"]
        cells = [[s["name"], percent(s["rate"]), str(s["words"]), str(s["clips"]), str(s["speakers"])] for s in slices]
        lines += ["", shown_table(names, cells)]
    elif extras:
        lines.append(translated("break down with --by:") + " " + ", ".join(["speaker", "length", *extras]))
    return "\n".join(lines)


def _languages(result: Result) -> list[str]:
    """Each language in its own metric, and their mean: a sum over words and characters weighs them by their length."""
    rows = [
        [one.language, one.metric.upper(), percent(one.rate),
         f"{100 * one.interval[0]:.1f} to {100 * one.interval[1]:.1f}",
         str(one.words), str(one.utterances), str(one.speakers)]
        for one in result.languages
    ]  # fmt: skip
    titles = ["language", "metric", "rate", "95 % interval", "words or characters", "clips", "speakers"]
    mean = f"mean of the {len(rows)} languages {percent(result.mean_of_languages)}"
    above = f"the {result.metric.upper()} above is over all {translated(unit(result))} together"
    return [shown_table(titles, rows), translated(f"{mean}; {above}")]


def _spread(rate: float, interval: tuple[float, ...]) -> str:
    """A rate with its interval.

    >>> _spread(0.123, (0.1, 0.15))
    '12.3 % (10.0 to 15.0)'
    """
    return f"{percent(rate)} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def _slices(result: Result, by: str) -> list[Json]:
    named = {"speaker": by_speaker, "length": by_length}
    slices = named[by](result.rows) if by in named else by_extra(result.rows, by)
    return [
        {
            "name": s.name,
            "rate": s.counts.rate,
            "words": s.counts.reference,
            "clips": s.utterances,
            "speakers": s.speakers,
        }
        for s in slices
    ]
