"""What matters in a Keras model: the signed change of loss and word errors when a site is removed."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import SecateurError, check_known, several
from ..base.extras import require
from ..base.progress import track
from ..evaluate.error_rate import count_errors
from ..prune.importance import CRITERIA
from ..prune.sensitivity_map import Measured, SensitivityMap, SensitivitySettings, matching, ordered, spans, write_map
from ..sensitivity.effects import BASELINE, differences, effects, resamples_for
from .data import SampleBatches
from .evidence import check_finite, evidence_of
from .inputs import check_model
from .masks import apply, masks_of
from .recordings import Floats, Recordings, chosen_sets
from .sites import Site, group_sites, input_sites, kernel_macs
from .structure import Structure, structure_of

if TYPE_CHECKING:
    from keras import Model

AMOUNTS = SensitivitySettings().amounts


def sensitivity(
    model: Model,
    *sets: Recordings,
    words: Sequence[str],
    amounts: Sequence[float] = AMOUNTS,
    criterion: str = "magnitude",
    sites: str = "",
    blocks: Mapping[str, Sequence[int]] | None = None,
    out: str | Path | None = None,
    data: str = "",
    language: str = "en",
    batch_size: int = 512,
    seed: int = 0,
) -> SensitivityMap:
    """The map of a model that puts every row into a class; the model itself stays as it is.

    Args:
        model: built; of sequential or functional layers that `prune` can follow.
        sets: one with classes, one with texts, or one with both. Never the test set: choices follow from the map.
        words: the word of each class; "" for none (noise).
        amounts: shares of each group to remove; the whole group, a layer or branch, is tried always.
        criterion: which units of a group go first, see `prune`; where no set has classes by magnitude, with a warning.
        sites: only those that match these patterns, separated by commas: names, kinds or layers.
        blocks: of features of the input (its last axis), by name, besides each one alone: `{"deltas": range(13, 26)}`.
            What is silenced becomes its mean over the rows.
        out: a folder for `map.json`, `table.md`, `heatmap.png` and `report.html`.
        data: the clips' name in the map.
        language: of the texts.
        batch_size: rows at a time.
        seed: of random scores.

    Raises:
        SecateurError: no set, sizes that do not fit, or a layer that no rule can follow.
    """
    started = time.perf_counter()
    check_model(model)
    if batch_size < 1:
        raise SecateurError(f"batch_size must be at least 1, found {batch_size}")
    check_known("criterion", criterion, [n for n, c in CRITERIA.items() if "map" not in c.needs])
    if not all(0 < a < 1 for a in amounts):
        raise SecateurError("amounts are shares between 0 and 1, such as (0.1, 0.25, 0.5)")
    labelled, transcribed = chosen_sets(model, sets, several("words", words))
    structure = structure_of(model)
    given = None if labelled is None else SampleBatches((labelled.features, labelled.classes), model, batch_size)
    if given is None and CRITERIA[criterion].needs:
        warnings.warn(f"no set has classes, which '{criterion}' needs: units are ranked by magnitude", stacklevel=2)
        criterion = "magnitude"
    scored = model if given is None else _with_loss(model, given)
    evidence = evidence_of(scored, structure, structure.groups, criterion, given, seed)
    scores = {g.name: CRITERIA[criterion](g, evidence) for g in structure.groups}
    check_finite(criterion, scores)
    width = int((labelled or transcribed).features.shape[-1])  # type: ignore[union-attr]
    chosen = matching([*group_sites(model, structure, scores, amounts), *input_sites(width, blocks)], sites)
    measure = _Measure(model, structure, labelled, transcribed, words, batch_size)
    losses, errors = {BASELINE: measure.losses()}, {BASELINE: measure.errors()}
    for site in track(chosen, "removing one site at a time"):
        with measure.without(site):
            losses[site.name], errors[site.name] = measure.losses(), measure.errors()
    settings = {
        "amounts": list(amounts),
        "criterion": criterion,
        "backend": require("keras", "keras").backend.backend(),
    }
    result = replace(
        _summary(model, structure, measure, chosen, losses, errors), data=data or "given", language=language,
        criterion=criterion, settings=settings, seconds=round(time.perf_counter() - started, 1),
    )  # fmt: skip
    if out is not None:
        write_all(result, Path(out))
    return result


def _with_loss(model: Model, data: SampleBatches) -> Any:
    """The same layers, compiled with the cross entropy of the classes, whatever the model itself was compiled with."""
    keras = require("keras", "keras")
    if not getattr(model, "inputs", None):  # subclassed: it can be no other model's part
        return model
    scored = keras.Model(model.input, model.output)
    outputs = np.asarray(keras.ops.convert_to_numpy(model(data.first().x, training=False)))
    logits = not _likelihoods(outputs)
    scored.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=logits))
    return scored


def _likelihoods(outputs: Any) -> bool:
    """Whether every row is probabilities, and not logits."""
    return bool((outputs >= 0).all() and np.allclose(outputs.sum(1), 1, atol=1e-3))


def write_all(chosen: SensitivityMap, out: Path) -> None:
    """The map as JSON, its table, picture and page, as `secateur sensitivity` writes them."""
    from ..base.files import write_text
    from ..sensitivity.page import heat_png, markdown, write_page

    write_map(out / "map.json", chosen)
    write_text(out / "table.md", "\n".join(markdown(chosen, len(chosen.sites))) + "\n")
    heat_png(chosen, out / "heatmap.png")
    write_page(chosen, out / "report.html")


class _Measure:
    """The model on its sets, with a site removed inside `without`."""

    def __init__(
        self, model: Model, structure: Structure, labelled: Recordings | None, transcribed: Recordings | None,
        words: Sequence[str], batch: int,
    ) -> None:  # fmt: skip
        self.model, self.structure, self.labelled, self.transcribed = model, structure, labelled, transcribed
        self.words, self.batch = list(words), batch
        self.variables = {name: use.variable for name, use in structure.channels.uses.items()}
        self.silenced: tuple[int, ...] = ()

    def without(self, site: Site) -> _Without:
        """The model without a site, until the block ends."""
        return _Without(self, site)

    def losses(self) -> list[float]:
        """Summed negative log-likelihood of every recording's rows."""
        if self.labelled is None or self.labelled.classes is None:
            return []
        outputs = self._outputs(self.labelled).astype(np.float64)
        if not _likelihoods(outputs):
            outputs = np.exp(outputs - outputs.max(1, keepdims=True))
            outputs /= outputs.sum(1, keepdims=True)
        chance = outputs[np.arange(len(outputs)), self.labelled.classes]
        sums = np.zeros(self.labelled.count())
        np.add.at(sums, self.labelled.owners, -np.log(np.maximum(chance, 1e-7)))
        return list(map(float, sums))

    def errors(self) -> list[int]:
        """Word errors of every recording."""
        if self.transcribed is None or self.transcribed.texts is None:
            return []
        decoded: list[list[str]] = [[] for _ in self.transcribed.texts]
        for owner, one in zip(self.transcribed.owners, self._outputs(self.transcribed).argmax(1), strict=True):
            decoded[owner].append(self.words[one])
        return [
            count_errors(text, " ".join(filter(None, words))).errors
            for text, words in zip(self.transcribed.texts, decoded, strict=True)
        ]

    def _outputs(self, part: Recordings) -> Floats:
        x = part.features
        if self.silenced:
            x = x.copy()
            removed = list(self.silenced)
            x[..., removed] = part.features[..., removed].mean(tuple(range(x.ndim - 1)))
        # `predict` would build an input pipeline for every site, which takes longer than a small network does.
        to_tensor = require("keras", "keras").ops.convert_to_tensor
        parts = [self.model.predict_on_batch(to_tensor(x[i : i + self.batch])) for i in range(0, len(x), self.batch)]
        return np.concatenate(parts)


class _Without:
    """Masks and puts back."""

    def __init__(self, measure: _Measure, site: Site) -> None:
        self.measure, self.site = measure, site
        self.raw: dict[str, Any] = {}

    def __enter__(self) -> None:
        measure, keras = self.measure, require("keras", "keras")
        measure.silenced = self.site.silenced
        units = {g.name: g.units for g in measure.structure.groups}
        keep = {name: sorted(set(range(units[name])) - set(removed)) for name, removed in self.site.removed.items()}
        masks = masks_of(measure.structure, keep)
        self.raw = {name: keras.ops.convert_to_numpy(measure.variables[name]).copy() for name in masks}
        apply(
            measure.variables,
            {n: keras.ops.convert_to_tensor(mask, measure.variables[n].dtype) for n, mask in masks.items()},
        )

    def __exit__(self, *_: object) -> None:
        for name, value in self.raw.items():
            self.measure.variables[name].assign(value)
        self.measure.silenced = ()


def _summary(
    model: Model, structure: Structure, measure: _Measure, sites: Sequence[Site],
    losses: Mapping[str, Sequence[float]], errors: Mapping[str, Sequence[int]],
) -> SensitivityMap:  # fmt: skip
    """The map, as far as it comes from the measurements."""
    resamples = resamples_for(len(sites))
    loss, error, mean, rate = {}, {}, float("nan"), float("nan")
    labelled, transcribed = measure.labelled, measure.transcribed
    if labelled is not None:
        rows = np.bincount(labelled.owners, minlength=labelled.count()).astype(float).tolist()
        loss = effects([(differences(losses, rows, labelled.named(), resamples), labelled.count())], resamples)
        mean = sum(losses[BASELINE]) / len(labelled.features)
    if transcribed is not None and transcribed.texts is not None:
        words = [float(count_errors(text, "").reference) for text in transcribed.texts]
        error = effects([(differences(errors, words, transcribed.named(), resamples), transcribed.count())], resamples)
        rate = sum(errors[BASELINE]) / max(sum(words), 1.0)
    whole = structure.parameters(), kernel_macs(model, structure)

    def saved(site: Site) -> tuple[float, float]:
        left = structure.shrunk(
            {name: sorted(set(range(len(structure.units[name]))) - set(units)) for name, units in site.removed.items()}
        )
        return 1 - left.parameters() / whole[0], 1 - kernel_macs(model, left) / whole[1]

    measured = []
    for s in sites:
        change = {"inputs": float(len(s.silenced))} if s.silenced else {}
        parameters, macs = saved(s)
        measured.append(
            Measured(
                s.site, s.kind, s.layer, s.part, s.amount, {g: spans(u) for g, u in s.removed.items()}, change,
                round(parameters, 6), round(macs, 6), loss.get(s.name), error.get(s.name),
            )
        )  # fmt: skip
    main = transcribed or labelled
    assert main is not None
    return SensitivityMap(
        model=model.name, data="", language="", metric="wer", utterances=main.count(),
        speakers=len(set(main.named())), error=rate, loss=mean, criterion="",
        groups={g.name: g.units for g in structure.groups}, sites=ordered(measured),
    )  # fmt: skip
