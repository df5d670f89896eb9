"""What pruning saves on the CTC models of `transformers`, and how exact surgery and ONNX are.

    python benchmarks/hf_ctc.py --out benchmarks/results/hf_ctc.json

Weights are random, so that nothing is said of error rates: parameters and MACs are counted, the masked model is held
against the shrunk one and the exported one (on a padded batch of noise), and milliseconds of the fp32 graphs on a clip
of 5 s are measured side by side, in turn, on one thread. The same share of heads, of feed-forward units and, in
Conformers, of channels goes from every layer, the share that takes 30, 50 and 75 % of all parameters. Sizes are those
of the published base models; a Parakeet is as large as NVIDIA's FastConformer-CTC Large.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recorded import how

from secateur.base.files import write_json
from secateur.base.progress import say
from secateur.export.onnx import export_onnx
from secateur.families.parakeet.folder import parse_parakeet
from secateur.families.transformers_ctc.folder import parse_hf_ctc
from secateur.models.family import FrameConfig, family_of
from secateur.models.network import FrameNetwork
from secateur.prune.budget import Keep, by_amounts
from secateur.prune.importance import CRITERIA, Evidence
from secateur.prune.shrink import mask, shrink
from secateur.text.tokenizer_units import VocabularyUnits

TOKENS = ("<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")
SHARES = (0.0, 0.3, 0.5, 0.75)
SECONDS, RATE = 5, 16000


PIECES = 1024  # of Parakeet's tokenizer
PARAKEET = {
    "encoder_config": {"hidden_size": 512, "num_hidden_layers": 17, "num_attention_heads": 8, "intermediate_size": 2048}
}
KINDS = ("wav2vec2", "hubert", "wavlm", "wav2vec2-conformer", "parakeet")


def config_of(kind: str) -> FrameConfig:
    """The dense model's."""
    if kind == "parakeet":
        return parse_parakeet(PARAKEET, kind, "fastconformer-large", PIECES + 1)
    return parse_hf_ctc({"model_type": kind}, kind, f"{kind}-base", len(TOKENS) + 1)


def count_parameters(config: FrameConfig) -> int:
    """Stored values."""
    return family_of(config).parameters(config)


def plan(model: FrameNetwork, share: float) -> Keep:
    """The units that stay when `share` of all parameters goes, evenly from all layers, by magnitude."""
    groups = [g for g in model.groups() if ".layers." in g.name and g.kind in ("head", "ffn", "conv")]
    evidence = Evidence(dict(model.state_dict()))
    scores = {g.name: CRITERIA["magnitude"](g, evidence) for g in groups}
    full, low, high = count_parameters(model.config), 0.0, 0.95

    def after(amount: float) -> Keep:
        return by_amounts(groups, scores, dict.fromkeys(sorted({g.kind for g in groups}), amount))

    for _ in range(20):
        middle = (low + high) / 2
        left = count_parameters(model.config.shrunk(after(middle)))
        low, high = (middle, high) if left > (1 - share) * full else (low, middle)
    return after(high)


@torch.no_grad()
def said(model: FrameNetwork, samples: Any, frames: Any) -> Any:
    """Logarithms of probabilities in the real frames of a batch."""
    log_probs, counts = model(samples, frames)
    return torch.cat([row[:count] for row, count in zip(log_probs, counts.tolist(), strict=True)]).numpy()


def measure(kind: str, rounds: int) -> list[dict[str, Any]]:
    """One row a share."""
    import onnxruntime

    config = config_of(kind)
    torch.manual_seed(0)
    dense = family_of(config).network()(config).eval()
    front = config.front_end
    samples = torch.randn(2, front.frames(2 * RATE), front.inputs)
    frames = torch.tensor([front.frames(2 * RATE), front.frames(21003)])
    rows, sessions = [], []
    how = onnxruntime.SessionOptions()
    how.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as scratch:
        for share in SHARES:
            small, apart = dense, 0.0
            if share:
                keep = plan(dense, share)
                small, masked = shrink(dense, keep), copy.deepcopy(dense)
                mask(masked, keep)
                apart = float(np.abs(said(masked, samples, frames) - said(small, samples, frames)).max())
            folder = export_onnx(small, VocabularyUnits(TOKENS), Path(scratch) / f"{share}", "fp32", trial=False)
            session = onnxruntime.InferenceSession(folder / "network.onnx", how, ["CPUExecutionProvider"])
            feed = {"features": samples.numpy(), "frames": frames.numpy()}
            log_probs, counts = session.run(None, feed)
            exported = np.concatenate([row[:n] for row, n in zip(log_probs, counts, strict=True)])
            sessions.append(session)
            rows.append({
                "kind": kind, "removed": 1 - count_parameters(small.config) / count_parameters(config),
                "parameters": count_parameters(small.config),
                "macs": family_of(config).macs(small.config, SECONDS, 0, None),
                "shrunk_apart": apart, "onnx_apart": float(np.abs(exported - said(small, samples, frames)).max()),
            })  # fmt: skip
            say(f"{kind}: {rows[-1]}")
        length = front.frames(SECONDS * RATE)
        clip = {
            "features": np.random.default_rng(0).standard_normal((1, length, front.inputs), np.float32),
            "frames": np.array([length]),
        }
        times: list[list[float]] = [[] for _ in sessions]
        for _ in range(rounds):
            for own, session in zip(times, sessions, strict=True):
                started = time.thread_time()
                session.run(None, clip)
                own.append(time.thread_time() - started)
    ratios = np.median(np.array(times) / np.array(times[0]), axis=1)
    for row, own, ratio in zip(rows, times, ratios.tolist(), strict=True):
        row |= {"ms": 1000 * float(np.median(own)), "time": ratio}
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/hf_ctc.json"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--kinds", default=",".join(KINDS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for kind in options.kinds.split(",") for row in measure(kind, options.rounds)]
    write_json(options.out, {"how": how(), "seconds": SECONDS, "rounds": options.rounds, "rows": rows})


if __name__ == "__main__":
    main()
