"""A CTC teacher in every frame: the loss by hand, a student that comes nearer to it, and what cannot teach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from small_ctc import small_ctc  # noqa: E402
from small_models import small_whisper  # noqa: E402
from train_small import SETTINGS, clips  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.data.bank import AudioBank  # noqa: E402
from secateur.data.manifest import Utterance, read_manifest, write_manifest  # noqa: E402
from secateur.evaluate.error_rate import count_errors, total  # noqa: E402
from secateur.families.ctc.task import CtcTask  # noqa: E402
from secateur.models.checkpoint import save_checkpoint  # noqa: E402
from secateur.models.family import TeacherModel  # noqa: E402
from secateur.prune.initial_model import InitialModel  # noqa: E402
from secateur.text.normalise import spoken  # noqa: E402
from secateur.text.units import Units, characters_of  # noqa: E402
from secateur.train.loop import TrainingRun, train  # noqa: E402
from secateur.train.loss import frame_distillation, pooled  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402
from secateur.train.stream import Mix  # noqa: E402

UNITS = Units(tuple("abcdef"), spelling="spoken")
TEXTS = ["abcab", "fed", "ce", "aab"]


def objective(student: torch.nn.Module, teacher: torch.nn.Module | None, settings: TrainSettings, units: Units = UNITS):
    said = [Utterance(str(i), Path("x"), 9.0, TEXTS[i % 4], "s") for i in range(len(clips()))]
    taught_by = None if teacher is None else TeacherModel(teacher, UNITS)
    return CtcTask().objective(InitialModel(student, UNITS, None), said, settings, taught_by, torch.device("cpu"))


def test_the_divergence_is_the_sum_over_real_frames() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(2, n, 5, generator=generator).log_softmax(-1) for n in (7, 8))
    frames, weights = torch.tensor([7, 3]), torch.tensor([0.5, 1.0])
    total = 0.0
    for row in range(2):
        for t in range(int(frames[row])):
            p, q = teacher[row, t], student[row, t]
            total += float(weights[row] * (p.exp() * (p - q)).sum())
    found = frame_distillation(student, teacher, frames, 1.0, weights)
    assert float(found) == pytest.approx(total, rel=1e-5)
    assert float(frame_distillation(student, student, frames, 2.0)) == pytest.approx(0, abs=1e-5)


def test_a_student_comes_nearer_to_its_teacher() -> None:
    torch.set_num_threads(1)
    teacher, apart = small_ctc("subsampled conformer", seed=5), {}
    bank = AudioBank(clips())
    for distil in (0.0, 1.0):
        student = small_ctc("subsampled conformer", seed=1)
        settings = TrainSettings(
            **{**SETTINGS, "steps": 40, "learning_rate": 1e-2, "ema": 0.0, "distillation": distil},
            distillation_on="all",
        )  # fmt: skip
        asked = objective(student, teacher, settings)
        assert (asked.teacher is None) == (distil == 0)
        run = TrainingRun(bank=bank, mix=Mix(tuple(len(c) / 16000 for c in clips())), objective=asked)
        train(student, run, settings)
        asked = objective(student, teacher, TrainSettings(distillation=0.7))
        audio, lengths = bank.gather([0, 1, 2])
        wanted = asked.teacher.log_probs(audio, lengths)
        with torch.no_grad():
            heard, frames = student(*asked.teacher.features(audio, lengths))
        apart[distil] = float(frame_distillation(heard, wanted, frames))
    assert apart[1.0] < 0.5 * apart[0.0]


def test_what_cannot_teach_is_one_line() -> None:
    student, settings = small_ctc("subsampled gru"), TrainSettings(distillation=0.7, distillation_on="all")
    with pytest.raises(SecateurError, match="secateur data label"):
        objective(student, small_whisper()[0], settings)
    with pytest.raises(SecateurError, match=r"whole part of it: .* every 40 ms teach none of .* every 20 ms"):
        objective(student, small_ctc("subsampled conformer"), settings)  # x4, not x2
    with pytest.raises(
        SecateurError, match="output 2 of this one is 'c', of the student 'b'"
    ):  # as many, in another order
        asked = InitialModel(student, UNITS, None)
        other = TeacherModel(small_ctc("subsampled gru", seed=2), Units(tuple("acbdef"), spelling="spoken"))
        CtcTask().objective(asked, [Utterance("0", Path("x"), 9.0, "abc", "s")], settings, other, torch.device("cpu"))


def test_a_teacher_with_shorter_frames_is_pooled() -> None:
    said = torch.tensor([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.2, 0.0, 0.8], [0.6, 0.2, 0.2], [0.0, 1.0, 0.0]])
    found = pooled(said.log()[None], torch.tensor([4]), 2).exp()[0]
    assert found.shape == (3, 3)
    assert torch.allclose(found[0], torch.tensor([0.1, 0.9, 0.0]), atol=1e-5)
    assert torch.allclose(found[1], torch.tensor([0.0, 0.2, 0.8]), atol=1e-5)
    assert torch.allclose(found[2], torch.tensor([1.0, 0.0, 0.0]), atol=1e-5)  # what is not real is blank
    student, settings = small_ctc("subsampled conformer"), TrainSettings(distillation=0.7, distillation_on="all")  # x4
    asked = objective(student, small_ctc("subsampled gru"), settings)  # x2
    assert asked.teacher.ratio == 2
    audio, lengths = AudioBank(clips()).gather([0, 1, 2])
    heard, frames = student(*asked.teacher.features(audio, lengths))
    wanted = asked.teacher.log_probs(audio, lengths)
    assert abs(wanted.shape[1] - heard.shape[1]) <= 1
    assert torch.isfinite(frame_distillation(heard, wanted, frames))


def test_a_model_labels_what_has_no_transcript(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [u for u in read_manifest(speech / "free-spoken-digits" / "test.jsonl") if u.duration < 0.9][:5]
    write_manifest(tmp_path / "some.jsonl", [*(replace_text(u, "") for u in found[:3]), *found[3:]])
    units = characters_of(["abcdef"])
    save_checkpoint(tmp_path / "model", small_ctc("subsampled gru"), units)
    words = ["data", "label", str(tmp_path / "some.jsonl"), "--model", str(tmp_path / "model"), "--json"]
    assert main([*words, "--out", str(tmp_path / "all.jsonl"), "--sure", "0.0"]) == 0
    told = json.loads(capsys.readouterr().out)
    written = read_manifest(tmp_path / "all.jsonl")
    assert told["labelled"] + told["doubtful"] == 3 and told["clips"] == 2 + told["labelled"] == len(written)
    assert all(u.text for u in written) and [u.text for u in written][-2:] == [u.text for u in found[3:]]
    assert main([*words, "--out", str(tmp_path / "none.jsonl"), "--sure", "1.0"]) == 0
    assert [u.id for u in read_manifest(tmp_path / "none.jsonl")] == [u.id for u in found[3:]]
    capsys.readouterr()  # A second model that hears the same, or nothing of it:
    save_checkpoint(tmp_path / "other", small_ctc("subsampled gru", seed=5), units)
    for second, apart in (("model", 0), ("other", told["labelled"])):
        agree = ["--sure", "0.0", "--agree", str(tmp_path / second), "--out", str(tmp_path / "agreed.jsonl")]
        assert main([*words, *agree]) == 0
        assert json.loads(capsys.readouterr().out)["apart"] == apart


def test_a_whisper_labels_what_people_said(speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = [u for u in read_manifest(speech / "librispeech-mini" / "dev.jsonl") if u.duration < 6][:4]
    write_manifest(tmp_path / "some.jsonl", [replace_text(u, "") for u in clips])
    words = ["data", "label", str(tmp_path / "some.jsonl"), "--model", "secateur-en", "--sure", "0.3", "--json"]
    assert main([*words, "--out", str(tmp_path / "all.jsonl")]) == 0
    written = {u.id: spoken(u.text) for u in read_manifest(tmp_path / "all.jsonl")}
    assert len(written) >= 3
    counts = [count_errors(u.text, written[u.id], "wer") for u in clips if u.id in written]
    assert total(counts).rate < 0.35


def replace_text(u: Utterance, text: str) -> Utterance:
    return Utterance(u.id, u.audio, u.duration, text, u.speaker, u.language)
