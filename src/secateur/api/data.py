"""What training jobs share: which manifests, the model, the run folder; and what each does with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.options import Settings, option
from ..text.normalise import Scheme
from ..train.settings import longest_option

if TYPE_CHECKING:
    from ..families.ctc.new_settings import NewModel
    from ..prune.settings import PruneSettings
    from ..train.settings import TrainSettings


@dataclass(frozen=True)
class Work:
    """What a job does with its sets, as far as it can be checked before it begins."""

    training: TrainSettings | None = None
    prune: PruneSettings | None = None
    one_shot: bool = False  # ranked and cut at once
    teacher: str = ""
    window: int = 0  # clips between which batches of audio that is read while training are shuffled; 0: all in memory
    new: NewModel | None = None  # what is built in place of the model
    precision: str = ""  # of what is exported; empty: nothing is
    exports: int = 0  # models that are exported beside the pruned one
    trained: int = 1  # models that are trained, controls among them
    decoded: tuple[int, ...] = ()  # so many test clips at most are decoded again and again by every exported model


@dataclass(frozen=True, kw_only=True)
class DataSettings(Settings):
    """What every training job takes: data sets, the model to start from, the run folder."""

    train: tuple[Path, ...] = option(
        (),
        "Train on these manifests (JSONL) or archives (.tar).",
        was=("learn",),
        elsewhere=("train_data", "train_dataset", "train_manifest", "train_data_dir", "train_file", "dataset"),
    )
    dev: tuple[Path, ...] = option(
        (),
        "Choose on these manifests; left out: speakers split off the training set, a tenth of its hours.",
        elsewhere=(
            "valid",
            "validation",
            "valid_data",
            "eval_dataset",
            "eval_data",
            "validation_data",
            "validation_file",
            "dev_manifest",
            "val",
        ),
    )
    test: tuple[Path, ...] = option(
        (),
        "Report on these manifests; left out: speakers split off the training set, 15 % of its hours.",
        elsewhere=("test_data", "test_dataset", "test_manifest", "test_file"),
    )
    rehearsal: tuple[Path, ...] = option(
        (), "Also train on these manifests, so that what they hold is not forgotten.", was=("retain",)
    )
    rehearsal_dev: tuple[Path, ...] = option(
        (),
        "Judge on these manifests what the model still knows: the trained weights are drawn back towards the "
        "start until these stay within 0.5 points of the original (training.interpolation).",
        was=("retain_dev",),
    )
    noise: tuple[Path, ...] = option(
        (), "Mix these recordings of noise, or those of manifests (.jsonl), into training clips (see training.augment)."
    )
    nonspeech: tuple[Path, ...] = option(
        (), "Train silence on the recordings of these manifests (empty text), beside generated ones."
    )
    model: str = option(
        "tiny.en",
        "Start from this model: a name, folder or file (see `models list`).",
        elsewhere=("model_name_or_path", "model_name", "pretrained", "base_model", "checkpoint"),
    )
    out: Path = option(
        help="Write checkpoints, logs and results into this folder.",
        writes="folder",
        elsewhere=("output_dir", "output", "exp_dir", "save_dir", "output_folder"),
    )
    normalise: Scheme | None = option(
        None, "Compare texts by this scheme, such as whisper or cased; left out: by language.", advanced=True
    )
    longest: float = longest_option()
    device: str = option("auto", "Run on cpu, cuda, or auto: a GPU where there is one.")
    same_speakers: bool = option(
        False,
        "Allow train, dev and test to share speakers, and split by clip: for a model of one person, whose error rate "
        "says nothing of others.",
        advanced=True,
    )
    check: bool = option(
        False, "Validate everything, show what would be removed and what it would cost, write nothing."
    )
