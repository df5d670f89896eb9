"""Training on sets that do not fit in memory: the same samples, every clip once an epoch, exact resume."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import forked_runs  # noqa: E402
from small_models import small_whisper  # noqa: E402

import secateur  # noqa: E402
from secateur.base.errors import SecateurError  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.data.bank import AudioBank, StreamedBank  # noqa: E402
from secateur.data.clip_index import ClipIndex, Joined  # noqa: E402
from secateur.data.manifest import Utterance, read_manifest, write_manifest  # noqa: E402
from secateur.data.pack import pack  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.train.mix import Example  # noqa: E402
from secateur.train.stream import Mix, batch_stream, epoch_steps  # noqa: E402

TRAIN = Path(secateur.__file__).parent / "data" / "bundled" / "train.jsonl"
CLIPS = read_manifest(TRAIN)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> str:
    return pack(TRAIN, tmp_path_factory.mktemp("packed") / "t", clips=8, quiet=True).pattern


def test_an_index_is_the_set(packed: str, tmp_path: Path) -> None:
    """Lines with a byte order mark, blank ones and long ones, from manifests and archives, in any order."""
    odd = tmp_path / "odd.jsonl"
    write_manifest(odd, [Utterance("long", Path("/a.wav"), 9.0, "x" * 20_000), Utterance("b", Path("/b.wav"), 1.5)])
    odd.write_bytes(b"\xef\xbb\xbf" + odd.read_bytes().replace(b"\n", b"\r\n\n"))
    seen: list[str] = []
    index = ClipIndex([TRAIN, odd, packed], longest=9.0, on_clip=lambda u: seen.append(u.id))
    assert len(index) == 62 and list(index[:30]) == CLIPS
    assert [u.id for u in index] == seen and index[-1].id == CLIPS[-1].id
    assert index[30].text == "x" * 20_000 and index[31] == Utterance("b", Path("/b.wav"), 1.5)
    assert [u.text for u in index[32:]] == [u.text for u in CLIPS]
    assert np.allclose(index.durations, [u.duration for u in index])
    assert len(ClipIndex([TRAIN, odd], longest=5.0)) == 31
    both = Joined(CLIPS[:3], index)
    assert len(both) == 65 and [both[0], both[3], both[-1].id] == [CLIPS[0], CLIPS[0], CLIPS[-1].id]


def test_streamed_batches_are_what_memory_holds(packed: str) -> None:
    whole, streamed = AudioBank.read(CLIPS, label=""), StreamedBank(ClipIndex([packed]))
    batches = [[3, 17, 4], [0], [29, 28, 3]]
    assert list(whole.follow(batches)) == batches
    for batch in streamed.follow(batches):
        for one, other in zip(whole.gather(batch), streamed.gather(batch), strict=True):
            assert torch.equal(one, other)


def rows_of(batches: Iterable[list[Example]]) -> list[list[int]]:
    """The clips of batches of plain examples."""
    return [[row for example in batch for row in example.clips] for batch in batches]


def test_windows_have_every_clip_once_and_can_be_entered_anywhere() -> None:
    random = np.random.default_rng(0)
    mix = Mix(random.uniform(1, 9, 1000).astype(np.float32), tuple(random.uniform(1, 9, 200)), 0.2, window=150)
    steps = epoch_steps(mix, 60.0, 5)
    epoch = rows_of(itertools.islice(batch_stream(mix, 60.0, 5), steps))
    rows = [row for batch in epoch for row in batch]
    assert sorted(row for row in rows if row < 1000) == list(range(1000))
    kept = sum(mix.clip_seconds(row) for row in rows if row >= 1000)
    assert 0.15 < kept / sum(map(mix.clip_seconds, rows)) < 0.25
    assert all(len(b) == 1 or len(b) * max(map(mix.clip_seconds, b)) <= 60 for b in epoch)
    # Read nearly in order: the learnt rows of a batch come from one window.
    assert all(len({row // 150 for row in batch if row < 1000}) <= 1 for batch in epoch)
    two = rows_of(itertools.islice(batch_stream(mix, 60.0, 5), 2 * steps))
    assert two[steps:] != epoch and sorted(map(sorted, two[steps : 2 * steps])) != sorted(map(sorted, epoch))
    for skip in (0, 1, steps // 2, steps, steps + 3):
        assert rows_of([next(batch_stream(mix, 60.0, 5, skip))]) == [two[skip]]


RUN = """
import os, sys
import torch
from secateur.cli import main
from secateur.train import loop
torch.set_num_threads(1)  # sums in another order differ in their last digit
stop = int(sys.argv[1])
one = loop._Loop._optimiser_step
def dying(self, batch):
    if self.step == stop:
        os._exit(9)
    one(self, batch)
loop._Loop._optimiser_step = dying
sys.exit(main(["train", *sys.argv[2:]]))
"""


def test_a_killed_run_on_archives_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    """Through the command, from tar archives; killed between saved states."""
    torch.set_num_threads(1)
    short = [u for u in CLIPS if u.duration < 2.6]
    model, tokenizer = small_whisper()
    from dataclasses import replace

    from secateur.families.whisper.model import Whisper

    config = replace(model.config, audio_context=150, text_context=80)
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "model", Whisper(config), tokenizer)
    write_manifest(tmp_path / "short.jsonl", short)
    write_manifest(tmp_path / "dev.jsonl", read_manifest(TRAIN.with_name("dev.jsonl"))[:2])
    write_manifest(tmp_path / "test.jsonl", read_manifest(TRAIN.with_name("test.jsonl"))[:2])
    shards = pack(tmp_path / "short.jsonl", tmp_path / "p" / "t", clips=4, quiet=True).pattern

    def words(out: str) -> list[str]:
        return [
            "--model", str(tmp_path / "model"), "--train", shards, "--dev", str(tmp_path / "dev.jsonl"), "--test",
            str(tmp_path / "test.jsonl"), "--out", str(tmp_path / out), "--device", "cpu", "--stream", "--window", "6",
            "--training.steps", "7", "--training.batch-seconds", "6", "--training.save-every", "2", "--longest", "2.95",
            "--training.validate-every", "100",
        ]  # fmt: skip

    assert main(["train", *words("whole")]) == 0
    (tmp_path / "dying.py").write_text(RUN)
    killed = forked_runs.begun(["5", *words("killed")], tmp_path / "log.txt", tmp_path / "dying.py")
    assert killed.wait() == 9, (tmp_path / "log.txt").read_text()
    assert main(["train", *words("killed")]) == 0
    one, other = (load_checkpoint(tmp_path / name)[0].state_dict() for name in ("whole", "killed"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    log = [json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[-1]) for name in ("whole", "killed")]
    assert log[0]["loss"] == log[1]["loss"] and log[0]["step"] == 7


def test_what_streams_cannot_do_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--train", str(TRAIN), "--out", str(tmp_path / "o"), "--device", "cpu", "--stream"]
    assert main(words) == 2
    assert "--stream needs --dev and --test" in capsys.readouterr().err
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(SecateurError, match="no utterances in it"):
        ClipIndex([empty])
