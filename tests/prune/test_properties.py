"""What must hold for any architecture and any groups: surgery, budgets, files and counts, on drawn widths.

Hypothesis draws every width of a small Whisper, CTC model or Wav2Vec2, then which units stay.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from hypothesis import HealthCheck, assume, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from small_ctc import NoText  # noqa: E402
from small_ctc import inputs as ctc_inputs  # noqa: E402
from small_hf import SIZES, TOKENS, hf_folder  # noqa: E402
from small_models import inputs, small_config, small_tokenizer  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.evaluate.error_rate import count_errors, total, units  # noqa: E402
from secateur.families.ctc.config import (  # noqa: E402
    TAPS,
    BranchWidths,
    ConformerBlockWidths,
    ConformerWidths,
    CtcConfig,
    DirectionWidths,
    InceptionWidths,
    RecurrentWidths,
    SubsamplingWidths,
)
from secateur.families.ctc.frames import BatchNorm  # noqa: E402
from secateur.families.ctc.model import CtcModel  # noqa: E402
from secateur.families.whisper.config import (  # noqa: E402
    AttentionWidths,
    DecoderWidths,
    EncoderWidths,
    WhisperConfig,
)
from secateur.families.whisper.model import Whisper  # noqa: E402
from secateur.features.front_end import front_end  # noqa: E402
from secateur.models.checkpoint import StoredTensors, load_checkpoint, load_weights, save_checkpoint  # noqa: E402
from secateur.models.family import read_config  # noqa: E402
from secateur.prune.budget import by_budget  # noqa: E402
from secateur.prune.shrink import mask, shrink  # noqa: E402
from secateur.prune.units import COSTS  # noqa: E402
from secateur.weights.fetch import read_foreign  # noqa: E402

TOKENIZER = small_tokenizer()
MASKED = ("layer", "branch", "head", "query_key", "value", "ffn", "conv", "unit", "mel", "input")
drawn = settings(derandomize=True, suppress_health_check=list(HealthCheck))
few = st.integers(1, 4)
ATTENTION = st.builds(AttentionWidths, few, st.integers(1, 7), st.integers(1, 7))
FFN = st.integers(1, 24)
WHISPER = st.builds(
    lambda width, conv, encoder, decoder: replace(
        small_config(TOKENIZER.end), width=2 * width, conv_channels=conv, encoder=tuple(encoder), decoder=tuple(decoder)
    ),
    st.integers(4, 12), st.integers(2, 20),
    st.lists(st.builds(EncoderWidths, ATTENTION, FFN), min_size=1, max_size=3),
    st.lists(st.builds(DecoderWidths, ATTENTION, ATTENTION, FFN), min_size=1, max_size=3),
)  # fmt: skip
BRANCH = st.sampled_from(sorted(TAPS)).flatmap(
    lambda kind: st.tuples(*[st.integers(1, 8)] * len(TAPS[kind])).map(lambda n: BranchWidths(kind, n))
)
SOME = st.integers(1, 9)


def some(what: Any, most: int) -> Any:
    """One to `most` of them, as a tuple."""
    return st.lists(what, min_size=1, max_size=most).map(tuple)


SECTIONS = {
    "subsampling": st.builds(SubsamplingWidths, some(SOME, 2)),
    "inception": st.builds(InceptionWidths, SOME, st.sampled_from((1, 2)), some(some(BRANCH, 3), 2)),
    "recurrent": st.builds(
        RecurrentWidths, st.sampled_from(("gru", "lstm")), some(st.builds(DirectionWidths, SOME, SOME), 2)
    ),
    "conformer": st.builds(
        ConformerWidths, st.integers(3, 9).map(lambda n: 2 * n),
        some(st.builds(ConformerBlockWidths, FFN, ATTENTION, FFN, FFN), 2), st.sampled_from((3, 5, 7)), st.just(4),
        st.just(0.4),
    ),
}  # fmt: skip
CTC = st.builds(
    lambda bins, sections: CtcConfig(units=6, front_end=front_end("fbank", bins=bins), **sections),
    st.integers(9, 20), st.fixed_dictionaries({}, optional=SECTIONS),
)  # fmt: skip


def shaken(model: Any, seed: int) -> Any:
    """Random values large enough that every part shows in the output, running statistics included."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, BatchNorm):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.2, 1.5)
    return model.eval()


def any_plan(draw: Any, model: Any, kinds: tuple[str, ...] = MASKED) -> dict[str, list[int]]:
    """Any units of any groups, equally many in each block and at least the group's minimum."""
    plan = {}
    for group in model.groups():
        size = group.units // group.blocks
        if group.kind not in kinds or not group.maskable or size <= group.minimum or not draw(st.booleans()):
            continue
        count = draw(st.integers(max(1, group.minimum), size))
        kept = [
            block * size + unit for block in range(group.blocks) for unit in draw(st.permutations(range(size)))[:count]
        ]
        plan[group.name] = sorted(kept)
    return plan


@torch.no_grad()
def heard(model: Any, batch: Any) -> torch.Tensor:
    """Outputs on a padded batch: logits, or the real frames of a CTC model."""
    if isinstance(model, Whisper):
        return model(*batch)  # type: ignore[no-any-return]
    log_probs, frames = model(*batch)
    return torch.cat([row[:count] for row, count in zip(log_probs, frames.tolist(), strict=True)])


def given_to(plan: dict[str, list[int]], batch: Any) -> Any:
    """What a front-end that computes fewer features gives."""
    kept = next((plan[name] for name in ("input", "encoder.mel") if name in plan), None)
    return batch if kept is None else (batch[0][..., kept], *batch[1:])


@torch.no_grad()
def stepped(model: Whisper, batch: Any) -> torch.Tensor:
    """The same a token at a time, through the caches."""
    cache = model.encode(batch[0], batch[1])
    return torch.stack([model.step(batch[2][:, i : i + 1], cache) for i in range(batch[2].shape[1])], 1)


def same(one: Any, other: Any) -> bool:
    """The same config and the same weights, bit for bit."""
    theirs = other.state_dict()
    return one.config == other.config and all(torch.equal(v, theirs[n]) for n, v in one.state_dict().items())


def check_surgery(model: Any, plan: dict[str, list[int]], batch: Any) -> tuple[Any, Any]:
    """Masked equals shrunk; shrinking once more with all that is left changes nothing. The shrunk one and its batch."""
    masked = copy.deepcopy(model)
    mask(masked, plan)
    small = shrink(model, plan)
    own = given_to(plan, batch)
    torch.testing.assert_close(heard(small, own), heard(masked, batch), rtol=1e-4, atol=1e-5)
    assert same(shrink(small, {g.name: list(range(g.units)) for g in small.groups()}), small)
    return small, own


@settings(drawn, max_examples=25)
@given(WHISPER, st.data(), st.integers(0, 99))
def test_whisper(tmp_path_factory: pytest.TempPathFactory, config: WhisperConfig, data: Any, seed: int) -> None:
    model = shaken(Whisper(config), seed)
    batch = inputs(model, seed)
    small, own = check_surgery(model, any_plan(data.draw, model), batch)
    torch.testing.assert_close(stepped(small, own), heard(small, own), rtol=1e-4, atol=1e-5)
    folder = save_checkpoint(tmp_path_factory.mktemp("m"), small, TOKENIZER)
    loaded, text = load_checkpoint(folder)
    assert same(loaded, small) and text.encode("the cat") == TOKENIZER.encode("the cat")
    torch.testing.assert_close(heard(loaded, own), heard(small, own))


@settings(drawn, max_examples=60)
@given(CTC, st.data(), st.integers(0, 99))
def test_ctc(tmp_path_factory: pytest.TempPathFactory, config: CtcConfig, data: Any, seed: int) -> None:
    model = shaken(CtcModel(config), seed)
    batch = ctc_inputs(model, seed)
    small, own = check_surgery(model, any_plan(data.draw, model), batch)
    folder = save_checkpoint(tmp_path_factory.mktemp("m"), small, NoText())
    with torch.device("meta"):
        loaded = CtcModel(read_config(folder / "config.json"))
    load_weights(loaded, StoredTensors(folder / "model.safetensors"), str(folder))
    assert same(loaded, small)
    torch.testing.assert_close(heard(loaded.eval(), own), heard(small, own))


@settings(drawn, max_examples=6)
@given(
    st.integers(1, 3), st.sampled_from((1, 2, 4)), st.integers(2, 40), st.tuples(SOME, SOME, SOME),
    st.sampled_from(("wav2vec2", "wav2vec2 large", "hubert")), st.data(),
)  # fmt: skip
def test_wav2vec2(
    tmp_path_factory: pytest.TempPathFactory,
    layers: int,
    heads: int,
    ffn: int,
    convs: tuple[int, ...],
    kind: str,
    data: Any,
) -> None:
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("hf")
    changes = {
        "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": ffn,
        "conv_dim": [2 * n + 2 for n in convs],
    }  # fmt: skip
    assert set(changes) <= set(SIZES)
    hf_folder(kind, folder, TOKENS, **changes)
    model, _ = read_foreign(folder)
    generator = torch.Generator().manual_seed(1)
    batch = (torch.randn(2, 6400, 1, generator=generator), torch.tensor([6400, 4100]))
    check_surgery(model.eval(), any_plan(data.draw, model), batch)


@settings(drawn, max_examples=60)
@given(WHISPER | CTC, st.floats(0.3, 0.99), st.sampled_from(sorted(COSTS)), st.booleans(), st.integers(0, 99))
def test_budgets_are_never_exceeded(config: Any, share: float, measure: str, per_cost: bool, seed: int) -> None:
    """Of parameters or MACs, whatever scores say; what cannot be reached is refused, not missed."""
    with torch.device("meta"):
        model = Whisper(config) if isinstance(config, WhisperConfig) else CtcModel(config)
    groups = [g for g in model.groups() if g.kind in MASKED and g.kind not in ("layer", "branch", "mel", "input")]
    assume(groups)
    generator = torch.Generator().manual_seed(seed)
    scores = {g.name: torch.rand(g.units, generator=generator) for g in groups}
    cost = COSTS[measure]
    target = share * cost(config)
    try:
        keep = by_budget(config, groups, scores, target, cost, per_cost=per_cost)
    except SecateurError as problem:
        assert "the budget cannot be reached" in str(problem)
        return
    after = cost(config.shrunk(keep))
    assert after <= target
    for group in groups:
        size = group.units // group.blocks
        kept = keep.get(group.name, list(range(group.units)))
        in_block = [sum(unit // size == block for unit in kept) for block in range(group.blocks)]
        assert set(in_block) == {in_block[0]} or (group.blocks > 1 and all(in_block))
        assert min(in_block) >= min(group.minimum, size)


WORDS = st.text(st.sampled_from("abc 你好 "), max_size=14)


@settings(drawn, max_examples=200)
@given(st.lists(st.tuples(WORDS, WORDS), max_size=6), st.sampled_from(("wer", "cer")))
def test_error_rates_against_a_second_implementation(texts: list[tuple[str, str]], metric: Any) -> None:
    def edits(left: list[str], right: list[str]) -> int:
        table = [[i + j if i * j == 0 else 0 for j in range(len(right) + 1)] for i in range(len(left) + 1)]
        for i in range(1, len(left) + 1):
            for j in range(1, len(right) + 1):
                table[i][j] = min(
                    table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (left[i - 1] != right[j - 1])
                )
        return table[-1][-1]

    def split(text: str) -> list[str]:
        return text.split() if metric == "wer" else [c for c in text if c != " "]

    found = total(count_errors(reference, hypothesis, metric) for reference, hypothesis in texts)
    assert found.errors == sum(edits(split(a), split(b)) for a, b in texts)
    assert found.reference == sum(len(split(a)) for a, _ in texts) == sum(len(units(a, metric)) for a, _ in texts)
    if found.reference:
        assert found.rate == found.errors / found.reference
