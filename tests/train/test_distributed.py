"""Two processes take the steps of one: gradients, masks, weights, resuming on another number, and clean ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from distributed_small import BATCHES, FACTORED, STILL, Cramped, gradients, interrupted  # noqa: E402
from small_models import small_whisper  # noqa: E402
from train_small import run_small  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.families.seq2seq.objective import Seq2Seq  # noqa: E402
from secateur.prune.method import check_sharded_method  # noqa: E402
from secateur.train.distributed import fingerprint  # noqa: E402
from secateur.train.mix import plain  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402
from secateur.train.state import load_state, with_prefix  # noqa: E402
from secateur.train.targets import IGNORE, token_batch  # noqa: E402

SCRIPT = Path(__file__).resolve().parent / "distributed_small.py"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Python with these words."""
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=240)


def close(left: dict[str, Any], right: dict[str, Any], tolerance: float) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        torch.testing.assert_close(
            value, right[name], rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes left what they found."""
    made = tmp_path_factory.mktemp("two")
    interrupted(made / "one-to-two", 6, **STILL)
    interrupted(made / "one-to-sharded", 3, **FACTORED)
    done = run(str(SCRIPT), str(made), "compare")
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each of the two found."""
    first, second = (torch.load(folder / f"found{rank}.pt") for rank in range(2))
    return first, second


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    """The weights of one process, when nothing is drawn."""
    weights: dict[str, Any] = run_small(None, **STILL)[0].state_dict()
    return weights


def test_two_processes_have_the_gradient_of_one(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    for i, rows in enumerate(BATCHES):
        close(found[0][f"gradient{i}"], gradients(rows), 1e-5)
    close(found[0]["accumulated"], gradients(BATCHES[0]), 1e-5)


def test_both_hold_the_same_bits(found: tuple[dict[str, Any], dict[str, Any]], folder: Path) -> None:
    for name in ("gradient0", "gradient2", "accumulated", "still", "taylor", "wanda", "resumed", "statistics"):
        for key, value in found[0][name].items():
            assert torch.equal(value, found[1][name][key]), f"{name}: {key}"
    for name in ("taylor", "wanda"):
        assert any((mask == 0).any() for key, mask in found[0][name].items() if key.startswith("mask."))
        hashes = [json.loads((folder / name / f"masks-rank{rank}.json").read_text()) for rank in range(2)]
        assert [h.pop("rank") for h in hashes] == [0, 1]
        assert hashes[0] == hashes[1]
        assert hashes[0]["masks"] == log(folder / name)[-1]["masks"]
        assert hashes[0]["step"] == 12


def test_a_whole_run_ends_where_one_process_ends(
    found: tuple[dict[str, Any], dict[str, Any]], alone: dict[str, Any], folder: Path
) -> None:
    close(found[0]["still"], alone, 1e-4)
    entries = log(folder / "still")
    assert {entry["processes"] for entry in entries} == {2}
    assert all(entry["utterances_per_second"] > 0 for entry in entries)


def test_what_was_stopped_on_two_goes_on_as_undisturbed(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    resumed, whole = found[0]["resumed"], found[0]["taylor"]
    assert all(torch.equal(value, whole[name]) for name, value in resumed.items())


def test_a_run_may_go_on_with_another_number_of_processes(
    found: tuple[dict[str, Any], dict[str, Any]], alone: dict[str, Any], folder: Path
) -> None:
    close(found[0]["one-to-two"], alone, 1e-4)
    assert [entry["processes"] for entry in log(folder / "one-to-two")] == [1, 2, 2]
    model, _, entries = run_small(folder / "two-to-one", **STILL)
    close(model.state_dict(), alone, 1e-4)
    assert [entry["processes"] for entry in entries] == [2, 1, 1]
    assert [entry["step"] for entry in entries] == [4, 8, 12]


def test_sharded_processes_end_where_whole_ones_end_with_a_share_each(
    found: tuple[dict[str, Any], dict[str, Any]], folder: Path
) -> None:
    for one in found:
        close(one["sharded"], one["unsharded"], 1e-4)
        assert one["sharded-keep"] == one["unsharded-keep"]
        assert one["plain-again"] == []
        assert set(one["held"]) == {"weights", "gradients", "optimiser", "average"}
        assert all(0.45 < share < 0.55 for share in one["held"].values()), one["held"]
    assert all(torch.equal(value, found[1]["sharded"][name]) for name, value in found[0]["sharded"].items())
    hashes = [json.loads((folder / "sharded" / f"masks-rank{rank}.json").read_text()) for rank in range(2)]
    assert hashes[0].pop("rank") != hashes[1].pop("rank")
    assert hashes[0] == hashes[1]
    tensors, _ = load_state(folder / "sharded" / "state.safetensors")
    saved = {n: t for n, t in with_prefix(tensors, "model").items() if n != "encoder.positions"}  # not trained
    assert fingerprint(saved)["weights"] == hashes[0]["weights"]  # of parts as of the whole
    entries = log(folder / "unsharded")
    assert [entry["masks"] for entry in log(folder / "sharded")] == [entry["masks"] for entry in entries]
    assert entries[-1]["kept"] < 0.9


def test_a_sharded_state_is_whole_on_disk_and_resumes_on_any_number(
    found: tuple[dict[str, Any], dict[str, Any]], folder: Path
) -> None:
    whole = run_small(None, **FACTORED)[0].state_dict()
    close(found[0]["one-to-sharded"], whole, 1e-4)
    model, _, entries = run_small(folder / "sharded-to-one", **FACTORED)
    close(model.state_dict(), whole, 1e-4)
    assert [entry["processes"] for entry in entries] == [1]  # the first validation is after the interruption


def test_memory_that_runs_out_while_sharded_is_one_line(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert all("out of memory at step 0" in f["sharded-cramped"] for f in found)
    assert all("raise training.accumulate above 1" in f["sharded-cramped"] for f in found)


@pytest.mark.parametrize("other", [
    {"lora_rank": 4}, {"lora_share": 0.1}, {"four_bits": ("*",)}, {"mwer": 0.2}, {"l1": 0.1}, {"auxiliary": "pinyin"},
])  # fmt: skip
def test_what_cannot_be_sharded_is_refused_with_the_settings(other: dict[str, Any]) -> None:
    with pytest.raises(SecateurError, match=rf"^shard cannot go with {next(iter(other))}: leave out one or the other$"):
        TrainSettings(shard=True, **other)


def test_methods_that_read_whole_weights_are_refused_while_sharded() -> None:
    for method in ("gates", "sparse", "rigl", "wanda", "group-lasso"):
        check_sharded_method(method, False)
        with pytest.raises(SecateurError, match=f"'{method}' .* training.shard .*: use gradual, refit, early-bird, or"):
            check_sharded_method(method, True)
    for method in ("gradual", "refit"):
        check_sharded_method(method, True)


def test_memory_that_runs_out_on_one_process_changes_nothing(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    close(found[1]["cramped"], gradients([0, 3, 5, 7, 11, 2]), 1e-5)


def test_processes_that_drift_apart_are_noticed(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert [f["drift"] for f in found] == ["step 7: processes 0 and 1 differ in weights; do their machines differ?"] * 2


def test_when_one_process_is_killed_all_end_with_one_line(tmp_path: Path) -> None:
    done = run(str(SCRIPT), str(tmp_path), "die")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("secateur: ")]
    assert lines == [
        "secateur: another process of this run has ended; start the run again and it resumes from its last state"
    ]


def test_what_is_wrong_for_all_is_said_once(tmp_path: Path) -> None:
    missing = tmp_path / "none.jsonl"
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "secateur", "train")
    done = run(*launch, "--train", str(missing), "--out", str(tmp_path / "out"), "--device", "cpu")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("secateur: ")]
    assert len(lines) == 1
    assert str(missing) in lines[0]


def test_micro_batches_have_the_gradient_of_the_batch() -> None:
    rows = list(range(7))
    whole = gradients(rows)
    for parts in (2, 3, 50):
        close(gradients(rows, accumulate=parts), whole, 1e-5)


def test_a_batch_that_is_too_large_is_heard_in_pieces(capsys: pytest.CaptureFixture[str]) -> None:
    close(gradients(range(7), Cramped), gradients(range(7)), 1e-5)
    said = [line for line in capsys.readouterr().err.splitlines() if "out of memory" in line]
    assert said == [
        "training: out of memory at step 0; going on with 2 micro-batches a step",
        "training: out of memory at step 0; going on with 4 micro-batches a step",
    ]


def test_a_run_that_had_to_make_smaller_pieces_keeps_them(tmp_path: Path) -> None:
    made: list[Cramped] = []

    def cramped(objective: Seq2Seq) -> Cramped:
        made.append(Cramped(objective))
        return made[-1]

    whole = run_small(tmp_path / "whole", wrap=cramped)[0].state_dict()
    interrupted(tmp_path / "stopped", 14, wrap=cramped)
    resumed = run_small(tmp_path / "stopped", wrap=cramped)[0].state_dict()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert [c.refused for c in made] == [1, 1, 0]


def test_one_clip_that_does_not_fit_is_one_line() -> None:
    class Full(Cramped):
        def __call__(self, *_: Any) -> Any:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(SecateurError, match=r"^out of memory with one clip of 0\.\d s: "):
        gradients([0, 1, 2], Full)


def test_counts_are_the_labels_that_are_asked_for() -> None:
    model, tokenizer = small_whisper()
    tokens = model.config.tokens
    rows = [[*tokens.prompt(), *tokenizer.encode(words), tokens.end] for words in ("the cat sat", "mat", "went home")]
    settings = TrainSettings(bpe_dropout=0.5)
    objective = Seq2Seq(rows, 2, tokenizer.parents(), room=32)
    seen = set()
    for step in range(8):
        told = [objective.target(one, step, settings).ids for one in plain(range(3))]
        labels = token_batch(told, 2, tokens.end, torch.device("cpu")).labels
        assert objective.counts(plain([2, 0, 1]), step, settings) == (labels != IGNORE).sum(1)[[2, 0, 1]].tolist()
        assert objective.counts(plain([1]), step, settings) == objective.counts(plain([0, 1]), step, settings)[1:]
        seen.add(tuple(objective.counts(plain([0, 1, 2]), step, settings)))
    assert len(seen) > 1
