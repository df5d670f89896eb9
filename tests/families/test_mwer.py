"""Minimum word error rate training: the list is a beam search, the loss its expectation, gradients lower errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kaldialign")

from small_models import inputs, small_whisper  # noqa: E402

from secateur.data.bank import AudioBank  # noqa: E402
from secateur.decode.rules import Rules  # noqa: E402
from secateur.decode.search import beam_search  # noqa: E402
from secateur.evaluate.error_rate import compare_texts  # noqa: E402
from secateur.families.seq2seq.greedy import max_tokens  # noqa: E402
from secateur.families.seq2seq.mwer import MwerTarget, expected_errors, mwer_loss  # noqa: E402
from secateur.families.seq2seq.nbest import alternatives_of, clips_of, nbest  # noqa: E402
from secateur.features.front_end import extractor  # noqa: E402
from secateur.models.device_session import TorchSession  # noqa: E402
from secateur.models.token_network import encoder_inputs  # noqa: E402
from secateur.prune.shrink import shrink  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402


def test_expected_errors_are_the_formula() -> None:
    log_probs, errors = (
        torch.tensor([[-1.0, -2.0], [-2.0, -0.5], [-4.0, -3.0]]),
        torch.tensor([[0.0, 3], [1, 1], [5, 2]]),
    )
    for clip in range(2):
        p = np.exp(log_probs[:, clip].numpy())
        e = errors[:, clip].numpy()
        expected = float((p / p.sum() * (e - e.mean())).sum())
        assert float(expected_errors(log_probs, errors)[clip]) == pytest.approx(expected, abs=1e-6)


def score(model, mel, frames, prompt, ids, ended):  # type: ignore[no-untyped-def]
    """Log probability of one row, teacher-forced, under the rules of decoding."""
    tokens = model.config.tokens
    rules = Rules.of(tokens, model.config.vocabulary, False)
    row = [*prompt, *ids, *([tokens.end] if ended else [])]
    logits = model(mel, frames, torch.tensor([row[:-1]]))[0, len(prompt) - 1 :].detach()
    logits = logits + torch.from_numpy(np.stack([rules.at_start] + [rules.always] * (len(logits) - 1)))
    each = logits.log_softmax(-1)
    return float(sum(each[i, token] for i, token in enumerate(row[len(prompt) :])))


@pytest.mark.parametrize("merging", [(), (2, 1, 1, 1)])
def test_the_list_is_the_best_of_a_beam_with_right_scores(merging: tuple[int, ...]) -> None:
    model, _ = small_whisper()
    if merging:
        from dataclasses import replace

        model = type(model)(replace(model.config, frame_merging=merging)).eval()
        model.load_state_dict(small_whisper()[0].state_dict())
    mel, frames, _ = inputs(model)
    prompt = model.config.tokens.prompt()
    with torch.no_grad():
        audio = model.encode(mel, frames)
    found = nbest(model, audio, torch.tensor([prompt] * 3), 4, 6)
    end = model.config.tokens.end
    assert found.ids.shape[:2] == (4, 3)
    for clip, place in itertools.product(range(3), range(4)):
        row = found.ids[place, clip].tolist()
        ids = row[: row.index(end)] if end in row else row
        alone = score(model, mel[clip : clip + 1], frames[clip : clip + 1], prompt, ids, len(ids) < 6)
        assert float(found.scores[place, clip]) == pytest.approx(alone, abs=2e-3)
    assert bool((found.scores[:-1] >= found.scores[1:]).all())
    rows = {tuple(found.ids[place, 0].tolist()) for place in range(4)}
    assert len(rows) == 4
    session = TorchSession(model)
    state = session.encode(mel.numpy(), frames.numpy())
    logits, state = session.step(np.array([prompt] * 3), state)
    rules = Rules.of(model.config.tokens, model.config.vocabulary, False)
    best = beam_search(session, state, logits, rules, 6, 4, length_penalty=0.0)
    for clip, hypothesis in enumerate(best):
        assert float(found.scores[0, clip]) >= hypothesis.log_prob - 2e-3


def test_the_loss_is_that_of_the_list_and_reaches_encoder_and_decoder() -> None:
    model, tokenizer = small_whisper()
    model = shrink(model, {"encoder.layers.0.ffn": list(range(20))})
    mel, frames, _ = inputs(model)
    prompt = tuple(model.config.tokens.prompt())
    texts = [" the cat sat", " on a mat", " home"]
    targets = [MwerTarget(i, prompt, tuple(tokenizer.encode(text)), "en") for i, text in enumerate(texts)]

    def loss_now() -> torch.Tensor:
        return mwer_loss(model, model.encode(mel, frames), targets, tokenizer, 4)

    before = loss_now()
    longest = round(1.25 * max(len(target.reference) for target in targets)) + 8
    with torch.no_grad():
        listed = nbest(model, model.encode(mel, frames), torch.tensor([prompt] * 3), 4, longest)
    end, expected = model.config.tokens.end, 0.0
    for clip, text in enumerate(texts):
        rows = [row[: row.index(end)] if end in row else row for row in listed.ids[:, clip].tolist()]
        errors = torch.tensor([float(compare_texts(text, tokenizer.decode(r), "en").counts.errors) for r in rows])
        scores = []
        for row in rows:
            ids = [*prompt, *row, *([end] if len(row) < longest else [])]
            logits = model(mel[clip : clip + 1], frames[clip : clip + 1], torch.tensor([ids[:-1]]))[0].log_softmax(-1)
            targets_at = range(len(prompt) - 1, len(ids) - 1)
            scores.append(float(sum(logits[i, ids[i + 1]].detach() for i in targets_at)))
        share = torch.tensor(scores).softmax(0)
        expected += float((share * (errors - errors.mean())).sum())
    assert float(before.detach()) == pytest.approx(expected, abs=1e-3) and expected != 0
    before.backward()  # type: ignore[no-untyped-call]
    for name in ("encoder.conv1.weight", "decoder.layers.0.ffn.up.weight", "decoder.token_embedding.weight"):
        assert float(dict(model.named_parameters())[name].grad.norm()) > 0


def test_alternatives_are_the_texts_of_the_list_clip_by_clip() -> None:
    model, tokenizer = small_whisper()
    clips = [np.random.default_rng(i).standard_normal(n).astype(np.float32) for i, n in enumerate((9000, 16000, 9000))]
    bank = AudioBank(clips, torch.device("cpu"))
    lists = alternatives_of(model, tokenizer, bank, ["en"] * 3, 3, 6.0)
    prompt, end = model.config.tokens.prompt(), model.config.tokens.end
    for clip, listed in enumerate(lists):
        audio = model.encode(*encoder_inputs(extractor(model.config.front_end), *bank.gather([clip]), model.config))
        alone = nbest(model, audio, torch.tensor([prompt]), 3, max_tokens(model, prompt))
        for place, one in enumerate(listed):
            ids = alone.ids[place, 0].tolist()
            assert one.text == tokenizer.decode(ids[: ids.index(end)] if end in ids else ids).strip()
            assert one.log_prob == pytest.approx(float(alone.scores[place, 0]), abs=2e-3)


def test_the_search_leaves_the_encoded_audio_as_it_was() -> None:
    model, _ = small_whisper()
    mel, frames, tokens = inputs(model)
    audio = model.encode(mel, frames)
    nbest(model, clips_of(audio, torch.tensor([2, 0])), torch.tensor([model.config.tokens.prompt()] * 2), 3, 5)
    assert audio.length == 0 and all(layer.keys is None for layer in audio.layers)
    torch.testing.assert_close(model.decoder(tokens, audio, model.dropout), model(mel, frames, tokens))


@pytest.mark.parametrize(
    ("share", "total", "first"), [(0.0, 10, None), (0.2, 10, 8), (1.0, 10, 0), (0.5, 3, 1), (0.0, 1, None)]
)
def test_the_share_says_from_which_step_on(share: float, total: int, first: int | None) -> None:
    settings = TrainSettings(mwer=share)
    steps = [step for step in range(total + 3) if settings.by_word_errors(step, total)]
    assert (steps[0] if steps else None) == first
