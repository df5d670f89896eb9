"""Writes the tables of results/, README.md and SECURITY.md between their markers, from committed result files.

tools/make_results.py [--check]
"""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from secateur.base.files import read_json, write_text
from secateur.evaluate.bootstrap import rate_interval
from secateur.evaluate.compare import compare
from secateur.evaluate.real_use_table import lines as real_use_lines
from secateur.evaluate.real_use_table import shown
from secateur.evaluate.result import Result, read_result
from secateur.evaluate.table import pipe_table, points
from secateur.prune.sensitivity_map import SensitivityMap, read_map
from secateur.sensitivity.page import markdown as sensitivity_table
from secateur.study.outcome import Outcome, study_outcome
from secateur.study.run_folder import read_log
from secateur.study.store import CLIPS
from secateur.study.table import markdown, robustness
from secateur.study.use import read_arms

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "examples" / "founding"), str(ROOT / "tools")]
import by_error_table  # noqa: E402
import keras_tables  # noqa: E402
import large_jobs_table  # noqa: E402
import large_tables  # noqa: E402
import lm_tables  # noqa: E402
import mandarin_tables  # noqa: E402
import packed  # noqa: E402
import provenance  # noqa: E402
import report as founding  # noqa: E402
import trust_tables  # noqa: E402

RUNS = ROOT / "experiments" / "main_job"
SETS = ("speechocean762", "librispeech-mini")
ARMS = ("original", "dense", "pruned30", "pruned52", "pruned60", "bundled-int8")


@cache
def seeds_of(arm: str, data: str) -> list[Result]:
    """The results of an arm on a test set, one a seed."""
    folders = sorted(packed.results(RUNS / "results").glob(f"{arm}-[0-9]")) or [packed.results(RUNS / "results") / arm]
    return [read_result(folder / "results" / f"{data}.json") for folder in folders]


def main_table(data: str) -> list[str]:
    """Mean and spread over seeds, pooled interval, and the paired difference with the dense control."""
    dense = seeds_of("dense", data)
    first = seeds_of("original", data)[0]
    lines = [
        "| arm | seeds | WER, mean ± sd | 95 % interval | parameters | removed | MACs a clip "
        "| against dense, points (95 %) | P(better) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for arm in ARMS:
        runs = seeds_of(arm, data)
        rates = [100 * r.rate for r in runs]
        spread = f" ± {statistics.stdev(rates):.2f}" if len(rates) > 1 else ""
        errors = [[row.counts.errors for row in r.rows] for r in runs]
        words = [row.counts.reference for row in runs[0].rows]
        low, high = rate_interval(errors, words, [row.speaker for row in runs[0].rows])
        paired, better = "", ""
        if arm != "dense":
            d = compare(dense, runs).difference
            paired, better = f"{100 * d.delta:+.2f} ({100 * d.low:+.2f} to {100 * d.high:+.2f})", f"{d.b_better:.3f}"
        assert runs[0].parameters and runs[0].macs and first.parameters
        lines.append(
            f"| {arm} | {len(runs)} | {statistics.mean(rates):.2f}{spread} | {100 * low:.1f} to {100 * high:.1f} "
            f"| {runs[0].parameters / 1e6:.1f} M | {100 * (1 - runs[0].parameters / first.parameters):.1f} % "
            f"| {runs[0].macs / 1e9:.2f} G | {paired} | {better} |"
        )
    r = runs[0]
    return [f"**{data} test**: {r.utterances} clips, {r.speakers} speakers, {r.words} words", "", *lines, ""]


def goals_table() -> list[str]:
    """The issue's goals and what came out: means over seeds, and the paired differences with the dense control."""

    def mean(arm: str, data: str) -> float:
        return 100 * statistics.mean(r.rate for r in seeds_of(arm, data))

    def versus(arm: str) -> str:
        parts = []
        for data in SETS:
            d = compare(seeds_of("dense", data), seeds_of(arm, data)).difference
            verdict = "worse" if d.low > 0 else "better" if d.high < 0 else "no difference shown"
            parts.append(f"{100 * d.delta:+.1f} ({verdict})")
        return " / ".join(parts)

    def both(arm: str) -> str:
        return " / ".join(f"{mean(arm, data):.1f}" for data in SETS)

    dense = [mean("dense", data) for data in SETS]
    met = " / ".join(
        "met" if found <= goal else f"missed by {found - goal:.1f}" for found, goal in zip(dense, (17, 9), strict=True)
    )
    return [
        "| goal | found | against it |",
        "|---|---|---|",
        f"| dense tuned at most 17 / 9 | {both('dense')} | {met} |",
        f"| at least 60 % removed: no worse than dense | {both('pruned60')} | {versus('pruned60')} |",
        f"| at least 30 % removed: better than dense | {both('pruned30')} | {versus('pruned30')} |",
        "",
    ]


def explored(number: int) -> list[str]:
    """One look's arms on dev: what the recipe was chosen from."""
    lines = [
        "| arm | dev | speechocean762 dev | librispeech-mini dev | removed | steps | s |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in sorted((packed.results(RUNS / "explore") / str(number)).glob("*/summary.json")):
        s: dict[str, Any] = read_json(path)
        e = s["error"]
        lines.append(
            f"| {path.parent.name.rsplit('-', 1)[0]} | {100 * e['dev']:.2f} | {100 * e['dev_so']:.2f} "
            f"| {100 * e['dev_ls']:.2f} "
            f"| {100 * s['removed']:.1f} % | {s['steps']} | {s['seconds']:.0f} |"
        )
    return [*lines, ""]


def runs_table() -> list[str]:
    """Every run of the final study: seed, dev and test errors, steps, time, device."""
    lines = [
        "| run | dev | speechocean762 | librispeech-mini | removed | steps | s | device |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted(packed.results(RUNS / "results").glob("*/summary.json")):
        s = read_json(path)
        e = s["error"]
        lines.append(
            f"| {path.parent.name} | {100 * e['dev']:.2f} | {100 * e['speechocean762']:.2f} "
            f"| {100 * e['librispeech-mini']:.2f} "
            f"| {100 * s['removed']:.1f} % | {s['steps']} | {s['seconds']:.0f} | {s['device']} |"
        )
    return [*lines, ""]


def speed_table(name: str) -> list[str]:
    """The runtime beside other recognisers, from a committed benchmark; the first model of each group is what others
    are compared to."""
    found = read_json(ROOT / "benchmarks" / "results" / f"{name}.json")
    values, programs = found["clips"], versions_line(found)
    head = ["clips", "threads", "model", "MB", "ms a clip", "processor ms", "RTFx", "WER", "peak MB",
            "its time over ours", "processor time over ours"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in values:
        error = "" if row["WER"] is None else row["WER"]
        lines.append(
            f"| {row['clips']}, {row['utterances']} of {row['seconds_per_clip']} s | {row['threads']} | {row['model']} "
            f"| {row['MB'] or ''} | {row['ms_per_clip']} | {row['cpu_ms_per_clip']} "
            f"| {1 / row['real_time_factor']:.1f} | {error} "
            f"| {row['peak_MB']} | {row['times_ours']} | {row['cpu_times_ours']} |"
        )
    return [*lines, "", *([programs, ""] if programs else [])]


def versions_line(found: dict[str, Any]) -> str:
    """The other programs' versions; "" where a file does not name them."""
    versions = found.get("how", {}).get("versions", {})
    named = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return f"Versions: {named}." if named else ""


def pareto_table() -> list[str]:
    """Error rates against time and size, a line a recogniser, the sets side by side.

    WER after Whisper's normaliser and after one of case and punctuation alone; clips with no more errors than the
    published model has as `transformers` runs it; RTFx, seconds of audio a second of one processor; core-hours of an
    hour of audio, 1 / RTFx.
    """
    values = read_json(ROOT / "benchmarks" / "results" / "pareto.json")
    how, rows = values["how"], values["clips"]
    labels = list(dict.fromkeys(row["clips"] for row in rows))
    whats = ("WER", "WER, plain", "no worse", "processor ms a clip", "RTFx", "core-hours an hour")
    head = ["recogniser", "MB", *(f"{label}: {what}" for label in labels for what in whats)]
    original = {row["clips"]: row["errors"] for row in rows if row["model"].startswith("transformers")}
    lines = []
    for name in dict.fromkeys(row["model"] for row in rows):
        of = {row["clips"]: row for row in rows if row["model"] == name}
        first = of[labels[0]]
        cells = []
        for row in (of[label] for label in labels):
            speed = 1000 * row["seconds_per_clip"] / row["cpu_ms_per_clip"]
            pairs = list(zip(row["errors"], original[row["clips"]], strict=True))
            no_worse = f"{100 * sum(own <= theirs for own, theirs in pairs) / len(pairs):.0f} %"
            cells += [str(row["WER"]), str(row["WER_plain"]), no_worse, str(row["cpu_ms_per_clip"]), f"{speed:.1f}"]
            cells.append(f"{1 / speed:.3f}")
        lines.append([name, "" if first["MB"] is None else str(first["MB"]), *cells])
    sizes = "; ".join(
        f"{label}: {how['sets'][label]} test, {row['utterances']} clips of {row['seconds_per_clip']} s"
        for label in labels for row in [next(row for row in rows if row["clips"] == label)]
    )  # fmt: skip
    return [*pipe_table(head, lines, numbers="---:"), "", f"{sizes}; one thread. {versions_line(values)}", ""]


STUDIES = ROOT / "experiments" / "study"


@cache
def outcome_of(name: str, against: str = "") -> Outcome:
    """What a study found, from its committed result files."""
    return study_outcome(STUDIES / f"{name}.toml", packed.results(STUDIES / "results" / name), against)


def study_tables(name: str, against: str = "") -> list[str]:
    """A study's arms against their controls (or all against one arm), and under disturbances where that was tested."""
    if not (packed.results(STUDIES / "results" / name) / CLIPS).exists():
        return ["Not run yet.", ""]
    outcome = outcome_of(name, against)
    titles, rows = robustness(outcome)
    return [*markdown(outcome), "", *([*pipe_table(titles, rows), ""] if titles and not against else [])]


def convergence_table(study: str, control: str, arm: str) -> list[str]:
    """By seed: when `control` and `arm` first reach the error on dev that `control` ends training with."""
    folder = packed.results(STUDIES / "results" / study)
    rows = []
    for path in sorted(folder.glob(f"{control}-*.json")):
        runs = [read_json(path), read_json(folder / path.name.replace(control, arm, 1))]
        goal, cells = runs[0]["log"][-1]["error"], []
        for run in runs:
            reached = next((one for one in run["log"] if one.get("error", 1.0) <= goal), None)
            share = reached["step"] / reached["total"] if reached else 0.0
            flops = f"{1e-15 * share * run['summary']['flops']:.2f}"
            cells += [str(reached["step"]), flops] if reached else ["not reached", ""]
        rows.append([path.stem.rpartition("-")[2], f"{100 * goal:.2f}", *cells])
    names = [f"{name}: {unit}" for name in (control, arm) for unit in ("step", "PFLOP")]
    return [*pipe_table(["seed", f"{control} ends at, dev %", *names], rows), ""]


def conditions_table(study: str, test: str = "librispeech-mini") -> list[str]:
    """Every arm of a study in every condition of real use, made of the clips of one test set: means over seeds."""
    arms = read_arms(packed.results(STUDIES / "results" / f"{study}_conditions"))[test]
    names = list(dict.fromkeys(name for seeds in arms.values() for one in seeds for name in one))
    rows = []
    for arm, seeds in sorted(arms.items()):
        lines = [line for one in seeds for line in real_use_lines(one)]
        cells = []
        for name in names:
            found = [line for line in lines if line.name == name]
            unit = found[0].unit if found else ""
            cells.append(shown(statistics.mean(line.value for line in found), unit) if found else "")
        loops = statistics.mean(line.loops for line in lines)
        rows.append([arm, str(len(seeds)), *cells, f"{100 * loops:.1f} %"])
    return [*pipe_table(["arm", "seeds", *names, "loops"], rows), ""]


def study_goals() -> list[str]:
    """For every study and share of weights pruned: the pruned arm that is best on dev, and how it does on test."""
    head = ["study", "control", "weights pruned", "goal", "best arm on dev", "seeds", "ratio", "points (95 %)"]
    head += ["P(better)", "retained set, points (95 %)"]
    rows = []
    for name, against in (("tiny_en", ""), ("tiny_en_held", ""), ("base", ""), ("base", "tiny-equal")):
        outcome = outcome_of(name, against)
        for least, goal in ((0.3, "at most 0.90"), (0.6, "at most 1.00")):
            pruned = [a for a in outcome.arms if a.removed_weights >= least - 0.005]
            arm = min(pruned, key=lambda a: a.dev)  # on dev alone
            first, other = (arm.sets[test].against for test in outcome.study.tests)
            assert first is not None and other is not None
            rows.append([
                name.replace("_", " "), arm.control, f"at least {100 * least:.0f} %", goal, arm.arm,
                str(len(arm.seeds)), f"{arm.ratio:.3f}",
                f"{points(first.delta)} ({points(first.low)} to {points(first.high)})", f"{first.b_better:.3f}",
                f"{points(other.delta)} ({points(other.low)} to {points(other.high)})",
            ])  # fmt: skip
    return [*pipe_table(head, rows), ""]


def corrected_table(study: str) -> list[str]:
    """Mandarin results before and after correction by sound; its strength (and the head's weight) chosen on dev."""
    head = ["run", "CER before, %", "after, %", "points (95 %)", "pinyin before, %", "after, %", "strength", "head"]
    rows = []
    for path in sorted(packed.results(STUDIES / "results" / f"{study}_corrected").glob("*.json")):
        values = read_json(path)
        d, pinyin = values["difference"], values["pinyin"]
        name = path.stem.replace("+head", ", asking its pinyin head").replace("+lm", ", asking its head and n-grams")
        rows.append([
            name, f"{100 * values['before']:.1f}", f"{100 * values['after']:.1f}",
            f"{points(d['delta'])} ({points(d['low'])} to {points(d['high'])})",
            f"{100 * pinyin['before']:.1f}", f"{100 * pinyin['after']:.1f}", f"{values['changed']:g}",
            "" if values.get("head") is None else f"{values['head']:g}",
        ])  # fmt: skip
    return [*pipe_table(head, rows), ""]


def larger_table() -> list[str]:
    """Base, pruned in several ways, beside the smaller model that was tuned for as many FLOPs."""
    outcome = outcome_of("base", "tiny-equal")
    domain, other = outcome.study.tests
    head = ["model", "seeds", "weights pruned", "parameters removed", f"{domain}, %", "against tiny.en (95 %)",
            f"{other}, %"]  # fmt: skip
    names = {
        "tiny-equal": "tiny.en, dense", "dense": "base, dense", "sparse-taylor-30": "base, 30 % zeros",
        "sparse-decoder-first": "base, 31 % zeros, most in the decoder's self-attention",
        "sparse-taylor-60": "base, 60 % zeros", "units-refit-15": "base, 15 % units",
        "units-refit-30": "base, 30 % units",
    }  # fmt: skip
    rows = []
    for name, label in names.items():
        arm = next(a for a in outcome.arms if a.arm == name)
        first, d = arm.sets[domain], arm.sets[domain].against
        rows.append([
            label, str(len(arm.seeds)), f"{100 * arm.removed_weights:.0f} %", f"{100 * arm.removed:.0f} %",
            f"{100 * first.rate:.1f}", "" if d is None else f"{points(d.delta)} ({points(d.low)} to {points(d.high)})",
            f"{100 * arm.sets[other].rate:.1f}",
        ])  # fmt: skip
    return [*pipe_table(head, rows), ""]


def two_gpus_table() -> list[str]:
    """Throughput of the same training on one GPU and on two, and the study's runs on two beside those on one."""
    folder = packed.results(ROOT / "experiments" / "two_gpus" / "results")
    lines = ["| run | GPUs | utterances a second, first validation to last but one | whole run | s | dev WER |"]
    lines += ["|---|---|---|---|---|---|"]
    speeds = {}
    for name in ("one640", "two640", "one", "two"):
        log = read_log(folder / f"{name}-metrics.jsonl")
        last, steady = log[-1], ""
        if len(log) > 2:  # without the start: kernels are chosen, memory is taken
            speeds[name] = large_tables.steady(log)
            steady = f"{speeds[name]:.0f}"
        lines.append(
            f"| {name} | {last['processes']} | {steady} | {last['utterances_per_second']:.0f} "
            f"| {last['seconds']:.1f} | {100 * last['error']:.1f} |"
        )
    lines += ["", f"Two GPUs over one: {speeds['two'] / speeds['one']:.2f} times.", ""]
    lines += ["| study on two GPUs, seed 0 | dev WER | on one GPU, each seed | masks of both ranks | weights of both |"]
    lines += ["|---|---|---|---|---|"]
    runs = outcome_of("base").runs
    for arm in ("dense", "sparse-taylor-30"):
        both = [read_json(folder / f"study-{arm}-rank{rank}.json") for rank in (0, 1)]
        equal = ["equal" if both[0][key] == both[1][key] else "DIFFER" for key in ("masks", "weights")]
        error = read_json(folder / f"study-{arm}-summary.json")["error"]["dev"]
        others = ", ".join(f"{100 * r.summary['error']['dev']:.1f}" for r in runs if r.arm == arm)
        lines.append(f"| {arm} | {100 * error:.1f} | {others} | {equal[0]} | {equal[1]} |")
    return [*lines, ""]


def sensitivity_maps() -> list[str]:
    """The first sites of every map, and of each kind of site the removal that helps most or costs least."""
    lines: list[str] = []
    for path in sorted((ROOT / "experiments" / "sensitivity" / "results").glob("*.json")):
        if path.stem.startswith("benchmark") or path.stem.endswith("_torch"):
            continue
        found = read_map(path)
        lines += [f"**{path.stem.replace('_', ' ')}**", "", *sensitivity_table(found, 12)]
        other = path.with_name(f"{path.stem}_torch.json")
        if other.exists():
            lines += [both_backends(found, read_map(other)), ""]
    return lines


def both_backends(first: SensitivityMap, second: SensitivityMap) -> str:
    """How far two maps of the same weights are apart."""
    others = {s.name: s for s in second.sites}
    pairs = [(s, others[s.name]) for s in first.sites if s.name in others]
    loss = max(abs(a.loss.delta - b.loss.delta) for a, b in pairs if a.loss and b.loss)
    error = max(abs(a.error.delta - b.error.delta) for a, b in pairs if a.error and b.error)
    backends = f"Keras on {first.settings['backend']} and on {second.settings['backend']}"
    return (
        f"{backends}, the same weights: {len(pairs)} sites differ by {loss:.1e} nats and {100 * error:.2f} points at "
        "the most."
    )


def sensitivity_cost() -> list[str]:
    """The map's cost a variant against the naive loop, from every benchmark file."""
    files = sorted((ROOT / "experiments" / "sensitivity" / "results").glob("benchmark-*.json"))
    files += sorted((ROOT / "benchmarks" / "results").glob("sensitivity*.json"))
    titles = [
        "device", "precision", "clips", "sites", "variants", "screened on", "decoded", "one evaluation, s",
        "a variant, s", "share of it", "share of its FLOPs", "largest difference, points", "nats",
        "whole map's best 10 and 20: decoded",
    ]  # fmt: skip
    rows = []
    for path in files:
        b = read_json(path)
        rows.append([
            str(b["device"]), b["precision"], str(b["clips"]), "all" if b["sites"] == "all" else "some",
            str(b["variants"]), str(b["screen"]), str(b["decoded"]), f"{b['full_evaluation_s']:.2f}",
            f"{b['s_a_variant']:.3f}", f"{100 * b['share_of_a_full_evaluation']:.1f} %",
            f"{100 * b['share_of_a_full_evaluation_flops']:.1f} %" if "share_of_a_full_evaluation_flops" in b else "",
            f"{b['largest_difference_points']:.2f} ({b['checked']} checked)", f"{b['largest_difference_nats']:.4f}",
            f"{b['best_10_kept']}, {b['best_20_kept']}" if "best_10_kept" in b else "",
        ])  # fmt: skip
    return [*pipe_table(titles, rows), ""] if rows else []


def allocation_table() -> list[str]:
    """Targets and what the pruned models take beside the dense one."""
    values = read_json(ROOT / "benchmarks" / "results" / "allocation.json")
    head = ["target", "shared out by", "vocabulary cut", "latency", "by the wall's clock", "size", "parameters", "MACs",
            "missed by", "plans measured", "loss"]  # fmt: skip
    rows = [
        [
            row["target"], row["way"], "no" if row["cut_before"].get("vocabulary") is False else "yes",
            *(f"{row[name]:.3f}" for name in ("latency", "wall", "size", "parameters", "macs")),
            f"{100 * row['missed_by']:+.1f} %", str(row["tries"] or 1), f"{row['loss']:.2f}",
        ]
        for row in values["rows"]
    ]  # fmt: skip
    said = f"Latency targets within 10 %: {values['latency_hits']} of {values['latency_targets']}."
    return [*pipe_table(head, rows), "", f"{said} Loss of the dense model: {values['dense_loss']:.2f}.", ""]


def assistant_table() -> list[str]:
    """Spoken orders accepted, free and in phrase mode, a row a condition."""
    rows = read_json(ROOT / "benchmarks" / "results" / "assistant.json")["rows"]
    names = {
        "clean": "clean", "others": "audio books taken for an order", "books": "audio books taken for an order",
        "everyday": "everyday sentences taken for an order", "everyday-dev": "the same, dev (threshold chosen here)",
    }  # fmt: skip
    lines = [
        "| model | condition | clips | recognised freely, % (95 %) | phrase mode, % (95 %) "
        "| CPU s a clip: free, then phrase |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        condition = names.get(row["condition"], f"kitchen, {row['condition']} dB")
        both = [
            f"{row[way]:.1f} ({row[way + '_low']:.1f} to {row[way + '_high']:.1f})" if way in row else ""
            for way in ("free", "phrase")
        ]
        lines.append(
            f"| {row['model']} | {condition} | {row['clips']} | {both[0]} | {both[1]} "
            f"| {row['free_cpu_s']}, {row.get('phrase_cpu_s', '')} |"
        )
    return [*lines, ""]


def beam_table() -> list[str]:
    """The bundled model greedily and with a beam of five."""
    head = ["set", "clips", "greedy, %", "beam of 5, %", "difference, points (95 %)", "processing time, times greedy's",
            "hours transcribed in an hour"]  # fmt: skip
    rows = []
    for row in read_json(ROOT / "experiments" / "bundled" / "beam.json")["rows"]:
        low, difference, high = (f"{100 * row[key]:+.1f}".replace("-", "−") for key in ("low", "delta", "high"))
        rows.append([
            row["set"], str(row["clips"]), f"{100 * row['greedy']:.1f}", f"{100 * row['beam']:.1f}",
            f"{difference} ({low} to {high})", f"{row['seconds_beam'] / row['seconds']:.1f}",
            f"{3600 * row['hours'] / row['seconds_beam']:.0f}",
        ])  # fmt: skip
    return [*pipe_table(head, rows), ""]


def orders_lines(chinese: bool = False) -> list[str]:
    """The bundled model's accepted orders in one sentence."""
    rows = read_json(ROOT / "benchmarks" / "results" / "assistant.json")["rows"]
    found = {row["condition"]: row["phrase"] for row in rows if row["model"] == "bundled"}
    clean, noisy = found["clean"], found["12"]
    if chinese:
        rates = f"安静时 {clean:.1f} %，12 dB 厨房噪声中 {noisy:.1f} %"
        where = "内置模型，短语模式，[结果](results/spoken_orders.md)"
        return [f"50 多位说话人口述的咖啡订单，意图和每个槽位全对：{rates}（{where}）。", ""]
    return [
        "Spoken coffee orders of more than 50 speakers, intent and every slot right: "
        f"{clean:.1f} % clean, {noisy:.1f} % with a kitchen at",
        "12 dB, by the bundled model in phrase mode ([results](results/spoken_orders.md)).",
        "",
    ]


def newcomer_table() -> list[str]:
    """Every line that a newcomer types, until the first own model works."""
    values = read_json(ROOT / "benchmarks" / "results" / "newcomer.json")
    names = {"repository": "REPOSITORY", "recordings": "RECORDINGS", "clip": "RECORDING"}
    numbers = ("minutes", "processor_minutes", "load_before")
    rows = [
        [row["what"], f"`{row['line'].format(**names)}`", *(f"{row[n]:.1f}" for n in numbers)] for row in values["rows"]
    ]
    total = [f"{sum(row[n] for row in values['rows']):.1f}" for n in numbers[:2]]
    table = [*rows, [f"**all, {len(rows)} lines**", "", *total, ""]]
    return [*pipe_table(["for", "typed", "minutes", "processor minutes", "load before"], table), ""]


def streams_table() -> list[str]:
    """Many streams at once."""
    values = read_json(ROOT / "benchmarks" / "results" / "streams.json")
    lines = [
        "| streams | audio s | lost | delay of a final text: median, 95 %, most, s "
        "| a word shown: median, 95 %, s | it stands: median, 95 %, s | partial texts a stream "
        "| CPU s a second of audio | memory MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in values["rows"]:
        lines.append(
            f"| {row['streams']} | {row['audio_s']} | {row['lost']} | {row['delay_median_s']}, {row['delay_95_s']}, "
            f"{row['delay_max_s']} | {row['shown_median_s']}, {row['shown_95_s']} "
            f"| {row['standing_median_s']}, {row['standing_95_s']} | {row['partials_a_stream']} "
            f"| {row['cpu_a_second_of_audio']} "
            f"| {row['memory_most_MB']} |"
        )
    return [*lines, "", f"Detector of speech: {values['detector']}.", ""]


def sparse_cpu_table() -> list[str]:
    """What zeros save on a CPU, by library, beside what a smaller matrix saves."""
    rows = read_json(ROOT / "benchmarks" / "results" / "sparse_cpu.json")["rows"]
    columns = sorted({(row["rows"], row["zeros"]) for row in rows}, key=lambda c: (-c[0], c[1]))
    head = ["time over dense in onnxruntime", *(f"{n} rows, {zeros:.0%}" for n, zeros in columns)]
    found = {(row["way"], row["rows"], row["zeros"]): f"{row['time']:.2f}" for row in rows}
    ways = list(dict.fromkeys(row["way"] for row in rows))
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return [*lines, *("| " + " | ".join([way, *(found[way, *c] for c in columns)]) + " |" for way in ways), ""]


def sparse_gpu_table() -> list[str]:
    """What 2:4 gives on a GPU's sparse tensor cores: the least and the most over a model's linear layers."""
    values = read_json(ROOT / "benchmarks" / "results" / "sparse_gpu.json")
    rows = values["rows"]
    counts = sorted({row["rows"] for row in rows})
    body = []
    for size in dict.fromkeys(row["size"] for row in rows):
        found = [[r["speedup"] for r in rows if r["size"] == size and r["rows"] == n] for n in counts]
        body.append([size, *(f"{min(f):.2f} to {max(f):.2f}" if f else "" for f in found)])
    head = [f"{values['device']}, {values['dtype']}", *(f"{n} rows" for n in counts)]
    return [*pipe_table(head, body), ""]


def ctc_stream_table() -> list[str]:
    """What chunks cost a CTC model, with states and without."""
    values = read_json(ROOT / "benchmarks" / "results" / "ctc_stream.json")
    head = ["network", "chunk, s", "decoded", "processor ms", "over the whole clip", "log probabilities off by"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in values["rows"]:
        lines.append(
            f"| {row['kind']} | {row['chunk_s']:.2f} | {row['way']} | {row['ms']:.0f} | {row['time']:.2f} "
            f"| {row['apart']:.0e} |"
        )
    return [*lines, ""]


def families_table(name: str) -> list[str]:
    """Size, work and time of other families' models before and after pruning, and how exact surgery is."""
    values = read_json(ROOT / "benchmarks" / "results" / f"{name}.json")
    head = ["model", "removed", "parameters", "MACs", "ms", "time", "masked against shrunk", "ONNX against torch"]
    rows = [
        [
            row["kind"], f"{100 * row['removed']:.0f} %", f"{row['parameters'] / 1e6:.1f} M",
            f"{row['macs'] / 1e9:.1f} G", f"{row['ms']:.0f}", f"{row['time']:.2f}",
            f"{row['shrunk_apart']:.1e}" if row["removed"] else "", f"{row['onnx_apart']:.1e}",
        ]
        for row in values["rows"]
    ]  # fmt: skip
    return [*pipe_table(head, rows), ""]


def manifests_table() -> list[str]:
    """What passing over a whole manifest takes: memory beside that of the same program on 100 lines."""
    values = read_json(ROOT / "benchmarks" / "results" / "manifests.json")
    start = {row["job"]: row["megabytes"] for row in values["rows"] if row["lines"] == 100}
    head = ["job", "lines", "manifest, MB", "peak memory, MB", "on 100 lines, MB", "bytes a line", "lines a CPU second"]
    rows = [
        [
            row["job"], f"{row['lines']:,}", f"{row['manifest_megabytes']:.0f}", f"{row['megabytes']:.0f}",
            f"{start[row['job']]:.0f}",
            f"{max(0.0, 1048576 * (row['megabytes'] - start[row['job']]) / row['lines']):.0f}",
            f"{row['lines'] / row['cpu_seconds']:,.0f}",
        ]
        for row in values["rows"] if row["lines"] != 100
    ]  # fmt: skip
    return [*pipe_table(head, rows), ""]


def fill(text: str, name: str, lines: list[str]) -> str:
    """Replace what stands between the markers of `name`."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, rest = text.split(start, 1)
    return before + start + "\n" + "\n".join(lines) + end + rest.split(end, 1)[1]


TABLES: dict[str, Callable[[], list[str]]] = {
    "main": lambda: [line for data in SETS for line in main_table(data)], "goals": goals_table, "runs": runs_table,
    "speed": lambda: speed_table("runtime"), "study-goals": study_goals,
    "int8": lambda: speed_table("runtime_int8"), "ctc-lm": lm_tables.lm_tables, "ctc-beam": lm_tables.beam_table,
    "study-base-tiny": lambda: study_tables("base", "tiny-equal"),
    "convergence-headline": lambda: convergence_table("headline", "base-dense", "base-merge"),
    "study-headline-dense": lambda: study_tables("headline", "base-dense"),
    "study-base_zh-corrected": lambda: corrected_table("base_zh"),
    "study-mandarin-corrected": lambda: corrected_table("mandarin"),
    "study-mandarin_soup-corrected": lambda: corrected_table("mandarin_soup"),
    "study-mandarin_warp-corrected": lambda: corrected_table("mandarin_warp"),
    "pareto": pareto_table, "by-error": by_error_table.by_error_table,
    "by-error-controls": by_error_table.controls_table,
    "two-gpus": two_gpus_table, "sensitivity": sensitivity_maps, "sensitivity-cost": sensitivity_cost,
    "founding": lambda: founding.tables(packed.results(founding.RESULTS)), "allocation": allocation_table,
    "manifests": manifests_table,
    "newcomer": newcomer_table,
    "beam": beam_table,
    "assistant": assistant_table, "streams": streams_table, "hf-ctc": lambda: families_table("hf_ctc"),
    "moonshine": lambda: families_table("moonshine"), "ctc-stream": ctc_stream_table, "sparse-cpu": sparse_cpu_table,
    "sparse-gpu": sparse_gpu_table, "faults": trust_tables.faults_table, "inputs": trust_tables.inputs_table,
    "large-jobs": large_jobs_table.table,
    **large_tables.TABLES, **mandarin_tables.TABLES, "abuse": trust_tables.abuse_table, "larger": larger_table,
    "limits": trust_tables.limits_table,
    "conformance": trust_tables.conformance_table, "attacks": trust_tables.attacks_table,
    "abandoned": trust_tables.abandoned_table,
    "keras-models": keras_tables.models_table, "keras-exports": keras_tables.exports_table,
    "founding-run": keras_tables.founding_table, "orders": orders_lines,
    "orders-zh": lambda: orders_lines(chinese=True),
    "conditions": lambda: conditions_table("real_use"),
    "conditions-soup": lambda: conditions_table("soup"),
    "conditions-pauses": lambda: conditions_table("pauses"),
    "conditions-pauses-accented": lambda: conditions_table("pauses", "speechocean762"),
}  # fmt: skip
MARKER = re.compile(r"^<!-- ([a-zA-Z0-9_-]+) -->$", re.MULTILINE)


def table_of(name: str) -> list[str]:
    """The lines between the markers of `name`: `study-X` is the study X, `exploreN` the N-th look at the recipe."""
    if name in TABLES:
        return TABLES[name]()
    if name.startswith("explore"):
        return explored(int(name.removeprefix("explore")))
    return study_tables(name.removeprefix("study-"))


def pages() -> dict[Path, str]:
    """All pages as they should be: every page says with its markers which tables it has."""
    made: dict[Path, str] = {}
    front = [ROOT / name for name in ("README.md", "README.zh.md", "SECURITY.md")]
    for path in [*front, *sorted((ROOT / "results").glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        for name in MARKER.findall(text):
            text = fill(text, name, [*table_of(name), *(provenance.below(name) if path not in front else [])])
        made[path] = text
    return made


def main() -> int:
    """Rewrite the pages; with --check only say whether they are up to date."""
    stale = {path: text for path, text in pages().items() if path.read_text(encoding="utf-8") != text}
    if "--check" in sys.argv:
        return int(bool(stale))
    for path, text in stale.items():
        write_text(path, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
