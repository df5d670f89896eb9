"""`secateur sensitivity`: what matters in a model, by removing one site at a time."""

from __future__ import annotations

from ..api.sensitivity import SensitivityJobSettings, sensitivity
from ..base.files import Json
from ..base.locale import translated
from ..base.options import to_dict
from .shown import shown_table

HELP = """Measure what matters in a model by removing one site at a time.

Sites are heads, FFN unit groups, dimensions, channels, layers, branches, input bins, sampling and frame rates, contexts
and vocabulary blocks. For each, the signed change of loss and error rate is measured, with an interval by speaker and a
correction for the number of comparisons. What lowers the error when removed comes first.

All sites are screened by loss on a few clips, of one speaker after the other; the most helpful third, with some of the
most harmful, on twice as many, and so on; what is left is measured on all clips and decoded. OUT has map.json,
table.md, heatmap.png, report.html; a killed run resumes there. Few clips show large effects only: for a map to prune
by, measure all sites on all clips (--screen 0).
`secateur prune --prune.criterion sensitivity --prune.map OUT/map.json` removes what helps first.
A Keras model (.keras) that puts features into classes is measured on .npz files with the arrays features, words (of the
classes) and classes or texts, speakers, owner (the recording of each row): see secateur.keras.sensitivity."""
EXAMPLE = """secateur sensitivity tiny.en --data mine/dev.jsonl --out runs/map
secateur sensitivity runs/mine/dense --data dev.jsonl --sites 'decoder*,head' --amounts 0.25,0.5 --out runs/map
secateur sensitivity base --data dev.jsonl --engine ray --workers 4 --out runs/map
secateur sensitivity digits.keras --data words.npz,strings.npz --criterion magnitude --out runs/map"""


Options = SensitivityJobSettings


def run(options: SensitivityJobSettings) -> Json:
    """Measure, and write the map, its table, heat map and page."""
    values: Json = to_dict(sensitivity(options))
    return {"out": str(options.out), **values}


def show(values: Json) -> str:
    """The headline, and the sites that matter most."""
    from ..base.options import from_dict
    from ..prune.sensitivity_map import SensitivityMap
    from ..sensitivity.page import headline, terminal_rows

    out = values.pop("out")
    sensitivity_map = from_dict(SensitivityMap, values)
    titles, rows = terminal_rows(sensitivity_map, 15)
    table = shown_table(titles, rows)
    return f"{translated(headline(sensitivity_map))}\n\n{table}\n\n{out}: map.json, table.md, heatmap.png, report.html"
