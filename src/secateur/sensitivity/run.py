"""The job: list the sites, screen them by successive halving on their loss, decode the remaining ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..base.device import pick_device
from ..base.engine import EngineName, RayEngine, run_here
from ..base.errors import SecateurError, check_known
from ..base.files import Json
from ..base.options import to_dict
from ..base.progress import say
from ..evaluate.error_rate import count_errors, metric_for
from ..models.family import Config, family_of
from ..prune.importance import CRITERIA
from ..prune.sensitivity_map import Measured, SensitivityMap, SensitivitySettings, matching, ordered, spans, write_map
from ..prune.units import COSTS
from ..text.normalise import normaliser
from .effects import candidates, differences, effects, resamples_for, speakers_of
from .probe import Probe, ProbeSpec, make_probe, read_clips
from .store import ERRORS, MeasurementStore, WorkItem, read_variants, same_settings, write_variants
from .variants import BASELINE, Variant, merging_config, of_branches, of_groups

Answer = tuple[list[list[float]], list[list[str]], float]  # losses and texts of each variant, and the seconds it took


KEEP_ONE_IN = 3  # one variant in so many goes on to twice as many clips
SCREEN_MARGIN = 2  # times as many variants as will be decoded need no further screen
Rows = dict[str, list[float]]  # of every variant, a number a clip
Stage = tuple[Rows, list[int]]  # losses of the remaining variants, and the clips they are on
LISTED_BY_PROBE = ("vocabulary", "audio_context", "text_context")  # kinds that a probe lists itself


def measure(probe: Probe, item: WorkItem) -> Answer:
    """Losses (and texts, on all clips) of the item's variants."""
    start = time.perf_counter()
    if item.part is None:
        losses, texts = probe.decoded(item.variants)
    else:
        losses, texts = probe.losses(item.variants, item.part), []
    return losses.tolist(), texts, time.perf_counter() - start


def make_measure(spec: ProbeSpec) -> Callable[[WorkItem], Answer]:
    """`measure` with a model of its own, for a worker on a cluster."""
    return partial(measure, make_probe(spec))


def run_map(
    spec: ProbeSpec, settings: SensitivitySettings, out: Path, engine: EngineName = "local", workers: int = 2
) -> SensitivityMap:
    """Measure, or resume a killed run, and write `map.json` to `out`.

    Raises:
        SecateurError: bad settings, a folder with another run, or clips and models that cannot be read.
    """
    _check(settings)
    same_settings(out, {"spec": to_dict(spec) | {"device": "", "threads": None}, "settings": to_dict(settings)})
    run = _Run(spec, settings, out, engine, workers)
    try:
        return run.all()
    finally:
        run.close()


def _check(settings: SensitivitySettings) -> None:
    check_known("criterion", settings.criterion, [n for n, c in CRITERIA.items() if "map" not in c.needs])
    if not settings.amounts:
        raise SecateurError("--amounts are shares between 0 and 1, such as 0.1,0.25,0.5")


class _Run:
    """One run: its store, its workers, and the model once it is needed."""

    def __init__(self, spec: ProbeSpec, settings: SensitivitySettings, out: Path, engine: str, workers: int) -> None:
        self.spec, self.settings, self.out, self.engine, self.count = spec, settings, out, engine, workers
        self.store = MeasurementStore(out)
        self.ray: RayEngine[WorkItem, Answer] | None = None
        self._probe: Probe | None = None
        self.utterances = read_clips(spec)  # before the model, which may have to be fetched
        path = out / "variants.json"
        if not path.exists():
            self._list(path)
        self.variants, self.listed = read_variants(path)
        self.spec = replace(spec, style=self.listed["style"])
        self.parts: list[list[int]] = self.listed["parts"]

    @property
    def probe(self) -> Probe:
        """The model on its clips, loaded when first needed."""
        if self._probe is None:
            self._probe = make_probe(self.spec)
        return self._probe

    def _list(self, path: Path) -> None:
        """Rank the units and write the list of variants to measure."""
        probe, start = self.probe, time.perf_counter()
        if not any(probe.lengths):
            raise SecateurError("no transcript can be spelled in the model's units: is it a model of their language?")
        groups = [g for g in probe.model.groups() if g.kind not in LISTED_BY_PROBE]
        evidence = probe.evidence(groups)
        scores = {g.name: CRITERIA[self.settings.criterion](g, evidence) for g in groups}
        variants = [*of_groups(groups, scores, self.settings.amounts), *of_branches(probe.model), *probe.inputs()]
        chosen = matching(variants, self.settings.sites)
        listed = {
            "groups": {g.name: g.units for g in probe.model.groups()},
            "style": getattr(probe, "style", "as-is"),
            "lengths": probe.lengths,
            "parts": probe.parts,
            "saved": {v.name: saved(probe, v) for v in chosen},
            "seconds": round(time.perf_counter() - start, 3),
        }
        write_variants(path, chosen, listed)

    def all(self) -> SensitivityMap:
        """Screen, decode, summarise."""
        say(f"{len(self.variants)} variants on {len(self.utterances)} clips")
        stages = self.screened()
        remaining = self.best(stages[-1], self.settings.decode)
        decoded: Rows = {}
        if remaining:
            rows, decoded = self.measured(None, remaining)
            stages.append((rows, list(range(len(self.utterances)))))
        result = self.summary(stages, decoded)
        write_map(self.out / "map.json", result)
        return result

    def screened(self) -> list[Stage]:
        """Losses on more and more clips, of fewer variants each time (successive halving, Jamieson and Talwalkar
        2016, arXiv 1502.07943), until not many more are left than will be decoded."""
        remaining = [v.name for v in self.variants]
        stages = [(self.measured(0, remaining)[0], self.parts[0])]
        for part in range(1, len(self.parts) - 1):
            if len(remaining) <= SCREEN_MARGIN * self.settings.decode:
                break
            remaining = self.best(stages[-1], max(len(remaining) // KEEP_ONE_IN, self.settings.decode))
            before, clips = stages[-1]
            rows = {name: [*before[name], *row] for name, row in self.measured(part, remaining)[0].items()}
            stages.append((rows, [*clips, *self.parts[part]]))
        return stages

    def best(self, stage: Stage, count: int) -> list[str]:
        """The variants of a stage to measure on more clips."""
        rows, clips = stage
        return candidates(rows, self.tokens(clips), count)

    def tokens(self, clips: Sequence[int]) -> list[int]:
        """Tokens in the transcripts of clips."""
        return [self.listed["lengths"][c] for c in clips]

    def measured(self, part: int | None, names: Sequence[str]) -> tuple[Rows, Rows]:
        """Losses of the baseline and of variants on a part of the clips, and errors if the part is None (all clips);
        only what is not in the store is measured."""
        by_name = {v.name: v for v in (BASELINE, *self.variants)}
        everyone = [BASELINE.name, *names]
        pending = self.store.pending(part, [by_name[n] for n in everyone], self.variants_per_item(part))
        label = "decoding" if part is None else f"screening {len(names)}"
        if pending and self.engine == "ray":
            self._probe = None  # the workers have their own
            gpu = self.spec.device != "cpu"
            self.ray = self.ray or RayEngine(partial(make_measure, self.spec), self.count, gpu, label)
            self.ray.run(pending, self.store_answer, label)
        elif pending:
            run_here(partial(measure, self.probe), pending, self.store_answer, label)
        losses, errors = self.store.values[WorkItem(part, ()).rows], self.store.values.get(ERRORS, {})
        return {n: losses[n] for n in everyone}, {n: errors[n] for n in everyone} if part is None else {}

    def variants_per_item(self, part: int | None) -> int:
        """Variants in a work item: enough to fill a GPU, few enough that a killed run loses little."""
        if pick_device(self.spec.device).type == "cpu":
            return 8 if part is not None else 16
        return 40 if part is None else max(40, 1600 // len(self.parts[part]))

    def store_answer(self, item: WorkItem, answer: Answer) -> None:
        """Store the answer of a worker; texts as their error counts."""
        losses, texts, seconds = answer
        values: Json = {item.rows: losses}
        if item.part is None:
            values[ERRORS] = [[self.errors(i, text)[0] for i, text in enumerate(row)] for row in texts]
        self.store.add(item, values, seconds)

    def errors(self, clip: int, text: str) -> tuple[int, int]:
        """Errors of a text of a clip, and the length of its reference."""
        u = self.utterances[clip]
        normalise = normaliser(u.language)
        counts = count_errors(normalise(u.text), normalise(text), metric_for(u.language))
        return counts.errors, counts.reference

    def summary(self, stages: Sequence[Stage], decoded: Rows) -> SensitivityMap:
        """The map: every variant by the last stage that it reached."""
        resamples = resamples_for(len(self.variants))
        groups, measured_names = [], set[str]()
        for rows, clips in reversed(stages):
            new_rows = {name: row for name, row in rows.items() if name == BASELINE.name or name not in measured_names}
            measured_names |= set(new_rows)
            speakers = speakers_of(self.utterances, clips)
            groups.append((differences(new_rows, self.tokens(clips), speakers, resamples), len(clips)))
        loss = effects(groups, resamples)
        error, rate, words = {}, float("nan"), [self.errors(i, "")[1] for i in range(len(self.utterances))]
        if decoded:
            rate = sum(decoded[BASELINE.name]) / max(sum(words), 1)
            speakers = [u.speaker for u in self.utterances]
            error_differences = differences(decoded, words, speakers, resamples)
            error = effects([(error_differences, len(words))], resamples, tried=len(self.variants))
        base, clips = stages[-1]
        language = self.utterances[0].language
        sites = [
            Measured(
                v.site, v.kind, v.layer, v.part, v.amount, {g: spans(u) for g, u in v.ablated.items()}, v.change,
                parameters=self.listed["saved"][v.name][0], macs=self.listed["saved"][v.name][1],
                loss=loss.get(v.name), error=error.get(v.name),
            )
            for v in self.variants
        ]  # fmt: skip
        return SensitivityMap(
            model=self.spec.model, data=", ".join(f"{Path(p).parent.name}/{Path(p).stem}" for p in self.spec.data),
            language=language, metric=metric_for(language), utterances=len(self.utterances),
            speakers=len({u.speaker for u in self.utterances}), error=rate,
            loss=sum(base[BASELINE.name]) / sum(self.tokens(clips)), criterion=self.settings.criterion,
            groups=self.listed["groups"], sites=ordered(sites),
            settings={**to_dict(self.settings), "screen": len(self.parts[0]), "style": self.listed["style"],
                      "resamples": resamples, "precision": self.spec.precision},
            seconds=round(self.store.seconds + self.listed["seconds"], 1),
        )  # fmt: skip

    def close(self) -> None:
        """Stop the workers."""
        if self.ray is not None:
            self.ray.close()


def saved(probe: Probe, variant: Variant) -> tuple[float, float]:
    """Shares of the model's parameters and multiply-accumulates that surgery would remove with a variant."""
    config = probe.model.config
    groups = {g.name: g for g in probe.model.groups()}
    seconds = sum(u.duration for u in probe.utterances) / len(probe.utterances)
    tokens = round(sum(probe.lengths) / len(probe.lengths))

    def costs(now: Config) -> tuple[float, float]:
        return COSTS["parameters"](now), float(family_of(now).macs(now, seconds, tokens, None))

    before, ablated, times = costs(config), dict(variant.ablated), 1
    if "merge_after" in variant.change:
        return 0.0, round(1 - costs(merging_config(config, variant.change))[1] / before[1], 6)
    for branch in variant.silenced:  # the saving of one unit times their number: costs are linear in them
        for name in (f"{branch}.heads", branch):
            if name in groups:
                ablated, times = {name: (0,)}, groups[name].units
                break
    if not ablated:
        return 0.0, 0.0
    removed = {name: set(units) for name, units in ablated.items()}
    keep = {name: [u for u in range(groups[name].units) if u not in units] for name, units in removed.items()}
    after = costs(config.shrunk(keep))
    return round(times * (1 - after[0] / before[0]), 6), round(times * (1 - after[1] / before[1]), 6)
