"""What pruning saves on Moonshine in its two published sizes, and how exact surgery, cache and ONNX are.

    python benchmarks/moonshine.py --out benchmarks/results/moonshine.json

Weights are random, so that nothing is said of error rates: parameters and MACs are counted, the masked model is held
against the shrunk one, and the exported one, token by token with its cache, against one pass in torch (on a padded
batch of noise). Milliseconds of the fp32 graphs, to hear 5 s and write 24 tokens, are measured side by side, in turn,
on one thread. The same share of heads, feed-forward units, convolution channels and token rows goes everywhere, the
share that takes 30, 50 and 75 % of all parameters.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recorded import how

from secateur.allocation.latency import TimedExport
from secateur.base.files import write_json, write_text
from secateur.base.progress import say
from secateur.export.onnx import export_onnx
from secateur.families.moonshine.config import uniform
from secateur.families.moonshine.cost import count_parameters, macs_by_part
from secateur.families.moonshine.model import Moonshine
from secateur.prune.budget import Keep, by_amounts
from secateur.prune.importance import CRITERIA, Evidence
from secateur.prune.shrink import mask, shrink
from secateur.runtime.onnx_session import OnnxSession
from secateur.text.tokens import Tokens

SIZES: dict[str, dict[str, Any]] = {  # of UsefulSensors/moonshine-tiny and -base
    "tiny": {"width": 288, "heads": 8, "ffn": 1152, "encoder_layers": 6, "decoder_layers": 6},
    "base": {"width": 416, "heads": 8, "ffn": 1664, "encoder_layers": 8, "decoder_layers": 8},
}
ROWS, TEXT = 32768, 31997
SHARES = (0.0, 0.3, 0.5, 0.75)
SECONDS, TOKENS, RATE = 5, 24, 16000


class NoText:
    """Stands for the tokenizer, which nothing here reads."""

    def write(self, path: Path) -> None:
        """An empty table."""
        write_text(path, "{}")


def plan(model: Moonshine, share: float) -> Keep:
    """What stays when `share` of all parameters goes, evenly: of units the largest, of token rows the first."""
    groups = [g for g in model.groups() if g.kind in ("head", "ffn", "conv")]
    evidence = Evidence(dict(model.state_dict()))
    scores = {g.name: CRITERIA["magnitude"](g, evidence) for g in groups}

    def kept(amount: float) -> Keep:
        special = [model.config.tokens.end, model.config.tokens.start]
        rows = {"vocabulary": [*range(round(TEXT * (1 - amount))), *special]}
        return by_amounts(groups, scores, dict.fromkeys(("head", "ffn", "conv"), amount)) | rows

    full, low, high = count_parameters(model.config)["total"], 0.0, 0.95
    for _ in range(20):
        middle = (low + high) / 2
        left = count_parameters(model.config.shrunk(kept(middle)))["total"]
        low, high = (middle, high) if left > (1 - share) * full else (low, middle)
    return kept(high)


@torch.no_grad()
def said(model: Moonshine, samples: Any, frames: Any, tokens: Any) -> Any:
    """Logits (batch, length, rows) in one pass."""
    return model(samples, frames, tokens).numpy()


def stepped(session: OnnxSession, samples: Any, frames: Any, tokens: Any) -> Any:
    """The same from the exported graphs, one token after the other."""
    state, found = session.encode(samples, frames), []
    for i in range(tokens.shape[1]):
        logits, state = session.step(tokens[:, i : i + 1], state)
        found.append(logits)
    return np.stack(found, 1)


def measure(name: str, rounds: int) -> list[dict[str, Any]]:
    """One row a share."""
    config = uniform(
        vocabulary=ROWS, tokens=Tokens(start=TEXT + 1, end=TEXT), rotary=32, name=f"moonshine-{name}", **SIZES[name]
    )
    torch.manual_seed(0)
    dense = Moonshine(config).eval()
    with torch.no_grad():
        dense.decoder.token_embedding.weight.mul_(0.1)  # else every token would only see itself
    samples, frames = 0.3 * torch.randn(2, 2 * RATE, 1), torch.tensor([2 * RATE, 21003])
    tokens = torch.randint(0, 200, (2, 8))
    rows, timed = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for share in SHARES:
            small, apart = dense, 0.0
            if share:
                keep = plan(dense, share)
                small, masked = shrink(dense, keep), copy.deepcopy(dense)
                mask(masked, keep)
                there = said(masked, samples, frames, tokens)[..., keep["vocabulary"]]
                apart = float(np.abs(there - said(small, samples, frames, tokens)).max())
            folder = export_onnx(small, NoText(), Path(scratch) / f"{share}", "fp32", trial=False)  # type: ignore[arg-type]
            exported = stepped(OnnxSession(folder, 1), samples.numpy(), frames.numpy(), tokens.numpy())
            ours = said(small, samples, frames, tokens)
            timed.append(TimedExport(small, NoText(), "fp32", 1, SECONDS, TOKENS, sessions=1))  # type: ignore[arg-type]
            count, whole = (count_parameters(one)["total"] for one in (small.config, config))
            rows.append({
                "kind": name, "removed": 1 - count / whole, "parameters": count, "bytes": timed[-1].bytes,
                "macs": sum(macs_by_part(small.config, SECONDS, TOKENS).values()), "shrunk_apart": apart,
                "onnx_apart": float(np.abs(exported - ours).max()), "logits_spread": float(ours.std()),
            })  # fmt: skip
            say(f"{name}: {rows[-1]}")
    times = np.array([[one.seconds() for one in timed] for _ in range(rounds)])
    ratios = np.median(times / times[:, :1], axis=0)
    for row, own, ratio in zip(rows, times.T, ratios.tolist(), strict=True):
        row |= {"ms": 1000 * float(np.median(own)), "time": ratio}
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/moonshine.json"))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for name in SIZES for row in measure(name, options.rounds)]
    write_json(
        options.out,
        {"how": how(), "seconds": SECONDS, "tokens": TOKENS, "rounds": options.rounds, "rows": rows},
    )


if __name__ == "__main__":
    main()
