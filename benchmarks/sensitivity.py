"""A sensitivity map beside the naive loop (mask, decode the whole set, unmask): cost a variant, and the same numbers.

benchmarks/sensitivity.py [--model tiny.en] [--data ../shared/data] [--limit 100] [--sites ''] [--device cuda]
    [--screen 8] [--decode 20] [--check 12] [--precision fp32] [--flops] [--map FOLDER] [--full MAP] [--out FILE]

All sites of the map are measured by `secateur sensitivity`'s own code. The naive loop evaluates `--check` of the
decoded variants, spread from the most helpful to the most harmful, and the model as it is, each with the decoding that
training and studies use; one of those evaluations, the median, is what a variant of the map is compared with. On a CPU
the process's own time counts, which other programs on the machine do not add to.

`--full` names a map of the same model and clips for which all sites were measured on all clips (`--screen 0`): how many
of the sites that it finds most helpful did the halving keep to the end?
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from recorded import how
from torch.utils.flop_counter import FlopCounterMode

from secateur.base.device import device_name
from secateur.base.files import write_json
from secateur.base.progress import say
from secateur.evaluate.error_rate import count_errors, metric_for
from secateur.evaluate.scoring import batch_seconds
from secateur.prune.sensitivity_map import SensitivityMap, SensitivitySettings, read_map
from secateur.prune.shrink import mask
from secateur.prune.task import task_of
from secateur.sensitivity.gates import ends
from secateur.sensitivity.probe import ProbeSpec, make_probe
from secateur.sensitivity.run import run_map
from secateur.sensitivity.store import read_variants
from secateur.sensitivity.variants import BASELINE, Variant
from secateur.text.normalise import normaliser


def main() -> None:
    """Measure both and write the comparison."""
    parser = argparse.ArgumentParser()
    root = Path(__file__).resolve().parent
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--data", type=Path, default=root.parent.parent / "shared" / "data")
    parser.add_argument("--sets", default="speechocean762/dev.jsonl,librispeech-mini/dev.jsonl")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--sites", default="")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--screen", type=int, default=8)
    parser.add_argument("--decode", type=int, default=20)
    parser.add_argument("--check", type=int, default=12)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--flops", action="store_true", help="count FLOPs, too: everything once more, untimed")
    parser.add_argument("--map", type=Path, help="keep the map in this folder; a run that is there is not timed again")
    parser.add_argument("--full", type=Path, help="a map that measured all sites on all clips")
    parser.add_argument("--out", type=Path, default=root / "results" / "sensitivity.json")
    a = parser.parse_args()
    spec = ProbeSpec(
        a.model, tuple(str(a.data / s) for s in a.sets.split(",")), a.limit, a.screen, a.device, a.precision
    )
    settings = SensitivitySettings(sites=a.sites, decode=a.decode)
    clock = time.process_time if a.device == "cpu" else time.perf_counter
    with tempfile.TemporaryDirectory() as scratch:
        folder = a.map or Path(scratch)
        started = clock()
        found = run_map(spec, settings, folder)
        with_loading = clock() - started
        variants, known = read_variants(folder / "variants.json")
    by_name = {v.name: v for v in variants}
    decoded = [s for s in found.sites if s.error is not None and not s.change and "vocabulary" not in s.ablated]
    step = max(1, (len(decoded) - 1) // max(a.check - 1, 1))
    checked = decoded[::step][: a.check]
    measuring = with_loading if a.device == "cpu" else found.seconds
    say(f"map: {len(variants)} variants in {measuring:.1f} s of measuring, {with_loading:.1f} s in all")
    naive = Naive(replace(spec, style=known["style"]), a.precision == "bf16", clock)
    naive.evaluate(BASELINE)  # warms the device up
    errors, loss, base_seconds = naive.evaluate(BASELINE)
    times, worst_error, worst_loss = [base_seconds], 0.0, 0.0
    for site in checked:
        now, now_loss, seconds = naive.evaluate(by_name[site.name])
        times.append(seconds)
        assert site.error is not None and site.loss is not None
        worst_error = max(worst_error, abs((now - errors) / naive.words - site.error.delta))
        worst_loss = max(worst_loss, abs((now_loss - loss) / sum(naive.probe.lengths) - site.loss.delta))
        naively = 100 * (now - errors) / naive.words
        say(f"{site.name}: {naively:+.2f} and {100 * site.error.delta:+.2f} points, {seconds:.2f} s")
    flops: dict[str, float] = {}
    if a.flops:
        with tempfile.TemporaryDirectory() as scratch, FlopCounterMode(display=False) as counter:
            run_map(spec, settings, Path(scratch))
        of_map = counter.get_total_flops() / len(variants)
        of_naive = []
        for site in checked:
            with FlopCounterMode(display=False) as counter:
                naive.evaluate(by_name[site.name], losses=False)
            of_naive.append(counter.get_total_flops())
        flops = {
            "gflops_a_variant": round(of_map / 1e9, 2),
            "full_evaluation_gflops": round(statistics.median(of_naive) / 1e9, 2),
            "share_of_a_full_evaluation_flops": round(of_map / statistics.median(of_naive), 4),
        }
    full = statistics.median(times)
    each = measuring / len(variants)
    write_json(a.out, {
        "how": how(), "model": a.model, "clips": found.utterances, "sites": a.sites or "all", "variants": len(variants),
        "decoded": sum(s.error is not None for s in found.sites), "screen": a.screen or found.utterances,
        "device": device_name(naive.probe.device), "torch": torch.__version__,
        "precision": a.precision, "full_evaluation_s": round(full, 3), "map_s": round(measuring, 1),
        "map_with_loading_s": round(with_loading, 1), "s_a_variant": round(each, 4),
        "share_of_a_full_evaluation": round(each / full, 4), "naive_loop_would_take_s": round(full * len(variants), 1),
        "checked": len(checked), "largest_difference_points": round(100 * worst_error, 3),
        "largest_difference_nats": round(worst_loss, 5), "clock": clock.__name__,
        **flops, **({} if a.full is None else kept(found, read_map(a.full))),
    })  # fmt: skip
    print(a.out.read_text())


def kept(found: SensitivityMap, full: SensitivityMap) -> dict[str, int]:
    """How many of the sites that the whole map finds most helpful by loss, or certain, were decoded."""
    decoded = {s.name for s in found.sites if s.error is not None}
    tried = {s.name for s in found.sites}
    whole = [(s.loss, s.name) for s in full.sites if s.loss is not None and s.name in tried]
    ranked = [name for _, name in sorted(whole, key=lambda pair: pair[0].delta)]
    certain = [name for loss, name in whole if loss.certain and loss.delta < 0]
    return {
        "best_10_kept": len(decoded & set(ranked[:10])),
        "best_20_kept": len(decoded & set(ranked[:20])),
        "certain": len(certain),
        "certain_kept": len(decoded & set(certain)),
    }


class Naive:
    """The loop that everybody writes first: zero the weights, evaluate everything, put the weights back."""

    def __init__(self, spec: ProbeSpec, bf16: bool, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.probe = make_probe(spec)
        self.bf16 = bf16
        self.model, self.bank = self.probe.model, self.probe.bank
        self.raw = {name: value.clone() for name, value in self.model.state_dict().items()}
        language = self.probe.utterances[0].language
        self.normalise, self.metric = normaliser(language), metric_for(language)
        self.words = sum(count_errors(self.normalise(u.text), "", self.metric).reference for u in self.probe.utterances)

    def evaluate(self, variant: Variant, losses: bool = True) -> tuple[int, float, float]:
        """Errors, summed loss (if wanted), and the seconds that masking and decoding took."""
        start = self.clock()
        groups = {g.name: g for g in self.model.groups()}
        keep = {n: [u for u in range(groups[n].units) if u not in units] for n, units in variant.ablated.items()}
        if keep:
            mask(self.model, keep)
        for module in variant.silenced:
            for end in ends(self.model, module):
                for parameter in self.model.get_submodule(end).parameters():
                    parameter.data.zero_()
        device = self.probe.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            texts = self._texts(device)
        errors = sum(
            count_errors(self.normalise(u.text), self.normalise(text), self.metric).errors
            for u, text in zip(self.probe.utterances, texts, strict=True)
        )
        seconds = self.clock() - start
        getattr(self.probe, "_prefixes").clear()  # noqa: B009
        parts = range(len(self.probe.parts) if losses else 0)
        loss = sum(float(self.probe.losses([BASELINE], part).sum()) for part in parts)
        self.model.load_state_dict(self.raw)
        return errors, loss, seconds

    def _texts(self, device: torch.device) -> list[str]:
        languages = [u.language for u in self.probe.utterances]
        if self.model.config.family != "whisper":
            return task_of(self.model.config).transcribe(
                self.model, self.probe.text, self.bank, languages, batch_seconds(device)
            )
        from secateur.families.seq2seq.greedy import transcribe_bank

        return transcribe_bank(self.model, self.probe.text, self.bank, languages, batch_seconds(device), bf16=self.bf16)


if __name__ == "__main__":
    main()
