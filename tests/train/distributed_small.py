"""What tests run on two processes: distributed_small.py FOLDER WHAT; both leave their tensors in FOLDER."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # by the first optimizer in both, otherwise; so the next
import torch.distributed.fsdp
from ctc_small import run_ctc
from train_small import PRUNE, SETTINGS, StoppedError, run_small, small_job

from secateur.base.errors import SecateurError
from secateur.train.distributed import check_agreement, count, processes, rank
from secateur.train.gradients import Gradients
from secateur.train.loss import Batch
from secateur.train.mix import plain
from secateur.train.run import Callback, TrainingRun
from secateur.train.settings import TrainSettings

SHORT: dict[str, Any] = {"steps": 12}
STILL: dict[str, Any] = {**SHORT, "dropout": 0.0, "augment": None, "spec_augment": None}  # nothing is drawn
BATCHES = ([0, 3, 5, 7, 11], [4, 2], [8])  # dealt unevenly; the last to fewer clips than processes

SHARDED: dict[str, Any] = {
    **STILL, "steps": 4, "l2_sp": 0.05, "gradient_checkpointing": True,
    "prune": replace(PRUNE, method="refit", every=1),
}  # fmt: skip
FACTORED: dict[str, Any] = {
    **STILL,
    "steps": 4,
    "save_every": 2,
    "prune": None,
    "optimizer": "adafactor",
    "weight_decay": 0.01,
}


class Cramped:
    """An objective on a device that holds no more than two clips at once, or `most`."""

    def __init__(self, objective: Any, most: int = 2) -> None:
        self.objective, self.counts, self.refused, self.most = objective, objective.counts, 0, most

    def __call__(self, model: Any, batch: Batch, settings: TrainSettings) -> torch.Tensor:
        loss: torch.Tensor = self.objective(model, batch, settings)
        if len(batch.examples) > self.most:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss


def gradients(rows: Sequence[int], wrap: Any = lambda objective: objective, **changed: Any) -> dict[str, torch.Tensor]:
    """The gradient and the loss of one batch, as every process has them."""
    model, bank, mix, objective = small_job()
    settings = TrainSettings(**{**SETTINGS, **STILL, "l1": 10.0, "label_smoothing": 0.1, **changed})
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    found = Gradients(model, list(parameters.values()), TrainingRun(bank, mix, wrap(objective)), settings)
    loss = found(plain(list(rows)), 0, 10)
    return {n: p.grad for n, p in parameters.items() if p.grad is not None} | {"loss": loss}


def interrupted(folder: Path, step: int, **changed: Any) -> None:
    """A run that stops in the middle of `step`."""
    try:
        run_small(folder, stop=step, **changed)
    except StoppedError:
        return
    raise AssertionError("the run was not stopped")


def comparisons(folder: Path) -> dict[str, Any]:
    """Everything that two processes are asked in one go."""
    found: dict[str, Any] = {f"gradient{i}": gradients(rows) for i, rows in enumerate(BATCHES)}
    found["accumulated"] = gradients(BATCHES[0], accumulate=2)
    found["still"] = run_small(folder / "still", **STILL)[0].state_dict()
    wanda = replace(PRUNE, criterion="wanda")
    for name, prune in (("taylor", PRUNE), ("wanda", wanda)):
        model, pruner, _ = run_small(folder / name, prune=prune, **SHORT)
        masks = {f"mask.{n}": m for n, m in pruner.masks.items()}
        found[name] = model.state_dict() | masks | {f"state.{n}": t for n, t in pruner.tensors().items()}
    found["statistics"] = run_ctc(folder / "statistics", "inception", steps=8, select="last")[0].state_dict()
    interrupted(folder / "resumed", 6, **SHORT)
    found["resumed"] = run_small(folder / "resumed", **SHORT)[0].state_dict()
    interrupted(folder / "two-to-one", 6, **STILL)
    found["one-to-two"] = run_small(folder / "one-to-two", **STILL)[0].state_dict()
    # Memory runs out on the last process only.
    found["cramped"] = gradients([0, 3, 5, 7, 11, 2], Cramped if rank() else lambda objective: objective)
    try:
        check_agreement(None, 7, {"masks": "same", "weights": str(rank())})
    except SecateurError as problem:
        found["drift"] = str(problem)
    return found | sharded(folder)


class Held(Callback):
    """Counts the values that this process holds, as shares of what one process alone would hold."""

    def __init__(self) -> None:
        self.shares: dict[str, float] = {}

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    def after_step(self, step: int, total: int) -> None:
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.whole = sum(p.numel() for p in parameters)
        moments = [self.optimizer.state[p][name] for p in parameters for name in ("exp_avg", "exp_avg_sq")]
        for name, tensors in {"weights": parameters, "gradients": [p.grad for p in parameters]}.items():
            self.shares[name] = sum(t.to_local().numel() for t in tensors) / self.whole
        self.shares["optimiser"] = sum(t.to_local().numel() for t in moments) / 2 / self.whole

    def project(self, parameters: dict[str, torch.Tensor]) -> None:  # the EMA's too
        self.shares["average"] = sum(t.numel() for t in parameters.values()) / self.whole


def sharded(folder: Path) -> dict[str, Any]:
    """What two sharded processes find."""
    held, found = Held(), dict[str, Any]()
    for name, watch in (("unsharded", None), ("sharded", held)):
        model, pruner, _ = run_small(folder / name, shard=watch is not None, watch=watch, **SHARDED)
        found |= {name: model.state_dict(), f"{name}-keep": pruner.keep}
    found["held"] = held.shares
    found["plain-again"] = [type(m).__name__ for m in model.modules() if type(m).__name__.startswith("FSDP")]
    interrupted(folder / "sharded-to-one", 3, shard=True, **FACTORED)
    found["one-to-sharded"] = run_small(folder / "one-to-sharded", shard=True, **FACTORED)[0].state_dict()
    try:
        run_small(None, shard=True, wrap=lambda objective: Cramped(objective, 0), **SHARDED)
    except SecateurError as problem:
        found["sharded-cramped"] = str(problem)
    return found


class Die(Callback):
    """The last process is killed at step 5."""

    def after_backward(self, step: int, total: int) -> None:
        if step == 5 and rank() == count() - 1:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, what: str) -> int:
    """Exit code as the command line's: 2 and one line."""
    try:
        with processes("cpu"):
            if what == "die":
                model, bank, mix, objective = small_job()
                from secateur.train.loop import train

                train(model, TrainingRun(bank, mix, objective, callbacks=[Die()]), TrainSettings(**SETTINGS))
            else:
                torch.save(comparisons(folder), folder / f"found{rank()}.pt")
    except SecateurError as problem:
        print(f"secateur: {problem}", file=sys.stderr)
        return 2
    return 0


def both(folder: Path, what: str) -> int:
    """Two forks of this process, which has imported all and computed nothing, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    forks = []
    for number in "01":
        if not (process := os.fork()):
            os.environ.update(place, RANK=number, LOCAL_RANK=number)
            try:
                os._exit(main(folder, what))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        forks.append(process)
    ends = [os.waitpid(process, 0)[1] for process in forks]
    return int(any(ends))


if __name__ == "__main__":
    sys.exit(both(Path(sys.argv[1]), sys.argv[2]))
