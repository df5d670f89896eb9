"""`secateur models soup`: the mean of the weights of several checkpoints of one start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...base.files import Json
from ...base.options import Settings, option

HELP = """Average the weights of checkpoints that were tuned from one model, such as several seeds.

With --dev greedily: the best on dev first, and each next one only where the error does not rise. Without, all of them.
Pruned ones need one mask: tune them from one pruned checkpoint. Pinyin heads saved beside them are averaged too."""
EXAMPLE = "secateur models soup runs/a runs/b runs/c --dev mine/dev.jsonl --out runs/soup"


@dataclass(frozen=True)
class Options(Settings):
    """Which, judged on what, and where to."""

    models: tuple[Path, ...] = option(help="Average these model folders, two or more.", positional=True)
    out: Path = option(help="Write the checkpoint into this folder.", writes="folder")
    dev: tuple[Path, ...] = option((), "Choose on these manifests (JSONL); left out: average all.")
    device: str = option("auto", "Decode on cpu, cuda, or auto: a GPU where there is one.")


def run(options: Options) -> Json:
    """Make and save it.

    Raises:
        SecateurError: models that do not go together, or the folder is taken.
    """
    from ...base.errors import SecateurError
    from ...base.extras import require

    require("torch", "train")
    from ...base.device import pick_device
    from ...data.job import JobData
    from ...models.checkpoint import save_checkpoint
    from ...models.family import family_of
    from ...study.sets_of_job import read_all
    from ...study.soup import make_soup
    from ...train.auxiliary import mean_head, save_head

    if options.out.exists() and any(options.out.iterdir()):
        raise SecateurError(f"{options.out}: not empty; choose another --out")
    data = None
    if options.dev:
        data = JobData(training=[], dev=read_all(options.dev), tests={}, device=pick_device(options.device))
    model, text, made = make_soup(options.models, data, "greedy" if options.dev else "uniform", "soup")
    head = mean_head([Path(one) for one in made["of"]])
    save_checkpoint(options.out, model, text, half=True)
    if head is not None:
        save_head(options.out, *head)
    return {"folder": str(options.out), "parameters": family_of(model.config).parameters(model.config), **made}


def show(result: Json) -> str:
    """The folder, what is in it, and the error rates on dev."""
    lines = [f"dev {100 * one['dev']:6.2f}  {' + '.join(one['of'])}" for one in result["tried"]]
    return "\n".join([*lines, f"{result['folder']}: {' + '.join(result['of'])}"])
