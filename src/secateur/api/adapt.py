"""The main job: a pretrained recogniser and an hour of recordings in; a pruned, proved, exported one and a page out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..base.errors import SecateurError
from ..base.files import Json
from ..base.options import option
from ..base.progress import say
from ..prune.settings import PruneSettings
from ..train.settings import TrainSettings
from .data import DataSettings, Work
from .job import job

if TYPE_CHECKING:
    from ..data.manifest import Utterance
    from .check import Plan

# Few steps at a high rate. Many rows stay: in so few steps no model learns to spell words that its rows lack.
DEMO: Json = {
    "longest": 12.0, "device": "cpu", "rate_factor": 1.5, "conditions": (),
    "training": {
        "steps": 40, "batch_seconds": 60.0, "learning_rate": 6e-5, "warmup": 0.15, "ema": 0.9, "validate_every": 100.0,
        "l2_sp": 0.0, "bpe_dropout": 0.0, "save_every": 1000, "augment": None, "mix": None,
    },
    "prune": {
        "method": "gradual", "remove": 0.4, "every": 3, "begin": 0.05, "end": 0.5, "frequent": 15000,
        "audio_seconds": 15.0, "text_tokens": 128,
    },
}  # fmt: skip
OWN_DATA = ("train", "dev", "test", "rehearsal", "noise")


@dataclass(frozen=True, kw_only=True)
class AdaptSettings(DataSettings):
    """What `adapt` does; the defaults are for an hour or two of speech."""

    demo: bool = option(
        False, "Run on real speech that is found or downloaded, with settings for a few minutes of two cores."
    )
    precision: Literal["fp32", "fp16", "int8"] = option(
        "int8",
        "Export the pruned model in this precision; what it is compared with too, where float32 would be above 1 GB.",
        elsewhere=("quantize", "quantization", "compute_type"),
    )
    dense_control: bool = option(True, "Also train an unpruned model for the same steps, to compare with.")
    rate_factor: float = option(
        2.0,
        "Multiply the learning rate by this for the pruned model, which has more to recover.",
        above=0,
        advanced=True,
    )
    conditions: tuple[str, ...] = option(
        ("pause-4", "joined-60", "prompt-neutral", "previous", "nonspeech"),
        "Measure the exported models under these conditions of real use (see `evaluate`) and warn where one got worse.",
    )
    condition_clips: int = option(
        16, "Build the conditions from this many test clips.", unit="clips", least=2, advanced=True
    )
    timed_clips: int = option(
        16, "Time the exported models on this many clips, one after the other.", unit="clips", least=1, advanced=True
    )
    training: TrainSettings = option(TrainSettings(), "Say how models are trained.", was=("train",))
    prune: PruneSettings = option(PruneSettings(), "Say what is removed.")

    def work(self) -> Work:
        exports = 2 if self.dense_control else 1  # the original, and the control; the pruned one is smaller
        used = (self.condition_clips,) * (len(self.conditions) + 1) if self.conditions else ()
        return Work(
            self.training, self.prune, precision=self.precision, exports=exports, trained=exports,
            decoded=(self.timed_clips, *used),
        )  # fmt: skip

    @classmethod
    def prepared(cls, values: Mapping[str, Any]) -> Json:
        """With `demo`, its settings beneath what was given; what it cannot honour is refused by name.

        Raises:
            SecateurError: data sets beside the demo's own.
        """
        values = dict(values)
        if str(values.get("demo", "no")).lower() not in ("true", "yes", "1"):
            return values
        for name in OWN_DATA:
            if values.get(name):
                raise SecateurError(f"--demo brings its own data: leave out --{name}, or leave out --demo")
        for key, default in DEMO.items():
            if not isinstance(default, dict):
                values.setdefault(key, default)
            elif isinstance(values.get(key, {}), dict):
                given = values.get(key, {})
                own = {k: v for k, v in default.items() if not (k == "steps" and "epochs" in given)}
                values[key] = own | given
        return values


@job(AdaptSettings)
def adapt(settings: AdaptSettings) -> Json | None:
    """Tune, prune, prove and export a model; returns the before/after table, `exported` (the folder) and `report`.

    Three models are compared on test speakers that none was trained on: the original, a dense control trained for the
    same number of steps, and the pruned one. A killed job resumes; the folder of another run is refused. Inside
    `torchrun` all processes train and decode together, and the first returns the results, the others None.

    Raises:
        SecateurError: anything a user can get wrong, in one line, before training.
    """
    from ..base.extras import require

    require("torch", "train")
    from ..train.distributed import processes

    with processes(settings.device) as device:
        return _adapted(settings, device)


def _adapted(settings: AdaptSettings, device: str) -> Json | None:
    """The job on one process of one or more; only the first measures, exports and reports."""
    from ..base.files import read_json, write_text
    from ..evaluate.conditions import chosen
    from ..study.adapt import adapt as run
    from ..study.made import write_data
    from ..study.record import begin, finish
    from ..study.report import render
    from ..study.run_folder import collect
    from ..train.distributed import agreed, rank
    from .check import plan_job

    data, files, first = None, None, rank() == 0
    if settings.demo:
        from ..study.sets_of_job import demo_data

        for turn in (first, not first):  # what the first downloads, the others find
            if turn:
                data, files = demo_data(settings.longest, device)
            agreed(None)
    chosen(settings.conditions)  # names, before anything is read
    plan = plan_job(settings, settings.work(), data, files or (), device)
    check_conditions(settings, plan)
    if settings.check:
        return plan.summary() if first else None
    record = begin("adapt", settings, plan.files, settings.model, settings.out) if first else {}
    known = settings.out / "summary.json"
    if agreed(bool(record.get("finished")) and known.exists()):
        if not first:
            return None
        say(f"{settings.out}: this very run is finished; its results are shown again")
        summary = read_json(known)
    else:
        if first:
            write_data(settings.out, plan.data)
        summary = run(plan.model, plan.text, plan.data, settings.out, settings)
        if not first:
            return None
    page = settings.out / "report.html"
    write_text(page, render(replace(collect(settings.out), title=f"{settings.model} adapted")))
    finish(settings.out, record)
    exported = settings.out / "exported" / "pruned"
    first_clip = plan.data.tests["test"][0]
    say(f"the exported model, run without torch on {first_clip.audio.name}: {hypothesis_of(exported, first_clip)!r}")
    say(f"  its reference: {first_clip.text!r}")
    return {**summary, "report": str(page), "exported": str(exported)}


def check_conditions(settings: AdaptSettings, plan: Plan) -> None:
    """Refuse conditions that the test clips or the model cannot give; of the default ones such are left out later.

    Raises:
        SecateurError: the first such condition, or no test clip with words.
    """
    from ..evaluate.conditions import check_possible, spread

    spoken = spread([u for u in plan.data.tests["test"] if u.text.strip()], settings.condition_clips)
    usual = settings.conditions == AdaptSettings.conditions
    check_possible(("clean",) if usual else settings.conditions, spoken, plan.model.config)
    if not usual and "timestamps" in settings.conditions and not settings.prune.timestamps:
        raise SecateurError(
            "the condition 'timestamps' cannot be measured here: prune.timestamps removes those tokens; keep one of two"
        )


def hypothesis_of(model: Path, clip: Utterance) -> str:
    """Transcribe a clip in a fresh process in which torch cannot be imported: what a base install does.

    Raises:
        SecateurError: the exported model does not run there.
    """
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
    process = subprocess.run([sys.executable, "-c", code, str(model), line], capture_output=True, text=True)
    if process.returncode:
        raise SecateurError(f"the exported model could not be run: {process.stderr.strip().splitlines()[-1]}")
    return process.stdout.strip()
