"""`secateur adapt`: the main job, from recordings to a pruned, proved and exported recogniser."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..base.errors import SecateurError
from ..base.files import write_text
from ..base.options import option
from ..base.progress import say
from ..prune.settings import PruneSettings
from ..text.normalise import NORMALISE_HELP, Scheme
from ..train.settings import TrainSettings

if TYPE_CHECKING:
    from ..data.manifest import Utterance

HELP = """Make a recogniser right for your speakers, small and fast: tune, prune, prove, export, report.

Compares the original, an unpruned model tuned for the same steps, and the pruned one, on test speakers that neither
heard. Without --dev and --test they are split off --learn by speaker. A killed job resumes."""
EXAMPLE = """secateur adapt --learn mine/train.jsonl --out runs/mine
secateur adapt --learn mine/train.jsonl --retain librispeech/train.jsonl --out runs/mine --prune.remove 0.52
secateur adapt --demo --out runs/demo"""


@dataclass(frozen=True)
class Options:
    """The job."""

    out: Path = option(help="run folder: checkpoints, logs, results, report.html")
    model: str = option("tiny.en", help="a name, folder or file (see models fetch)")
    learn: tuple[Path, ...] = option((), help="manifests to learn from (JSONL)")
    dev: tuple[Path, ...] = option((), help="manifests to choose on")
    test: tuple[Path, ...] = option((), help="manifests to report on")
    retain: tuple[Path, ...] = option((), help="manifests of what must not be forgotten: heard as well")
    demo: bool = option(False, help="a few minutes on real speech that is found or downloaded (see README)")
    noise: tuple[Path, ...] = option((), help="recordings of noise to mix into training clips (see train.augment)")
    nonspeech: tuple[Path, ...] = option(
        (), help="manifests of recordings without speech (empty text) to train silence on, beside generated ones"
    )
    longest: float = option(21.0, help="seconds: longer clips are left out of training")
    precision: Literal["fp32", "fp16", "int8"] = option("int8", help="of the exported model")
    dense_control: bool = option(True, help="also tune an unpruned model for the same steps, to compare with")
    rate_factor: float = option(
        2.0, help="the pruned model's learning rate over the dense one's: it has more to recover"
    )
    normalise: Scheme | None = option(None, help=NORMALISE_HELP)
    device: str = option("auto", help="cpu, cuda or auto")
    train: TrainSettings = TrainSettings()
    prune: PruneSettings = PruneSettings()


def run(options: Options) -> dict[str, Any]:
    """Run the job and write the page."""
    from ..study.adapt import AdaptSettings, adapt
    from ..study.report import render
    from ..study.run_folder import collect
    from ..study.sets_of_job import read_job, read_nonspeech
    from ..weights.fetch import load_model

    if options.demo:
        from ..study.demo import demo_data, demo_settings

        data, settings = demo_data(), demo_settings()
    else:
        if not options.learn:
            raise SecateurError("--learn is missing: name a manifest (secateur data prepare makes one), or use --demo")
        data = read_job(
            options.learn, options.dev, options.test, options.retain, options.noise, options.longest, options.device
        )
        data.nonspeech = read_nonspeech(options.nonspeech, data.device)
        settings = AdaptSettings(
            train=options.train, prune=options.prune, precision=options.precision,
            dense_control=options.dense_control, rate_factor=options.rate_factor,
        )  # fmt: skip
    model, tokenizer = load_model(options.model)
    data.normalise = options.normalise
    summary = adapt(model, tokenizer, data, options.out, settings)
    page = options.out / "report.html"
    write_text(page, render(replace(collect(options.out), title=f"{options.model} adapted")))
    first = data.tests["test"][0]
    heard = hear(options.out / "exported" / "pruned", first)
    say(f"the exported model hears {first.audio.name} without torch: {heard!r}")
    say(f"  what was said: {first.text!r}")
    return {**summary, "report": str(page), "exported": str(options.out / "exported" / "pruned")}


def hear(model: Path, clip: Utterance) -> str:
    """Transcribe a clip in a fresh process in which torch cannot be imported: what a base install does."""
    import json
    import subprocess
    import sys

    from ..data.manifest import to_line

    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from secateur.data.manifest import parse_line\n"
        "from secateur.runtime.recogniser import Recogniser\n"
        "print(Recogniser.load(sys.argv[1]).transcribe(parse_line(sys.argv[2], Path('/'), 'clip')).text)"
    )
    line = json.dumps(to_line(clip, Path("/")))
    done = subprocess.run([sys.executable, "-c", code, str(model), line], capture_output=True, text=True)
    if done.returncode:
        raise SecateurError(f"the exported model could not be run: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip()


def show(result: dict[str, Any]) -> str:
    """The before/after table and what it says against the controls."""
    from ..evaluate.table import text_table

    metric = result["metric"].upper()
    rows = []
    for name, r in result["models"].items():
        rows.append([
            name, f"{100 * r['error']:.1f} %", f"{100 * r['low']:.1f} to {100 * r['high']:.1f}",
            f"{r['parameters'] / 1e6:.1f} M", f"{r['macs'] / 1e9:.2f} G",
            f"{r['bytes'] / 1e6:.1f} MB" if r["bytes"] else "", f"{r['rtf']:.3f}",
        ])  # fmt: skip
    lines = [text_table(["model", metric, "95 % interval", "parameters", "MACs a clip", "file", "RTF"], rows), ""]
    for name, d in result["against"].items():
        lines.append(
            f"exported against {name}: {100 * d['delta']:+.1f} points "
            f"({100 * d['low']:+.1f} to {100 * d['high']:+.1f}), P(better) {d['better']:.2f}"
            + (f"; {d['note']}" if d.get("note") else "")
        )
    lines += [f"report: {result['report']}", f"model:  {result['exported']}"]
    return "\n".join(lines)
