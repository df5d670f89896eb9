"""A teacher's tokens are matched with the student's by what they stand for, or it is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
from small_models import inputs, small_whisper  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.families.seq2seq.task import teacher_rows  # noqa: E402
from secateur.families.whisper.model import Whisper  # noqa: E402
from secateur.models.family import TeacherModel  # noqa: E402
from secateur.prune.initial_model import InitialModel, make_initial_model  # noqa: E402
from secateur.prune.settings import PruneSettings  # noqa: E402
from secateur.text.tokenizer import Tokenizer  # noqa: E402

TEXTS = ["the cat sat", "she had a hat"]


def cut(model: Whisper, text: Tokenizer) -> InitialModel:
    return make_initial_model(model, text, TEXTS, PruneSettings(vocabulary=True, audio_seconds=None, text_tokens=None))


def test_a_pruned_student_is_taught_by_a_whole_teacher() -> None:
    """Whether its rows were cut in this run or before it."""
    model, text = small_whisper()
    first = cut(model, text)
    assert first.rows is not None and first.model.config.vocabulary < model.config.vocabulary
    teacher = TeacherModel(model, text)
    now = teacher_rows(first, teacher)
    before = teacher_rows(InitialModel(first.model, first.tokenizer, None), teacher)
    assert now is not None and before is not None
    assert torch.equal(now, first.rows) and torch.equal(before, first.rows)
    mel, frames, _ = inputs(model)
    tokens = torch.tensor([first.tokenizer.encode("the cat")] * 3)
    taught = model(mel, frames, before[tokens])[..., before]
    assert torch.allclose(first.model(mel, frames, tokens), taught, atol=1e-4)


def test_a_teacher_with_the_same_tokens_needs_no_rows() -> None:
    model, text = small_whisper()
    assert teacher_rows(InitialModel(model, text, None), TeacherModel(small_whisper(1)[0], text)) is None


def test_a_teacher_that_writes_other_tokens_is_refused() -> None:
    """Also one whose vocabulary is as large, or larger: as large, its rows stand for other texts."""
    model, text = small_whisper()
    student = InitialModel(model, text, None)
    small = cut(model, text)
    with pytest.raises(SecateurError, match="this one writes others"):  # lacks rows of the student's
        teacher_rows(student, TeacherModel(small.model, small.tokenizer))
    values = json.loads(text.definition)
    first, last = values["model"]["merges"][-1]
    values["model"]["vocab"][first + "a"] = values["model"]["vocab"].pop(first + last)
    values["model"]["merges"][-1] = [first, "a"]
    other = Tokenizer(json.dumps(values), text.end)
    assert len(other) == len(text)
    with pytest.raises(SecateurError, match="secateur data label"):
        teacher_rows(student, TeacherModel(model, other))
    many = small_whisper()[0]
    many.config = replace(many.config, tokens=replace(many.config.tokens, multilingual=True))
    with pytest.raises(SecateurError, match="this one writes others"):  # its texts begin with a language
        teacher_rows(student, TeacherModel(many, text))
