"""The examples of a run: what is joined, prompted and without speech, as numbers, as sound and as tokens."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_ctc import small_ctc  # noqa: E402
from small_models import WORDS, small_whisper  # noqa: E402
from train_small import SETTINGS, Stop, StoppedError  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.base.options import from_dict  # noqa: E402
from secateur.data.bank import AudioBank  # noqa: E402
from secateur.families.ctc.objective import Ctc, ctc_loss  # noqa: E402
from secateur.families.seq2seq.objective import Seq2Seq, rare_words  # noqa: E402
from secateur.families.whisper.model import Whisper  # noqa: E402
from secateur.study.sets_of_job import read_nonspeech  # noqa: E402
from secateur.train.loop import train  # noqa: E402
from secateur.train.loss import Batch  # noqa: E402
from secateur.train.mix import KINDS, Break, Example, MixSettings, Prompt, plain  # noqa: E402
from secateur.train.prepare import Preparer, compose  # noqa: E402
from secateur.train.run import TrainingRun  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402
from secateur.train.stream import Mix, batch_stream, epoch_steps  # noqa: E402
from secateur.train.targets import IGNORE, batch_of_rows  # noqa: E402

CPU = torch.device("cpu")
RATE = 16000
FULL = MixSettings().resolved(pretrained=True)
TEXTS = ["the cat sat", "on a mat", "and then", "the cat went home", "mat", "home", "a cat", "then on"]


def real_use_model(seed: int = 0) -> tuple[Any, Any]:
    """A small Whisper with all the tokens: timestamps up to 30 s, previous text, no speech."""
    model, tokenizer = small_whisper()
    end = tokenizer.end
    tokens = replace(
        model.config.tokens, timestamp_count=1501, no_speech=end + 1504, previous=end + 1505,
    )  # fmt: skip
    torch.manual_seed(seed)
    config = replace(model.config, vocabulary=end + 1506, tokens=tokens, text_context=64, audio_context=1500)
    return Whisper(config).eval(), tokenizer


def sounds(count: int = 8, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    """Clips with 0.2 to 0.5 s of hiss on both sides of a tone."""
    random = np.random.default_rng(seed)
    made = []
    for i in range(count):
        time = np.arange(int(RATE * random.uniform(0.5, 1.2))) / RATE
        tone = 0.3 * np.sin(2 * np.pi * (200 + 150 * i) * time)
        parts = [np.zeros(int(RATE * random.uniform(0.2, 0.5))), tone, np.zeros(int(RATE * random.uniform(0.2, 0.5)))]
        clip = np.concatenate(parts)
        made.append((clip + 0.002 * random.standard_normal(len(clip))).astype(np.float32))
    return made


def job(model: Any, tokenizer: Any, use: MixSettings | None) -> tuple[AudioBank, Mix, Seq2Seq]:
    tokens = model.config.tokens
    rows = [[*tokens.prompt(), *tokenizer.encode(text), tokens.end] for text in TEXTS]
    clips = sounds(len(TEXTS))
    mix = Mix([len(c) / RATE for c in clips], use=use, longest=20.0, timed=True)
    return AudioBank(clips), mix, Seq2Seq(rows, len(tokens.prompt()), room=64, tokens=tokens, tokenizer=tokenizer)


def seconds(count: int = 400, seed: int = 0) -> list[float]:
    return np.random.default_rng(seed).uniform(1, 9, count).tolist()


def test_every_clip_is_learnt_once_an_epoch_in_the_shares_that_were_asked_for() -> None:
    mix = Mix(seconds(), tuple(seconds(200, 1)), 0.3, use=FULL, stretch=1.1, timed=True, recorded=True)
    batches = [batch for part in mix.batches(60.0, 3, 0) for batch in part]
    examples = [example for batch in batches for example in batch]
    speech = [e for e in examples if e.clips]
    whole = Counter(row for e in speech for row in e.complete)
    assert sorted(whole) == sorted(mix.epoch(3, 0)) and set(whole.values()) == {1}
    joined = [e for e in speech if e.pauses]
    assert sum(len(e.complete) for e in joined) == pytest.approx(0.25 * len(whole), abs=4)
    assert {len(e.complete) for e in joined} >= {1, 2, 3, 4}
    assert all(mix.seconds(e) <= 30.0 + 1e-6 and len({row < 400 for row in e.clips}) == 1 for e in joined)
    assert 0.12 < 1 - len(speech) / len(examples) < 0.18
    assert 0.35 < sum(e.timed for e in joined) / len(joined) < 0.65
    assert 0.42 < sum(e.prompt is not None for e in examples) / len(examples) < 0.58
    assert {e.sound for e in examples if not e.clips} <= set(KINDS)
    padded = [len(b) * max(map(mix.seconds, b)) for b in batches]
    assert np.mean(padded) <= 60 and max(padded) <= 60 + 30
    pauses = [p for e in joined for p in e.pauses]
    assert min(p for p in pauses if p) > 0.01 and max(pauses) > 5


def test_shares_of_zero_are_plain_clips_and_a_language_is_never_broken() -> None:
    off = MixSettings(nonspeech=0, joined=0, paused=0, prompts=0)
    for batch in next(Mix(seconds(50), use=off, timed=True).batches(60.0, 0, 0)):
        assert batch == plain([row for e in batch for row in e.clips])
    names = ["en", "de", "fr"]
    mix = Mix(seconds(), use=replace(FULL, joined=1.0), language=lambda row: names[row % 3], timed=True)
    for batch in next(mix.batches(60.0, 0, 0)):
        assert all(len({row % 3 for row in e.clips}) == 1 for e in batch if e.clips)
    untimed = Mix(seconds(), use=replace(FULL, joined=1.0))
    assert not any(e.timed or e.cut_after for b in next(untimed.batches(60.0, 0, 0)) for e in b)


def test_the_stream_is_decided_by_its_seed_and_can_be_entered_anywhere() -> None:
    for window in (0, 90):
        mix = Mix(seconds(), window=window, use=FULL, timed=True)
        steps = epoch_steps(mix, 60.0, 5)
        two = list(itertools.islice(batch_stream(mix, 60.0, 5), 2 * steps))
        assert two[:steps] != two[steps:] and two != list(itertools.islice(batch_stream(mix, 60.0, 6), 2 * steps))
        for skip in (0, 1, steps // 2, steps, steps + 3):
            assert next(batch_stream(mix, 60.0, 5, skip)) == two[skip]


def test_joints_are_where_the_tones_are() -> None:
    clips = sounds(5)
    bank = AudioBank(clips)
    examples = [
        Example((2, 0, 4), (1.0, 0.5, 3.0, 2.0), True), Example((1,)), Example((3, 1), (0.0, 0.7, 0.0), True, 0.6),
        Example((), sound="hum", seconds=0.4),
    ]  # fmt: skip
    rows = [row for e in examples for row in e.clips]
    audio, _ = bank.gather(rows)
    made, lengths, joints = compose(examples, audio, bank.samples_of(rows), RATE, torch.Generator().manual_seed(0))
    size = [len(clip) / RATE for clip in clips]
    wanted = [size[2] + size[0] + size[4] + 6.5, size[1], size[3] + 0.7 + 0.6, 0.4]
    assert lengths.tolist() == pytest.approx([s * RATE for s in wanted], abs=3)
    loud = made.abs() > 0.1
    for example, (row, borders) in enumerate(zip(loud[:3], joints[:3], strict=True)):
        places = torch.nonzero(row)[:, 0] / RATE
        assert float(places[0]) == pytest.approx(0.02 * float(borders[0, 0]), abs=0.06)
        count = len(examples[example].complete)
        for start, end in (0.02 * borders[:count]).tolist():
            assert loud[example, int((start + 0.08) * RATE) : int((end - 0.08) * RATE)].float().mean() > 0.5
            around = made[example, int((end + 0.05) * RATE) : int((end + 0.15) * RATE)]
            assert float(around.abs().max()) < 0.05
    pause = made[0, int((1.0 + size[2] + 0.1) * RATE) : int((1.0 + size[2] + 0.4) * RATE)]
    assert float(pause.square().mean().sqrt()) == pytest.approx(0.002, rel=0.3)  # the room goes on
    assert not made[1, lengths[1] :].any()


def test_targets_decode_back_to_text_times_and_prompts() -> None:
    model, tokenizer = real_use_model()
    _, _, objective = job(model, tokenizer, FULL)
    tokens = model.config.tokens
    settings = TrainSettings(mix=FULL, bpe_dropout=0.0)
    examples = [
        Example((3, 0), (0.0, 2.0, 1.0), True), Example((1, 5), (0.3, 0.4, 0.0)),
        Example((2,), prompt=Prompt("previous", 0, 1)), Example((3,), prompt=Prompt("words", 7, 3)),
        Example((), sound="silence", seconds=1.0), Example((), sound="hum", seconds=1.0, prompt=Prompt("wrong", 3, 0)),
        Example((4, 6), (0.0, 0.5, 0.0), True, 0.4),
    ]  # fmt: skip
    rows = [objective.target(e, 0, settings) for e in examples]
    joints = torch.arange(len(examples) * 4).view(-1, 2, 2)
    batch = batch_of_rows(rows, tokens.end, joints, tokens.timestamp_count, CPU)

    def asked(i: int) -> list[int]:
        return [label for label in batch.labels[i].tolist() if label != IGNORE]

    def read(ids: list[int]) -> list[Any]:
        """Texts between the special tokens, which are numbers of steps or ids."""
        found: list[Any] = []
        for special, group in itertools.groupby(ids, lambda i: i >= tokens.end):
            many = list(group)
            found += (
                [i - tokens.timestamps if i >= tokens.timestamps and i < tokens.no_speech else i for i in many]
                if special
                else [tokenizer.decode(many).strip()]
            )
        return found

    assert read(asked(0)) == [0, "the cat went home", 1, 2, "the cat sat", 3, tokens.end]
    assert read(asked(1)) == ["on a mat home", tokens.end]
    assert read(asked(2)) == ["and then", tokens.end]
    assert read(batch.inputs[2].tolist())[:3] == [tokens.previous, "the cat sat", tokens.start]
    words = read(batch.inputs[3].tolist())[1]
    listed = words.split(", ")
    assert set(listed) & set(TEXTS[3].split()) and set(listed) <= set(" ".join(TEXTS).split())
    assert read(asked(3)) == ["the cat went home", tokens.end]
    for i in (4, 5):
        assert asked(i) == [tokens.no_speech, tokens.end]
    start = batch.inputs[5].tolist().index(tokens.start)
    assert start > 1 and batch.labels[5, start] == tokens.no_speech
    # A window that ends inside a clip: the next one begins where that clip does.
    assert read(asked(6)) == [24, "mat", 25, 26, tokens.end]
    assert objective.counts(examples, 0, settings) == [len(asked(i)) + bool(e.clips) for i, e in enumerate(examples)]


def test_nothing_is_asked_of_a_prompt() -> None:
    model, tokenizer = real_use_model()
    _, _, objective = job(model, tokenizer, FULL)
    settings = TrainSettings(mix=FULL, distillation=0.0)
    examples = [Example((0,), prompt=Prompt("previous", 3, 1)), Example((1,))]
    mel = torch.randn(2, 90, model.config.front_end.bins)
    batch = Batch(examples, 8, torch.zeros(2, 14400), torch.tensor([14400] * 2), mel, torch.tensor([90, 90]), 0)
    seen: list[Any] = []

    def look(module: Any, inputs: Any, output: Any) -> None:
        output.retain_grad()
        seen.append(output)

    hook = model.decoder.register_forward_hook(look)
    objective(model, batch, settings).backward()
    hook.remove()
    before = len(tokenizer.encode(TEXTS[3])) + 1  # the previous text and its token; then comes the start token
    gradient = seen[0].grad.abs().sum(-1)
    assert not gradient[0, :before].any() and gradient[0, before] > 0
    assert gradient[0, before + 1] > 0 and gradient[1, 0] > 0  # after <|notimestamps|>, and at the start token


def test_a_long_text_or_prompt_is_cut_to_the_text_context() -> None:
    model, tokenizer = real_use_model()
    _, _, objective = job(model, tokenizer, FULL)
    objective.room = 20
    long = objective.target(Example((0, 1, 2, 3, 4, 5, 6, 7), (0.1,) * 9, True), 0, TrainSettings(mix=FULL))
    assert len(long.ids) == 20 and long.ids[-1] != model.config.tokens.end
    assert max(place for place, _, _ in long.times) < 20
    short = objective.target(Example((4,), prompt=Prompt("previous", 3, 0)), 0, TrainSettings(mix=FULL))
    assert len(short.ids) <= 20 and short.ids[-1] == model.config.tokens.end
    assert short.start <= 10


USED = replace(FULL, nonspeech=0.3, pause=(0.1, 1.0))


def run_mixed(
    folder: Path | None, stop: int | None = None, mix: MixSettings = USED,
    **changed: Any,
) -> tuple[Any, Any, Any]:  # fmt: skip
    torch.set_num_threads(1)
    model, tokenizer = real_use_model()
    bank, examples, objective = job(model, tokenizer, mix)
    settings = TrainSettings(**{
        **SETTINGS, "mix": mix, "batch_seconds": 12.0, "validate_every": 100.0, "select": "last", **changed
    })  # fmt: skip
    run = TrainingRun(
        bank, examples, objective, callbacks=[] if stop is None else [Stop(stop)], folder=folder, label="mixed"
    )
    log = train(model, run, settings)
    return model, bank, log


def test_a_stopped_run_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    whole, _, _ = run_mixed(None, steps=6, save_every=2)
    with pytest.raises(StoppedError):
        run_mixed(tmp_path, stop=3, steps=6, save_every=2)
    again, _, _ = run_mixed(tmp_path, steps=6, save_every=2)
    for name, value in again.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name


def test_silence_is_learnt_and_speech_is_not_taken_for_it() -> None:
    model, tokenizer = real_use_model()
    bank, mix, objective = job(model, tokenizer, FULL)
    settings = TrainSettings(mix=mix.use, augment=None, spec_augment=None, distillation=0.0)
    examples = [*plain([1, 4, 5]), *(Example((), sound="coloured", seconds=s) for s in (0.8, 1.2))]
    batch = Preparer(TrainingRun(bank, mix, objective), settings, model, 0)(examples, 0, 10)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        objective(model, batch, settings).backward()
        optimizer.step()
    tokens = model.config.tokens
    start = torch.full((len(batch.features), 1), tokens.start)  # where the reference reads it, before language and task
    logits = model.eval().step(start, model.encode(batch.features, batch.frames))
    found = logits.softmax(-1)[:, tokens.no_speech]
    assert float(found[:3].max()) < 0.3 and float(found[3:].min()) > 0.7


def test_a_ctc_model_writes_blanks_where_nobody_speaks() -> None:
    objective = Ctc([[1, 2], [3], [4, 5, 6]], boundary=9)
    examples = [Example((0, 2), (0.0, 1.0, 0.0)), Example((), sound="hum", seconds=1.0), Example((1,))]
    assert [list(objective.target(e)) for e in examples] == [[1, 2, 9, 4, 5, 6], [], [3]]
    assert objective.counts(examples, 0, TrainSettings()) == [6, 1, 1]
    logits = torch.randn(3, 30, 10, requires_grad=True)
    log_probs = logits.log_softmax(-1)
    frames = torch.tensor([30, 20, 12])
    found = ctc_loss(log_probs, frames, [objective.target(e) for e in examples])
    blanks = -log_probs[1, :20, 0].sum()
    alone = ctc_loss(log_probs[[0, 2]], frames[[0, 2]], [[1, 2, 9, 4, 5, 6], [3]])
    torch.testing.assert_close(found, (7 * alone + blanks) / 8)
    assert small_ctc("gru") is not None


def test_parts_of_a_batch_have_its_gradient_with_silence_in_it() -> None:
    model, tokenizer = real_use_model()
    bank, mix, objective = job(model, tokenizer, replace(FULL, nonspeech=0.4))
    settings = TrainSettings(mix=mix.use, dropout=0.0, distillation=0.0, spec_augment=None)
    batch = Preparer(TrainingRun(bank, mix, objective), settings, model, 0)(next(batch_stream(mix, 40.0, 1)), 0, 10)
    assert any(not e.clips for e in batch.examples)
    counts = objective.counts(batch.examples, 0, settings)
    parts = [batch.micro_batch(number, 3) for number in range(3)]
    shares = [sum(counts[number::3]) / sum(counts) for number in range(3)]
    with torch.no_grad():
        dealt = sum(s * objective(model, part, settings) for s, part in zip(shares, parts, strict=True))
        torch.testing.assert_close(dealt, objective(model, batch, settings), rtol=1e-4, atol=1e-5)


def test_rare_words_are_the_names() -> None:
    _, tokenizer = small_whisper()
    ids = tokenizer.encode("Zbigniew sat on the Quetzalcoatl")
    drawn = {word for seed in range(20) for word in rare_words(tokenizer, ids, 3, np.random.default_rng(seed))}
    assert {"Zbigniew", "Quetzalcoatl"} <= drawn and not drawn & {"on"}
    assert set(WORDS) >= {"the", "on"}
    chinese = rare_words(tokenizer, tokenizer.encode("今天下午三点在北京大学开会讨论"), 2, np.random.default_rng(0))
    assert chinese and all(2 <= len(word) <= 4 for word in chinese)


def test_recordings_without_speech_are_those_to_train_with(tmp_path: Path) -> None:
    import soundfile

    random = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * random.standard_normal(RATE * "abc".index(name) + RATE), RATE)
    lines = [
        {"id": name, "audio": f"{name}.wav", "duration": 1.0, "text": "", **more}
        for name, more in (("a", {}), ("b", {"split": "train"}), ("c", {"split": "test"}))
    ]
    path = tmp_path / "quiet.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    bank = read_nonspeech([path], CPU)
    assert bank is not None and len(bank) == 2
    path.write_text(json.dumps({**lines[0], "text": "hello"}) + "\n")
    with pytest.raises(SecateurError, match="clip 'a' has a text"):
        read_nonspeech([path], CPU)


def test_settings_are_checked_and_can_be_turned_off() -> None:
    assert TrainSettings().resolved(pretrained=True, teacher=False).mix == FULL
    assert TrainSettings().mix is not None and not TrainSettings().mix.on
    new = TrainSettings().resolved(pretrained=False, teacher=False).mix
    assert new is not None and not new.on and MixSettings(joined=0.5).resolved(False).joined == 0.5
    assert from_dict(TrainSettings, {"mix": "none"}).mix is None
    assert from_dict(TrainSettings, {"mix": {"joined": 0.1}}).mix == MixSettings(joined=0.1)
    with pytest.raises(SecateurError, match=r"nonspeech must be at least 0 and at most 0\.9"):
        from_dict(TrainSettings, {"mix": {"nonspeech": 1.5}})
    with pytest.raises(SecateurError, match="unknown key 'join'"):
        from_dict(TrainSettings, {"mix": {"join": 0.5}})


def test_pauses_inside_clips_fit_the_window_and_change_nothing_else() -> None:
    def drawn(use: MixSettings) -> list[Example]:
        mix = Mix(seconds(), use=use, timed=True, stretch=1.1)
        return [e for batch in next(mix.batches(60.0, 0, 0)) for e in batch if e.clips]

    without, broken = drawn(replace(FULL, paused=0)), drawn(replace(FULL, paused=0.3))
    breaks = [b for e in broken for b in e.breaks]
    assert len(breaks) == pytest.approx(0.3 * 400, abs=30) and not any(e.breaks for e in without)
    by_clips = {e.clips: e for e in without}
    assert all(replace(e, breaks=()) == by_clips[e.clips] for e in broken)
    assert all(0.3 <= b.seconds <= 8 and 0 < b.first < b.last <= 1 and b.position < len(e.complete)
               for e in broken for b in e.breaks)  # fmt: skip
    mix = Mix(seconds(), stretch=1.1)
    assert max(mix.seconds(e) for e in broken if e.breaks) <= 30


def test_a_pause_comes_at_the_quiet_moment_and_no_sample_is_lost() -> None:
    """Two tones with a silence between them: the pause goes there, and what is around it stays as it was."""
    random, time = np.random.default_rng(0), np.arange(int(0.5 * RATE)) / RATE
    tone = (0.3 * np.sin(2 * np.pi * 300 * time)).astype(np.float32)
    quiet = np.zeros(int(0.4 * RATE), np.float32)
    clip = np.concatenate([quiet, tone, quiet, tone, quiet]) + (0.001 * random.standard_normal(35200)).astype(
        np.float32
    )
    examples = [
        Example((0, 0), (0.5, 0.5, 0.5), breaks=(Break(1, 2.0, 0.3, 0.7),)),
        Example((0,), breaks=(Break(0, 1.0, 0.2, 0.8),)), Example((0,)),
    ]  # fmt: skip
    audio = torch.from_numpy(np.stack([clip] * 4))
    made, lengths, joints = compose(examples, audio, [len(clip)] * 4, RATE, torch.Generator().manual_seed(0))
    assert lengths.tolist() == [int(RATE * s) for s in (1.5 + 2 * 2.2 + 2.0, 3.2, 2.2)]
    middle = int(1.1 * RATE)
    single = made[1].numpy()
    where = next(n for n in range(middle - 3200, middle + 3201) if np.array_equal(single[:n], clip[:n])
                 and np.array_equal(single[n + RATE : len(clip) + RATE], clip[n:]))  # fmt: skip
    assert 0 < np.abs(single[where : where + RATE]).max() < 0.01  # the room goes on
    assert (0.02 * joints[1, 0]).tolist() == pytest.approx([0.4, 2.8], abs=0.07)
    assert (0.02 * joints[0, 1]).tolist() == pytest.approx(
        [0.5 + 2.2 + 0.5 + 0.4, 0.5 + 2.2 + 0.5 + 1.8 + 2.0], abs=0.07
    )
