"""Pieces of the report's HTML: tables, word differences, the heat map of what was kept. Everything is escaped here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape, unescape
from importlib.resources import files

from ..base.locale import shown_language, translated
from ..base.version import __version__
from ..models.family import Table
from .compare import ClipChange
from .error_rate import Metric, align
from .table import percent, short

TAGS = {"zh": "zh-CN"}  # of languages whose catalogue is in one of several scripts
LONGEST = 60  # words (or characters) of one transcript that are shown


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A table that scrolls sideways on a narrow screen; the first column names the rows. Cells are HTML already."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows
    )
    return _scroll(
        f"<table><caption><span>{escape(caption)}</span></caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>",
        caption,
    )


def difference(reference: str, hypothesis: str, metric: Metric) -> str:
    """`hypothesis` with its errors marked: wrong words, missing ones struck through, extra ones with a plus.

    >>> difference("turn it on", "turn of on now", "wer")
    'turn <mark title="said: it">of</mark> on <ins title="not said">now</ins>'
    """
    parts = []
    pairs = align(reference, hypothesis, metric)
    for right, written in pairs[:LONGEST]:
        if written is None:
            parts.append(f'<del title="{translated("missing")}">{escape(right or "")}</del>')
        elif right is None:
            parts.append(f'<ins title="{translated("not said")}">{escape(written)}</ins>')
        elif right != written:
            parts.append(f'<mark title="{escape(translated(f"said: {right}"))}">{escape(written)}</mark>')
        else:
            parts.append(escape(written))
    if len(pairs) > LONGEST:  # a decoder that repeats itself
        parts.append(f"<small>{translated(f'… and {len(pairs) - LONGEST} more')}</small>")
    return ("" if metric == "cer" else " ").join(parts) or f"<del>{translated('(nothing)')}</del>"


def clip(change: ClipChange, names: tuple[str, str], metric: Metric) -> str:
    """One clip: the reference, and both systems' hypotheses with their errors marked."""
    lines = [("reference", escape(change.reference))]
    lines += [
        (f"{name}, {errors} {'error' if errors == 1 else 'errors'}", difference(change.reference, text, metric))
        for name, text, errors in zip(names, (change.a, change.b), (change.errors_a, change.errors_b), strict=True)
    ]
    body = "".join(f'<dt>{escape(term)}</dt><dd translate="no">{text}</dd>' for term, text in lines)
    speaker = f", speaker {escape(change.speaker)}" if change.speaker else ""
    return f'<div class="clip"><p class="id">{escape(change.id)}{speaker}</p><dl>{body}</dl></div>'


def kept(original: Table, pruned: Table) -> str:
    """What is left of every layer, as a table whose cells are coloured the stronger the more was kept.

    Both are tables of widths (`Family.layers`). When whole layers went, the remaining ones are compared with the
    original ones of the same new number.
    """
    layers = sorted((widths for row, widths in original.items() if row), key=len, reverse=True)
    columns = tuple(dict.fromkeys(column for widths in layers for column in widths))
    rows = []
    for row, now in pruned.items():
        if row:
            before = original.get(row, {})
            cells = [_cell(now[c], before[c]) if c in now and c in before else "<td></td>" for c in columns]
            rows.append((row, "".join(cells)))
    head = "".join(f'<th scope="col">{c}</th>' for c in ("layer", *columns))
    body = "\n".join(f'<tr><th scope="row">{name}</th>{cells}</tr>' for name, cells in rows)
    caption = "Kept of each layer: what is left of what was there; the stronger the colour, the more"
    heat = _scroll(
        f'<table class="heat"><caption><span>{caption}</span></caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>",
        caption,
    )
    before, after = original.get("", {}), pruned.get("", {})
    others = [
        [name, f"{was:,}", f"{after[name]:,}", percent(after[name] / was)]
        for name, was in before.items()
        if after.get(name, was) != was
    ]
    return heat + (table(("elsewhere", "before", "after", "kept"), others, "Outside the layers") if others else "")


def parameter_parts(original: dict[str, int], pruned: dict[str, int]) -> str:
    """Where the parameters are, before and after, from `count_parameters` of both."""

    def gathered(parts: dict[str, int]) -> dict[str, int]:
        sums: dict[str, int] = {}
        for name, count in parts.items():
            key = {"vocabulary": "token embedding", "total": "total"}.get(name, name.split(".")[0] + " layers")
            if "positions" in name:
                key = "positions"
            elif name.startswith("encoder.conv"):
                key = "convolutions"
            sums[key] = sums.get(key, 0) + count
        return sums

    before, after = gathered(original), gathered(pruned)
    order = sorted(before, key=lambda k: (k == "total", -before[k]))
    rows = [[k, short(before[k]), short(after.get(k, 0)), percent(after.get(k, 0) / before[k])] for k in order]
    return table(("part", "before", "after", "kept"), rows, "Where the parameters are")


def _cell(now: int, before: int) -> str:
    share = now / before if before else 0.0
    # An alpha over the page's own colour works in both themes; squared, so that small cuts show.
    return f'<td style="background:rgba(20,150,112,{0.03 + 0.5 * share**2:.2f})">{now}<small> of {before}</small></td>'


def _scroll(inner: str, label: str) -> str:
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{inner}</div>\n'


_PIECES = re.compile(
    r'(<(?:(?:pre|style)\b|(?:dd|span) translate="no").*?</(?:pre|style|dd|span)>|<[^<>]*>)', re.DOTALL
)  # tags, and what stays
_LABEL = re.compile(r'\b(title|aria-label)="([^"]*)"')


def in_language(html: str) -> str:
    """A page's texts in the user's language: those between its tags, and what a reader without a screen is given."""
    if shown_language() == "en":
        return html

    def plain(text: str) -> str:
        return escape(translated(unescape(text)))

    parts = _PIECES.split(html)
    shown = [
        _LABEL.sub(lambda m: f'{m[1]}="{plain(m[2])}"', part) if part.startswith("<") else plain(part) for part in parts
    ]
    return "".join(shown).replace('<html lang="en">', f'<html lang="{TAGS.get(shown_language(), shown_language())}">')


def page(title: str, sections: str) -> str:
    """A whole page around sections of HTML, in the report's style and the user's language."""
    note = f"Generated by secateur {__version__} from result files."
    body = f"<main>{sections}</main>\n<footer><p>{note}</p></footer>"
    text = files("secateur.evaluate").joinpath("report.html").read_text(encoding="utf-8")
    whole = text.replace("{{version}}", __version__).replace("{{title}}", escape(f"{title}: secateur report"))
    return in_language(whole.replace("{{body}}", body)).replace(" %", "\u00a0%")


def section(title: str, text: str, inner: str) -> str:
    """A titled section; `text` is a note under the title, `inner` is HTML."""
    anchor = "".join(c if c.isalnum() else "-" for c in title.lower())
    note = f"<p>{text}</p>" if text else ""
    return f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(title)}</h2>{note}{inner}</section>'
