"""The whole job: list the sites, screen them by loss on a few clips, confirm on all clips, decode what stands out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...base.errors import SecateurError, check_known
from ...base.options import to_dict
from ...base.progress import say
from ...evaluate.effects import candidates, differences, effects, resamples_for, speakers_of
from ...evaluate.error_rate import count_errors, metric_for
from ...models.family import family_of
from ...prune.importance import CRITERIA
from ...prune.sensitivity import Measured, SensitivityMap, matching, ordered, spans, write_map
from ...prune.units import COSTS
from ...text.normalise import normaliser
from ..engine import EngineName, RayEngine, run_here
from .measure import Answer, make_measure, measure
from .probe import Probe, ProbeSpec, make_probe, read_clips
from .store import Phase, Piece, Store, read_variants, same_settings, write_variants
from .variants import NOTHING, Variant, of_branches, of_groups

LEFT_OUT = ("vocabulary", "audio_context", "text_context")  # kinds that a probe lists itself


@dataclass(frozen=True)
class SensitivitySettings:
    """What is tried and how closely it is looked at."""

    amounts: tuple[float, ...] = (0.1, 0.25, 0.5)
    sites: str = ""
    criterion: str = "taylor"
    confirm: int = 96  # variants whose loss is measured on all clips after the screen
    decode: int = 40  # variants that are decoded


def run_map(
    spec: ProbeSpec, settings: SensitivitySettings, out: Path, engine: EngineName = "local",
    workers: int = 2,
) -> SensitivityMap:  # fmt: skip
    """Measure, or go on where a killed run stopped, and write `map.json` to `out`.

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
    check_known("criterion", settings.criterion, [n for n in CRITERIA if n != "sensitivity"])
    if not settings.amounts or not all(0 < a < 1 for a in settings.amounts):
        raise SecateurError("--amounts are shares between 0 and 1, such as 0.1,0.25,0.5")
    if settings.confirm < 1 or settings.decode < 0:
        raise SecateurError("--confirm must be at least 1, --decode at least 0")


class _Run:
    """One run: its store, its workers, and the model once it is needed."""

    def __init__(self, spec: ProbeSpec, settings: SensitivitySettings, out: Path, engine: str, workers: int) -> None:
        self.spec, self.settings, self.out, self.engine, self.count = spec, settings, out, engine, workers
        self.store = Store(out)
        self.ray: RayEngine[Piece, Answer] | None = None
        self._probe: Probe | None = None
        path = out / "variants.json"
        if not path.exists():
            self._list(path)
        self.variants, self.known = read_variants(path)
        self.spec = replace(spec, style=self.known["style"])
        self.utterances = read_clips(spec)
        self.parts: dict[str, list[int]] = self.known["parts"]

    @property
    def probe(self) -> Probe:
        """The model on its clips, loaded when first needed."""
        if self._probe is None:
            self._probe = make_probe(self.spec)
        return self._probe

    def _list(self, path: Path) -> None:
        """Rank the units and write down what will be measured."""
        probe, start = self.probe, time.perf_counter()
        groups = [g for g in probe.model.groups() if g.kind not in LEFT_OUT]
        evidence = probe.evidence(groups)
        scores = {g.name: CRITERIA[self.settings.criterion](g, evidence) for g in groups}
        variants = [*of_groups(groups, scores, self.settings.amounts), *of_branches(probe.model), *probe.inputs()]
        chosen = matching(variants, self.settings.sites)
        known = {
            "groups": {g.name: g.units for g in probe.model.groups()}, "style": getattr(probe, "style", "as-is"),
            "lengths": probe.lengths, "parts": {p: probe.clips(p) for p in ("screen", "rest")},
            "saved": {v.name: saved(probe, v) for v in chosen},
            "seconds": round(time.perf_counter() - start, 3),
        }  # fmt: skip
        write_variants(path, chosen, known)

    def all(self) -> SensitivityMap:
        """Screen, confirm, decode, summarise."""
        say(f"{len(self.variants)} variants on {len(self.utterances)} clips")
        by_name = {v.name: v for v in self.variants}
        screened = [NOTHING, *self.variants]
        self.measure("screen", screened)
        screen = self.rows("screen", screened)
        if self.parts["rest"]:
            names = candidates(screen, self.totals("screen"), self.settings.confirm)
            confirmed = [NOTHING, *(by_name[n] for n in names)]
            self.measure("rest", confirmed)
            rest = self.rows("rest", confirmed)
            both = {name: [*screen[name], *rest[name]] for name in rest}
        else:
            both = screen
        names = candidates(both, [*self.totals("screen"), *self.totals("rest")], self.settings.decode)
        decoded = [NOTHING, *(by_name[n] for n in names)] if self.settings.decode else []
        self.measure("decode", decoded)
        found = self.summary(screen, both, self.rows("decode", decoded))
        write_map(self.out / "map.json", found)
        return found

    def measure(self, phase: Phase, variants: Sequence[Variant]) -> None:
        """Do what is not done yet of one phase."""
        size = 40 if self.spec.device != "cpu" else 8
        pieces = self.store.pieces(phase, variants, size)
        if not pieces:
            return
        label = {"screen": "screening by loss", "rest": "loss on all clips", "decode": "decoding"}[phase]
        if self.engine == "ray":
            self._probe = None  # the workers have their own
            gpu = self.spec.device != "cpu"
            self.ray = self.ray or RayEngine(partial(make_measure, self.spec), self.count, gpu, label)
            self.ray.run(pieces, self.keep, label)
        else:
            run_here(partial(measure, self.probe), pieces, self.keep, label)

    def keep(self, piece: Piece, answer: Answer) -> None:
        """Store an answer; texts as their errors."""
        values, seconds = answer
        if piece.phase == "decode":
            values = [[self.errors(i, text)[0] for i, text in enumerate(texts)] for texts in values]
        self.store.add(piece, values, seconds)

    def errors(self, clip: int, text: str) -> tuple[int, int]:
        """Errors of a text of a clip, and the length of its reference."""
        u = self.utterances[clip]
        normalise = normaliser(u.language)
        counts = count_errors(normalise(u.text), normalise(text), metric_for(u.language))
        return counts.errors, counts.reference

    def rows(self, phase: str, variants: Sequence[Variant]) -> dict[str, list[float]]:
        """What is stored of `variants`."""
        return {v.name: self.store.values[phase][v.name] for v in variants}

    def totals(self, part: str) -> list[int]:
        """Tokens of the transcripts of a part."""
        return [self.known["lengths"][c] for c in self.parts[part]]

    def summary(
        self, screen: dict[str, list[float]], both: dict[str, list[float]], decoded: dict[str, list[float]]
    ) -> SensitivityMap:
        """The map."""
        clips, everything = self.parts["screen"], [*self.parts["screen"], *self.parts["rest"]]
        resamples = resamples_for(len(self.variants))
        totals = [self.known["lengths"][c] for c in everything]
        parts = [(differences(both, totals, speakers_of(self.utterances, everything), resamples), len(everything))]
        left = {name: row for name, row in screen.items() if name == NOTHING.name or name not in both}
        if len(left) > 1:
            few = differences(left, self.totals("screen"), speakers_of(self.utterances, clips), resamples)
            parts.append((few, len(clips)))
        loss = effects(parts, resamples)
        error, rate, words = {}, float("nan"), [self.errors(i, "")[1] for i in range(len(self.utterances))]
        if decoded:
            rate = sum(decoded[NOTHING.name]) / max(sum(words), 1)
            speakers = [u.speaker for u in self.utterances]
            error = effects([(differences(decoded, words, speakers, resamples), len(words))], resamples)
        language = self.utterances[0].language
        sites = [
            Measured(
                v.site, v.kind, v.layer, v.part, v.amount, {g: spans(u) for g, u in v.gone.items()}, v.change,
                parameters=self.known["saved"][v.name][0], macs=self.known["saved"][v.name][1],
                loss=loss.get(v.name), error=error.get(v.name),
            )
            for v in self.variants
        ]  # fmt: skip
        return SensitivityMap(
            model=self.spec.model, data=", ".join(f"{Path(p).parent.name}/{Path(p).stem}" for p in self.spec.data),
            language=language, metric=metric_for(language), utterances=len(self.utterances),
            speakers=len({u.speaker for u in self.utterances}), error=rate,
            loss=sum(both[NOTHING.name]) / sum(totals), criterion=self.settings.criterion,
            groups=self.known["groups"], sites=ordered(sites),
            settings={**to_dict(self.settings), "screen": len(clips), "style": self.known["style"],
                      "resamples": resamples, "precision": self.spec.precision},
            seconds=round(self.store.seconds + self.known["seconds"], 1),
        )  # fmt: skip

    def close(self) -> None:
        """End what was started."""
        if self.ray is not None:
            self.ray.close()


def saved(probe: Probe, variant: Variant) -> tuple[float, float]:
    """Shares of the model's parameters and multiply-accumulates that go with a variant, as surgery would have it."""
    config = probe.model.config
    groups = {g.name: g for g in probe.model.groups()}
    seconds = sum(u.duration for u in probe.utterances) / len(probe.utterances)
    tokens = round(sum(probe.lengths) / len(probe.lengths))

    def costs(now: Any) -> tuple[float, float]:
        return COSTS["parameters"](now), float(family_of(now).macs(now, seconds, tokens, None))

    before, gone, times = costs(config), dict(variant.gone), 1
    for branch in variant.silenced:  # what one unit saves, times all: costs are linear in them
        for name in (f"{branch}.heads", branch):
            if name in groups:
                gone, times = {name: (0,)}, groups[name].units
                break
    if not gone:
        return 0.0, 0.0
    lost = {name: set(units) for name, units in gone.items()}
    keep = {name: [u for u in range(groups[name].units) if u not in units] for name, units in lost.items()}
    after = costs(config.shrunk(keep))
    return round(times * (1 - after[0] / before[0]), 6), round(times * (1 - after[1] / before[1]), 6)
