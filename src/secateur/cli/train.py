"""`secateur train`: fine-tune a model, unpruned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError
from ..base.options import option
from ..families.ctc.new_settings import NewModel
from ..prune.settings import PruneSettings
from ..train.settings import TrainSettings

HELP = """Fine-tune a model on manifests. The weights are held near their start (--train.l2-sp); with --retain it
also hears what must not be forgotten, and with --train.distillation 0.7 the original teaches it there, for
three times the time. With --new.preset a small CTC model is trained from nothing instead (conformer, bigru, bilstm,
googlenet, googlenet-bigru, digits; streaming-conformer and streaming-gru answer while someone speaks), or a CTC output
on the encoder of a Whisper (--new.preset whisper --new.trunk tiny.en).

Writes a checkpoint, metrics.jsonl (a line a validation) and results; a killed run resumes. On several GPUs, or several
processes of a CPU, start it with torchrun: a batch is dealt to them, the steps are the same."""
EXAMPLE = """secateur train --learn mine/train.jsonl --dev mine/dev.jsonl --out runs/tuned
secateur train --learn mine/train.jsonl --out runs/tuned --config train.toml --train.learning-rate 5e-5
secateur train --learn mine/train.jsonl --out runs/new --new.preset conformer --train.learning-rate 1e-3
secateur train --learn 'packed/train-{000000..009999}.tar' --dev dev.jsonl --test test.jsonl --stream --out runs/large
torchrun --nproc-per-node 2 -m secateur train --learn mine/train.jsonl --out runs/tuned"""


@dataclass(frozen=True)
class Options:
    """The run."""

    out: Path = option(help="folder for checkpoint, log and results")
    learn: tuple[Path, ...] = option(help="manifests to learn from (JSONL)")
    model: str = option("tiny.en", help="a name, folder or file (see models fetch)")
    dev: tuple[Path, ...] = option((), help="manifests to choose on (default: split off by speaker)")
    test: tuple[Path, ...] = option((), help="manifests to report on (default: split off by speaker)")
    retain: tuple[Path, ...] = option((), help="manifests of what must not be forgotten")
    teacher: str = option("", help="a tuned model that teaches; CTC: of the same units (see train.distillation-on)")
    noise: tuple[Path, ...] = option((), help="recordings of noise to mix into training clips (see train.augment)")
    nonspeech: tuple[Path, ...] = option(
        (), help="manifests of recordings without speech (empty text) to train silence on, beside generated ones"
    )
    longest: float = option(21.0, help="seconds: longer clips are left out of training")
    stream: bool = option(False, help="read training audio while training, for sets that do not fit in memory")
    window: int = option(20000, help="with --stream: clips between which batches are shuffled")
    device: str = option("auto", help="cpu, cuda or auto")
    train: TrainSettings = TrainSettings()
    new: NewModel = NewModel()


def run(options: Options) -> dict[str, Any] | None:
    """Train and evaluate; of several processes the first has a result."""
    return run_arm_from(options, "dense", None)


def run_arm_from(options: Options, name: str, prune: PruneSettings | None) -> dict[str, Any] | None:
    """Run one arm from the options of this command, or of `prune`, which has more."""
    from ..families.ctc.new_model import make_new
    from ..study.arm import ArmSettings, finished, forget_state, run_arm
    from ..study.sets_of_job import read_job, read_nonspeech, read_streamed
    from ..train.distributed import processes, rank
    from ..weights.fetch import load_model

    with processes(options.device) as device:
        if finished(options.out) is not None:
            forget_state(options.out)
            raise SecateurError(f"{options.out}: a finished run is here; name another --out, or delete it")
        sets = (options.learn, options.dev, options.test, options.retain, options.noise, options.longest, device)
        data = read_streamed(*sets, options.window) if options.stream else read_job(*sets)
        data.nonspeech = read_nonspeech(options.nonspeech, data.device)
        start: tuple[Any, Any] | None = None
        if options.new.preset:
            start = make_new(options.new, list(data.texts()), data.learn[0].language, options.train.seed)
        model, tokenizer = start or load_model(options.model)
        teacher: Any = model if data.retain and start is None else None
        if options.teacher:
            teacher = load_model(options.teacher)[0]
        train = options.train.resolved(pretrained=start is None, teacher=bool(options.teacher))
        run_arm(ArmSettings(name, train, prune), model, tokenizer, data, options.out, teacher)
        if rank() > 0:
            return None
    return {"folder": str(options.out), **(finished(options.out) or {})}


def show(result: dict[str, Any]) -> str:
    """Error rates, size, time."""
    errors = ", ".join(f"{name} {100 * rate:.1f} %" for name, rate in result["error"].items())
    return (
        f"{result['folder']}: {errors}; {100 * result['removed']:.1f} % of the parameters removed; "
        f"{result['steps']} steps in {result['seconds']:.0f} s on {result['device']}"
    )
