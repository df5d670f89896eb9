"""Moonshine: read as `transformers` writes it, trained, cut, written again; masked equals shrunk, ONNX equals both."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from small_models import random_units  # noqa: E402
from small_moonshine import moonshine_folder  # noqa: E402
from speech_clips import clips  # noqa: E402

from secateur.decode.loops import cut_loops  # noqa: E402
from secateur.export.onnx import export_onnx  # noqa: E402
from secateur.export.parity import parity, source_steps  # noqa: E402
from secateur.families.moonshine.config import GroupedAttentionWidths  # noqa: E402
from secateur.families.moonshine.cost import count_parameters, macs_by_part  # noqa: E402
from secateur.families.moonshine.folder import read_pieces, write_moonshine  # noqa: E402
from secateur.families.moonshine.model import Moonshine  # noqa: E402
from secateur.families.seq2seq.greedy import greedy  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.prune.importance import CRITERIA  # noqa: E402
from secateur.prune.shrink import mask, shrink  # noqa: E402
from secateur.prune.soft.gating import Gating  # noqa: E402
from secateur.runtime.onnx_session import OnnxSession  # noqa: E402
from secateur.train.loss import cross_entropy  # noqa: E402
from secateur.train.targets import token_batch  # noqa: E402
from secateur.weights.fetch import read_foreign  # noqa: E402

FRAMES = (16000, 9003, 300)  # the last is shorter than one position


def batch(model: Moonshine) -> tuple[Any, Any, Any]:
    """Samples (3, 16000, 1) of which rows have `FRAMES`; what follows is noise that nobody may hear; tokens (3, 6)."""
    generator = torch.Generator().manual_seed(1)
    samples = 0.3 * torch.randn(3, 16000, 1, generator=generator)
    return samples, torch.tensor(FRAMES), torch.randint(0, model.config.tokens.end, (3, 6), generator=generator)


def said(model: Moonshine) -> Any:
    """The logits of the batch."""
    with torch.no_grad():
        return model(*batch(model))


def widen(model: Moonshine) -> dict[str, list[int]]:
    """A plan that keeps about two thirds of everything, differently in every layer."""
    groups = [g for g in model.groups() if g.kind != "layer"]
    return {g.name: random_units(g, (0.5, 0.75, 0.9)[i % 3], i) for i, g in enumerate(groups) if g.kind != "vocabulary"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Moonshine, Any, Path]:
    """The `transformers` module, ours from its folder, the tokenizer, the folder."""
    folder = tmp_path_factory.mktemp("moonshine")
    theirs = moonshine_folder(folder)
    return theirs, *read_foreign(folder), folder  # type: ignore[return-value]


@pytest.fixture(scope="module")
def learnt(speech: Path, pair: tuple[Any, Moonshine, Any, Path]) -> tuple[Moonshine, Any, list[Any]]:
    """Ours after some steps on real digits, its tokenizer, and the clips."""
    torch.manual_seed(0)
    model, text = copy.deepcopy(pair[1]).train(), pair[2]
    heard = clips(speech, "free-spoken-digits", 6, "train")
    tokens = model.config.tokens
    rows = [[tokens.start, *text.encode(said), tokens.end] for _, said in heard]
    longest = max(len(audio) for audio, _ in heard)
    samples = torch.stack([torch.from_numpy(np.pad(a, (0, longest - len(a)))) for a, _ in heard])[..., None]
    frames = torch.tensor([len(a) for a, _ in heard])
    targets = token_batch(rows, 1, tokens.end, torch.device("cpu"))
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss = cross_entropy(model(samples, frames, targets.inputs), targets.labels)
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1
    return model.eval(), text, heard


def theirs_said(network: Any, audio: Any, order: list[int]) -> list[int]:
    """What `generate` writes, greedily and with its cache, in our numbers."""
    with torch.no_grad():
        found = network.generate(torch.from_numpy(audio)[None], max_new_tokens=12, do_sample=False, num_beams=1)
    back = {old: new for new, old in enumerate(order)}
    return [back[i] for i in found[0].tolist()[1:]]


def test_it_says_what_the_original_says(pair: tuple[Any, Moonshine, Any, Path]) -> None:
    theirs, model, _, folder = pair
    order = read_pieces(folder / "tokenizer.json", 1, 2, model.config.vocabulary)[1]
    assert sorted(order) == list(range(model.config.vocabulary)) and order[model.config.tokens.end] == 2
    samples, frames, tokens = batch(model)
    got = said(model)
    for row, count in enumerate(FRAMES[:2]):
        with torch.no_grad():
            alone = samples[row : row + 1, :count]
            wanted = theirs(input_values=alone[..., 0], decoder_input_ids=torch.tensor(order)[tokens[row : row + 1]])
            assert torch.allclose(wanted.logits[..., order], model(alone, None, tokens[row : row + 1]), atol=1e-5)
            assert torch.allclose(got[row : row + 1], wanted.logits[..., order], atol=1e-5)  # padding changes nothing
        assert model.config.positions(count) == model.encode(alone).layers[0].cross_keys.shape[2]
    assert bool(got.isfinite().all()) and frames.tolist() == list(FRAMES)


def test_steps_with_the_cache_equal_one_pass(pair: tuple[Any, Moonshine, Any, Path]) -> None:
    model = pair[1]
    samples, frames, tokens = batch(model)
    with torch.no_grad():
        whole = said(model)
        cache = model.encode(samples, frames)
        first = model.step(tokens[:, :3], cache)
        more = model.step(tokens[:, 3:5], cache)  # two new ones after old ones
        last = model.step(tokens[:, 5:], cache)
    for got, place in ((first, 2), (more, 4), (last, 5)):
        assert torch.allclose(got, whole[:, place], atol=1e-5)


def test_costs_are_counted_exactly(pair: tuple[Any, Moonshine, Any, Path]) -> None:
    model = pair[1]
    for one in (model, shrink(model, widen(model))):
        parts = count_parameters(one.config)
        assert parts["total"] == sum(value.numel() for value in one.state_dict().values())
        ffn = sum(p.numel() for n, p in one.decoder.layers[0].named_parameters() if n.startswith("ffn"))
        assert parts["decoder.layers.0.ffn"] == ffn
    full, less = macs_by_part(model.config, 5, 10), macs_by_part(shrink(model, widen(model)).config, 5, 10)
    assert full.keys() == less.keys() and all(less[k] < full[k] for k in full if k != "decoder logits")


@pytest.mark.parametrize("kinds", [("head",), ("ffn",), ("conv",), ("layer",), ("vocabulary",), ("all",)])
def test_masked_equals_shrunk_and_reloaded(
    pair: tuple[Any, Moonshine, Any, Path], kinds: tuple[str, ...], tmp_path: Path
) -> None:
    _, model, text, _ = pair
    groups = [g for g in model.groups() if kinds == ("all",) or g.kind in kinds]
    keep = {g.name: random_units(g, 0.6, i) for i, g in enumerate(groups)}
    if "vocabulary" in keep:
        tokens = model.config.tokens
        used = {tokens.start, tokens.end, *batch(model)[2].flatten().tolist()}
        keep["vocabulary"] = sorted({*keep["vocabulary"], *used})
    small, masked = shrink(model, keep), copy.deepcopy(model)
    mask(masked, keep)
    wanted = said(masked)
    if "vocabulary" in keep:
        rows = torch.tensor(keep["vocabulary"])
        back = torch.full((model.config.vocabulary,), -1)
        back[rows] = torch.arange(len(rows))
        samples, frames, tokens = batch(model)
        with torch.no_grad():
            got = small(samples, frames, back[tokens])
        wanted = wanted[..., rows]
        text = text.reduced([i for i in keep["vocabulary"] if i < text.end], small.config.tokens.end)
    else:
        got = said(small)
    assert torch.allclose(got, wanted, atol=1e-5)
    assert float((wanted - said(model)[..., : wanted.shape[-1]]).abs().max()) > 1e-3  # something did go
    save_checkpoint(tmp_path, small, text)
    again, its_text = load_checkpoint(tmp_path)
    assert again.config == small.config and its_text.definition == text.definition
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), small.state_dict().values(), strict=True))


def test_gates_of_zero_are_removal(pair: tuple[Any, Moonshine, Any, Path]) -> None:
    """Channels before the norm as well, whose absence changes what the norm gives to all others."""
    model = copy.deepcopy(pair[1])
    groups = [g for g in model.groups() if g.kind in ("head", "ffn", "conv")]
    keep = {g.name: random_units(g, 0.6, i) for i, g in enumerate(groups)}
    small = shrink(model, keep)
    gating = Gating(model, groups)
    gating.save_raw()
    gates = [torch.zeros(g.units).index_fill(0, torch.tensor(keep[g.name]), 1.0) for g in groups]
    whole = said(model)
    gating.write(torch.cat(gates))
    assert torch.allclose(said(model), said(small), atol=1e-5)
    gating.write(None)
    assert torch.equal(said(model), whole)


def test_grouped_queries_go_with_their_keys(pair: tuple[Any, Moonshine, Any, Path]) -> None:
    """A model whose query heads share keys and values equals one that holds every shared head several times."""
    config = pair[1].config
    shared = GroupedAttentionWidths(3, 2)
    few = replace(
        config, bias=True, encoder=tuple(replace(e, attention=shared) for e in config.encoder),
        decoder=tuple(replace(d, self_attention=shared, cross_attention=shared) for d in config.decoder),
    )  # fmt: skip
    torch.manual_seed(3)
    model = Moonshine(few).eval()
    own = GroupedAttentionWidths(6)
    many = Moonshine(replace(
        few, encoder=tuple(replace(e, attention=own) for e in few.encoder),
        decoder=tuple(replace(d, self_attention=own, cross_attention=own) for d in few.decoder),
    )).eval()  # fmt: skip
    state = model.state_dict()
    for name, value in state.items():
        if "attention.key" in name or "attention.value" in name:
            heads = value.view(3, few.head_size, *value.shape[1:])
            state[name] = heads.repeat_interleave(2, 0).flatten(0, 1)
    many.load_state_dict(state)
    assert torch.allclose(said(model), said(many), atol=1e-5)
    keep = {g.name: [0, 2] for g in model.groups() if g.kind == "head"}
    small, masked = shrink(model, keep), copy.deepcopy(model)
    mask(masked, keep)
    attention = small.encoder.layers[0].attention
    assert (attention.query.out_features, attention.key.out_features) == (4 * few.head_size, 2 * few.head_size)
    assert torch.allclose(said(small), said(masked), atol=1e-5)
    # Keys 0 and 2 belong to queries 0, 1, 4 and 5.
    alike = shrink(many, {name: [0, 1, 4, 5] for name in keep})
    assert torch.allclose(said(small), said(alike), atol=1e-5)
    assert count_parameters(small.config)["total"] == sum(v.numel() for v in small.state_dict().values())


def test_greedy_texts_equal_generate(
    learnt: tuple[Moonshine, Any, list[Any]], tmp_path: Path, pair: tuple[Any, Moonshine, Any, Path]
) -> None:
    """Dense, and cut evenly: both written as plain folders, loaded by `from_pretrained`, decoded by `generate`."""
    model, text, heard = learnt
    even = {g.name: list(range(3)) for g in model.groups() if g.kind == "head"}
    even |= {g.name: list(range(50)) for g in model.groups() if g.kind == "ffn"} | {"encoder.layers": [0, 1]}
    for name, one in (("dense", model), ("cut", shrink(model, even))):
        write_moonshine(tmp_path / name, one, text)
        network = transformers.MoonshineForConditionalGeneration.from_pretrained(tmp_path / name).eval()
        library = transformers.AutoTokenizer.from_pretrained(tmp_path / name)
        order = read_pieces(tmp_path / name / "tokenizer.json", 1, 2, one.config.vocabulary)[1]
        for audio, words in heard[:3]:
            ours = greedy(one, torch.from_numpy(audio)[None, :, None], None, one.config.tokens.prompt(), 12)[0]
            their = theirs_said(network, audio, order)
            assert cut_loops([i for i in their if i != one.config.tokens.end]) == ours and ours
            spelled = library(words)["input_ids"]
            assert spelled == [1, *(order[i] for i in text.encode(words))]
            if name == "dense":
                assert text.decode(ours) == words == library.decode(spelled, skip_special_tokens=True)
        again, its_text = read_foreign(tmp_path / name)
        assert torch.equal(said(again), said(one)) and its_text.definition == text.definition
    original = json.loads((pair[3] / "tokenizer.json").read_text(encoding="utf-8"))
    written = json.loads((tmp_path / "dense" / "tokenizer.json").read_text(encoding="utf-8"))
    assert written["model"]["vocab"] == original["model"]["vocab"]
    assert written["added_tokens"] == original["added_tokens"]


def test_exported_graphs_equal_the_source(learnt: tuple[Moonshine, Any, list[Any]], tmp_path: Path) -> None:
    model, text, heard = learnt
    keep = widen(model) | {"encoder.layers": [0, 2]}
    small = shrink(model, keep)
    export_onnx(small, text, tmp_path / "fp32", "fp32")
    session = OnnxSession(tmp_path / "fp32")
    found = parity(source_steps(small, [audio[:, None] for audio, _ in heard[:4]]), session)
    assert found.steps_equal == found.steps and found.max_difference < 1e-4
    samples, frames, tokens = batch(small)
    state = session.encode(samples.numpy(), frames.numpy())
    logits, state = session.step(tokens[:, :4].numpy(), state)
    after, _ = session.step(tokens[:2, 4:].numpy(), session.pick(state, np.array([2, 0])))
    assert np.abs(logits - said(small)[:, 3].numpy()).max() < 1e-4
    with torch.no_grad():
        cache = small.encode(samples[[2, 0]], frames[[2, 0]])
        small.step(tokens[[2, 0], :4], cache)
        # The rows that were picked read the tokens of the batch's first two.
        wanted = small.step(tokens[:2, 4:], cache)
        look = session.attention(tokens[:, :4].numpy(), session.encode(samples.numpy(), frames.numpy()))
    assert np.abs(after - wanted.numpy()).max() < 1e-4
    assert look.shape[1] == sum(d.cross_attention.heads for d in small.config.decoder)
    assert np.allclose(look.sum(-1), 1, atol=1e-5)
    export_onnx(model, text, tmp_path / "int8", "int8")
    packed = parity(source_steps(model, [audio[:, None] for audio, _ in heard]), OnnxSession(tmp_path / "int8"))
    assert packed.agreement > 0.9


def test_every_criterion_ranks_every_group(learnt: tuple[Moonshine, Any, list[Any]]) -> None:
    from secateur.families.seq2seq.prefix import gather

    model = copy.deepcopy(learnt[0])
    samples, frames, tokens = batch(model)
    groups = model.groups()
    evidence = gather(
        model, groups, [[0]],
        lambda rows: torch.nn.functional.cross_entropy(model(samples, frames, tokens).flatten(0, 1), tokens.flatten()),
    )  # fmt: skip
    for name in ("magnitude", "taylor", "signed", "wanda"):
        for group in groups:
            scores = CRITERIA[name](group, evidence)
            assert scores.shape == (group.units,) and bool(scores.isfinite().all())
