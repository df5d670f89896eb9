"""`prune --by error`: remove for good what raises the error rate, without training."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from ..base.device import device_name
from ..base.errors import SecateurError
from ..base.files import Json, read_json, write_json
from ..base.options import to_dict
from ..data.job import JobData
from ..evaluate.result import write_result
from ..evaluate.scoring import score
from ..models.checkpoint import as_saved, load_checkpoint, save_checkpoint
from ..models.family import TextCodec
from ..models.network import Network
from ..prune.pruner import COSTS
from ..sensitivity.by_error import remove_by_error
from ..sensitivity.by_error_settings import ByErrorSettings
from ..sensitivity.clips import in_turn

REMOVED = "removed.json"  # the sites, beside the checkpoint


def prune_by_error(model: Network, text: TextCodec, data: JobData, settings: ByErrorSettings, folder: Path) -> Json:
    """Select on training clips, confirm on dev, keep `data.rehearsal_dev`; writes checkpoint, results and summary.

    Raises:
        SecateurError: sets that share speakers, or a clip that does not fit the audio context.
    """
    started = time.perf_counter()
    removed: list[Json]
    longest = model.config.max_seconds
    training = [u for u in data.training if u.text and u.duration <= longest]
    if not training or not data.dev:
        raise SecateurError("removal by error needs clips to select on (--train) and to confirm on (--dev)")
    select = [training[i] for i in sorted(in_turn(training)[: settings.clips])]
    before = {name: score(model.to(data.device).eval(), text, data, name, clips, "original")
              for name, clips in data.tests.items()}  # fmt: skip
    if (folder / "config.json").exists():  # killed while it scored
        pruned, removed = load_checkpoint(folder, data.device)[0], read_json(folder / REMOVED)
    else:
        pruned, sites = remove_by_error(
            model, text, select, data.dev, data.rehearsal_dev, settings, data.device, data.normalise,
            lambda so_far: write_json(folder / REMOVED, [asdict(one) for one in so_far]),
        )  # fmt: skip
        pruned, removed = as_saved(pruned.to(data.device).eval()), [asdict(one) for one in sites]
        write_json(folder / REMOVED, removed)
        save_checkpoint(folder, pruned, text, half=True)
    results = {name: score(pruned, text, data, name, clips, "by error") for name, clips in data.tests.items()}
    for name, result in results.items():
        write_result(folder / "results" / f"{name}.json", result)
        write_result(folder / "before" / f"{name}.json", before[name])
    summary = {
        "folder": str(folder), "by_error": to_dict(settings), "steps": 0,
        "seconds": round(time.perf_counter() - started, 1), "device": device_name(data.device),
        "removed_sites": removed,
        "before": {name: r.rate for name, r in before.items()}, "error": {name: r.rate for name, r in results.items()},
        "removed": 1 - COSTS["parameters"](pruned.config) / COSTS["parameters"](model.config),
    }  # fmt: skip
    write_json(folder / "summary.json", summary)
    return summary
