"""One self-contained HTML page that proves a run: before and after, how sure, where, what was cut, what changed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from html import escape

from ..base.errors import SecateurError
from ..base.locale import translated
from ..evaluate import markup, plots, real_use_table
from ..evaluate.bootstrap import too_few_to_compare
from ..evaluate.breakdown import by_extra, by_length, extra_names
from ..evaluate.compare import Comparison, compare_results
from ..evaluate.error_rate import confusions
from ..evaluate.markup import page, section
from ..evaluate.real_use import Results
from ..evaluate.result import Result
from ..evaluate.table import by_data, percent, points, ratio, real_time, short, table, unit
from ..models.family import Config, family_of
from ..sensitivity.page import sensitivity_section
from .made import is_control, made_line
from .run_folder import ReportInputs

CLIPS = 8  # examples of each kind


def render(inputs: ReportInputs) -> str:
    """The page. Needs matplotlib for its plots, and nothing from the network to be read.

    Raises:
        SecateurError: no results, or matplotlib is missing.
    """
    if not inputs.results:
        raise SecateurError("a report needs at least one result")
    # What most models were measured on is what the page is about.
    groups = dict(sorted(by_data(inputs.results).items(), key=lambda item: -len(item[1])))
    main = next(iter(groups.values()))
    pairs = {data: comparisons(group) for data, group in groups.items()}
    final = next(iter(pairs.values()))
    whole = next((p for p in final if (p.a, p.b) == (main[0][0], main[-1][0])), None)
    last = main[-1][0]
    leading = [p for p in final if p.b == last and is_control(p.a)][:1]  # the fair comparison comes first
    leading += [whole] if whole is not None and whole not in leading else []
    colours = plots.palette([*(name for name, _ in main), *(name for name, _ in inputs.results), *inputs.curves])
    sections = [
        _header(inputs.title, main, leading, made_line(inputs.made, inputs.curves)),
        *(_table_section(data, group, pairs[data], colours) for data, group in groups.items()),
        _use_section(inputs.use),
        _where_section(main, whole, colours),
        _cut_section(inputs.configs),
        *(sensitivity_section(sensitivity_map) for sensitivity_map in inputs.maps),
        _curves_section(inputs.curves, colours),
        _clips_section(whole) if whole else "",
        _settings_section(inputs.results),
    ]
    return page(inputs.title, "\n".join(s for s in sections if s))


def comparisons(group: Sequence[tuple[str, Result]]) -> list[Comparison]:
    """Every pair of results on one data set of the same clips, the earlier one as A."""
    pairs = []
    for (name_a, a), (name_b, b) in itertools.combinations(group, 2):
        alike = a.metric == b.metric and (a.normalise == b.normalise or "" in (a.normalise, b.normalise))
        if a.rows and b.rows and alike and {r.id for r in a.rows} == {r.id for r in b.rows}:
            pairs.append(compare_results(a, b, (name_a, name_b)))
    return pairs


def _lead(pair: Comparison) -> str:
    d = pair.difference
    verdict = "the interval excludes zero" if d.certain else "the interval includes zero: not proven on these clips"
    if not d.delta:
        change = "makes exactly as many errors as"
    elif not d.a:
        change = "makes errors, unlike"
    else:
        change = f"makes {abs(100 * d.delta / d.a):.0f} % {'fewer' if d.delta < 0 else 'more'} errors than"
    against = "the unpruned control " if is_control(pair.a) else ""
    few = too_few_to_compare(d)
    return (
        f'<p class="lead"><b>{escape(pair.b)}</b> {change} {against}<b>{escape(pair.a)}</b>: '
        f"{points(d.delta)} points, 95 % interval {points(d.low)} to {points(d.high)} ({verdict}). "
        f"{pair.speakers_better} of {len(pair.speakers)} speakers improve, {pair.speakers_worse} get worse."
        f"{f' {few.capitalize()}.' if few else ''}</p>"
    )


def _header(title: str, main: Sequence[tuple[str, Result]], pairs: Sequence[Comparison], made: str) -> str:
    a, b = main[0][1], main[-1][1]
    metric, one = a.metric.upper(), len(main) == 1
    facts = f"{b.data}, {b.language}: {b.utterances} clips of {b.speakers} speakers, {b.seconds_audio / 3600:.2f} h"
    cards = [(metric, percent(b.rate), f"95 %: {100 * b.interval[0]:.1f} to {100 * b.interval[1]:.1f}")]
    if not one:
        cards[0] = (f"{metric}, was {percent(a.rate)}", *cards[0][1:])
    for label, now, was, mark in (
        ("parameters", b.parameters, a.parameters, ""),
        ("MACs a clip", b.macs, a.macs, ""),
        ("file", b.bytes, a.bytes, "B"),
    ):
        if now is not None:
            share = ratio(now, was).replace(" ", "\u00a0")
            share = "" if share.endswith("\u00a01.0") else share
            before = f"was {short(was, mark)}" + (f" ({share})" if share else "")
            cards.append((label, short(now, mark), "" if one else before))
    cards.append(("real-time factor", real_time(b.rtf), "seconds of computing a second of audio"))
    lead = "".join(map(_lead, pairs))
    how = f"<p>{escape(made)}</p>" if made else ""
    blocks = "".join(
        f'<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd><dd class="note">{escape(note)}</dd></div>'
        for label, value, note in cards
    )
    top = f"<h1>{escape(title)}</h1><p>{escape(facts)}</p>{lead}{how}"
    return f'<header>{top}</header>\n<dl class="cards">{blocks}</dl>'


def _table_section(
    data: str, group: list[tuple[str, Result]], pairs: Sequence[Comparison], colours: Mapping[str, str]
) -> str:
    titles, rows = table(group)
    one = group[0][1]
    text = f"{one.utterances} clips, {one.speakers} speakers, {one.words} {unit(one)}."
    parts = [markup.table(titles, [[escape(c) for c in row] for row in rows], f"Error rate and cost on {data}")]
    if len(group) > 1:
        parts.append(f"<figure>{plots.rates(group, colours)}</figure>")
    if pairs:
        cells = []
        for p in pairs:
            d = p.difference
            tone = "better" if d.high < 0 else "worse" if d.low > 0 else ""
            cells.append([
                f"{escape(p.b)} against {escape(p.a)}", f'<span class="{tone}">{points(d.delta)}</span>',
                f"{points(d.low)} to {points(d.high)}", f"{100 * d.b_better:.1f} %",
                f"{p.speakers_better} / {p.speakers_worse}", f"{len(p.corrected)} / {len(p.broken)}",
            ])  # fmt: skip
        names = ["pair", f"Δ{one.metric.upper()}, points", "95 % interval", "P(better)", "speakers +/−", "clips +/−"]
        caption = "Paired bootstrap on the same clips; +/−: how many got better and worse"
        parts.append("<h3>Pair by pair</h3>" + markup.table(names, cells, caption))
    return section(f"On {data}", text, "".join(parts))


def _cells(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Rows of a table of text for HTML, with the sign for minus that the rest of the page has."""
    return [[escape(name), *(escape(cell).replace("-", "\u2212") for cell in rest)] for name, *rest in rows]


def _use_section(use: Sequence[tuple[str, Results]]) -> str:
    """Every model under conditions of real use, and the last against the first."""
    if not use:
        return ""
    parts = []
    for name, results in use:
        titles, rows = real_use_table.table(real_use_table.lines(results))
        cells = _cells(rows)
        parts.append(f"<h3>{escape(name)}</h3>" + markup.table(titles, cells, f"{name} in real use"))
    if len(use) > 1:
        (first, a), (last, b) = use[0], use[-1]
        compared = real_use_table.changes(a, b)
        titles, rows = real_use_table.change_table(compared)
        caption = f"{last} (B) against {first} (A), on the same recordings"
        cells = _cells(rows)
        shares = [(one.name, one) for one in compared if one.unit != "s"]
        drawn = f"<figure>{plots.forest(shares, first)}</figure>" if shares else ""
        parts.append(f"<h3>Before and after</h3>{drawn}" + markup.table(titles, cells, caption))
    text = (
        "Pauses, joined recordings, prompts and sound in which nobody speaks, decoded as the command transcribe does."
    )
    return section("In real use", text, "".join(parts))


def _where_section(main: Sequence[tuple[str, Result]], whole: Comparison | None, colours: Mapping[str, str]) -> str:
    shown = [(name, r) for name, r in main if r.rows]
    if not shown:
        return ""
    if len(shown) > 3:  # first, last, and the best between
        shown = [shown[0], min(shown[1:-1], key=lambda item: item[1].rate), shown[-1]]
    metric = shown[0][1].metric
    parts = []
    if whole is not None and len(whole.speakers) > 1:
        parts.append(_plot("By speaker", plots.speakers(whole, colours)))
    lengths = [(name, by_length(r.rows)) for name, r in shown]
    if len(lengths[0][1]) > 1:
        parts.append(_plot("By clip length", plots.groups(lengths, "length", metric, colours)))
    for extra in extra_names(shown[0][1].rows, most=8):
        slices = [(name, by_extra(r.rows, extra)) for name, r in shown]
        parts.append(_plot(f"By {extra}", plots.groups(slices, extra, metric, colours)))
    parts = [f'<div class="plots">{"".join(parts)}</div>'] if parts else []
    name, last = shown[-1]
    rows = [
        [*(f'<span translate="no">{escape(text or translated("(nothing)"))}</span>' for text in pair), str(times)]
        for pair, times in confusions([(r.reference, r.hypothesis) for r in last.rows], metric, 12)
    ]
    if rows:
        parts.append(
            f"<details><summary>Most frequent errors of {escape(name)}</summary>"
            + markup.table(["reference", "hypothesis", "times"], rows, f"Errors of {name}")
            + "</details>"
        )
    return section("Where the errors are", "", "".join(parts)) if parts else ""


def _cut_section(configs: tuple[Config, Config] | None) -> str:
    if configs is None:
        return ""
    original, pruned = configs
    family = family_of(original)
    was, now = family.parameters(original), family.parameters(pruned)
    text = f"{short(was)} parameters became {short(now)}: {percent(now / was)} are kept."
    inner = "" if family.layers is None else markup.kept(family.layers(original), family.layers(pruned))
    by_part = family.parameters_by_part
    inner += "" if by_part is None else markup.parameter_parts(by_part(original), by_part(pruned))
    return section("What was cut", text, inner)


def _curves_section(logs: Mapping[str, Sequence[Mapping[str, object]]], colours: Mapping[str, str]) -> str:
    drawn = plots.curves(logs, colours)
    return section("Training", "", f"<figure>{drawn}</figure>") if drawn else ""


def _clips_section(comparison: Comparison) -> str:
    names, parts = (comparison.a, comparison.b), []
    for title, changes in (("Corrected", comparison.corrected), ("Broken", comparison.broken)):
        if changes:
            shown = "".join(markup.clip(change, names, comparison.metric) for change in changes[:CLIPS])
            parts.append(f"<h3>{title}: {len(changes)} clips</h3>{shown}")
    key = (
        "The clips that changed most. <mark>wrong word</mark> <del>missing word</del> <ins>extra word</ins>; "
        "texts are normalised as they were compared."
    )
    return section("Transcripts before and after", key, "".join(parts)) if parts else ""


def _settings_section(results: Sequence[tuple[str, Result]]) -> str:
    values = {f"{name} on {r.data}": {"model": r.model, **r.settings} for name, r in results}
    text = escape(json.dumps(values, indent=1, ensure_ascii=False))
    inner = f"<details><summary>Settings of every evaluation</summary><pre>{text}</pre></details>"
    text = (
        "Intervals: 95 %, bootstrap over speakers; differences: the same resamples for both systems. MACs: "
        "multiply-accumulates for the mean clip. RTF: computing time over audio time on the machine of each evaluation."
    )
    return section("How it was measured", text, inner)


def _plot(title: str, drawn: str) -> str:
    return f"<div><h3>{escape(title)}</h3><figure>{drawn}</figure></div>"
