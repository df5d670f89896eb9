"""What pruning saves on Wav2Vec2, HuBERT and WavLM in their published base size, and how exact surgery and ONNX are.

    python benchmarks/hf_ctc.py --out benchmarks/results/hf_ctc.json

Weights are random, so that nothing is said of error rates: parameters and MACs are counted, the masked model is held
against the shrunk one and the exported one (on a padded batch of noise), and milliseconds of the fp32 graphs on a clip
of 5 s are measured side by side, in turn, on one thread. The same share of heads and of feed-forward units goes from
every layer, the share that takes 30, 50 and 75 % of all parameters.
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

from secateur.base.files import write_json
from secateur.base.progress import say
from secateur.export.onnx import export_onnx
from secateur.jobs.allocation.latency import machine
from secateur.models.hf_ctc.config import HfCtcConfig
from secateur.models.hf_ctc.cost import count_parameters, macs_by_part
from secateur.models.hf_ctc.model import HfCtc
from secateur.models.weights.hf_ctc_folder import parse_hf_ctc
from secateur.prune.budget import Keep, by_amounts
from secateur.prune.importance import CRITERIA, Evidence
from secateur.prune.shrink import mask, shrink
from secateur.text.tokens_ctc import VocabularyUnits

TOKENS = ("<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")
SHARES = (0.0, 0.3, 0.5, 0.75)
SECONDS, RATE = 5, 16000


def plan(model: HfCtc, share: float) -> Keep:
    """The heads and units that stay when `share` of all parameters goes, evenly, by magnitude."""
    groups = [g for g in model.groups() if g.kind in ("head", "ffn")]
    evidence = Evidence(dict(model.state_dict()))
    scores = {g.name: CRITERIA["magnitude"](g, evidence) for g in groups}
    full, low, high = count_parameters(model.config), 0.0, 0.95
    for _ in range(20):
        middle = (low + high) / 2
        keep = by_amounts(groups, scores, {"head": middle, "ffn": middle})
        left = count_parameters(model.config.shrunk(keep))
        low, high = (middle, high) if left > (1 - share) * full else (low, middle)
    return by_amounts(groups, scores, {"head": high, "ffn": high})


@torch.no_grad()
def said(model: HfCtc, samples: Any, frames: Any) -> Any:
    """Real frames of a batch."""
    log_probs, counts = model(samples, frames)
    return torch.cat([row[:count] for row, count in zip(log_probs, counts.tolist(), strict=True)]).exp().numpy()


def measure(kind: str, rounds: int) -> list[dict[str, Any]]:
    """One row a share."""
    import onnxruntime

    config: HfCtcConfig = parse_hf_ctc({"model_type": kind}, kind, f"{kind}-base", len(TOKENS) + 1)
    torch.manual_seed(0)
    dense = HfCtc(config).eval()
    samples = torch.randn(2, 2 * RATE, 1)
    frames = torch.tensor([2 * RATE, 21003])
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
            exported = np.exp(np.concatenate([row[:n] for row, n in zip(log_probs, counts, strict=True)]))
            sessions.append(session)
            rows.append({
                "kind": kind, "removed": 1 - count_parameters(small.config) / count_parameters(config),
                "parameters": count_parameters(small.config),
                "macs": sum(macs_by_part(small.config, SECONDS).values()),
                "shrunk_apart": apart, "onnx_apart": float(np.abs(exported - said(small, samples, frames)).max()),
            })  # fmt: skip
            say(f"{kind}: {rows[-1]}")
        clip = {"features": np.random.default_rng(0).standard_normal((1, SECONDS * RATE, 1), np.float32),
                "frames": np.array([SECONDS * RATE])}  # fmt: skip
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
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for kind in ("wav2vec2", "hubert", "wavlm") for row in measure(kind, options.rounds)]
    write_json(options.out, {"machine": machine(), "seconds": SECONDS, "rounds": options.rounds, "rows": rows})


if __name__ == "__main__":
    main()
