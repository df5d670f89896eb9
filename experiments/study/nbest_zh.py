"""N-best lists of Mandarin checkpoints, and the frames of their pinyin heads, for `rescore_zh.py`.

    python3 experiments/study/nbest_zh.py RUNS --data SPEECH --out LISTS [--only soup-0] [--size 12] [--device cuda]

Writes LISTS/RUN.dev.json and LISTS/RUN.test.json: a row a clip with reference, hypotheses, their log probabilities and
numbers of tokens, likeliest first, and what the head recognised (`text.head_evidence`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch

from secateur.base.files import write_json
from secateur.base.progress import say
from secateur.data.bank import AudioBank, buckets
from secateur.data.manifest import Utterance, read_manifest
from secateur.families.seq2seq.greedy import max_tokens
from secateur.families.seq2seq.mwer import nbest
from secateur.features.front_end import extractor
from secateur.models.token_network import TokenNetwork, encoder_inputs
from secateur.study.pinyin_head import pinyin_evidence_of
from secateur.text.tokenizer import Tokenizer
from secateur.train.auxiliary import load_head
from secateur.weights.fetch import load_model

SET = "commonvoice-zh-cn"
List = list[tuple[str, float, int]]  # text, log probability, tokens


def main() -> None:
    """Every run of the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data", type=Path, required=True, help=f"has {SET}/dev.jsonl and test.jsonl")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="runs, separated by commas")
    parser.add_argument("--size", type=int, default=12, help="hypotheses a clip")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--limit", type=int, help="clips, to try it out")
    parser.add_argument("--longest", type=float, default=19.9, help="seconds; the study's")
    parser.add_argument("--batch-seconds", type=float, default=400.0)
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    for run in [n for n in a.only.split(",") if n] or sorted(p.name for p in a.runs.glob("*-[0-9]")):
        for part in ("dev", "test"):
            clips = [u for u in read_manifest(a.data / SET / f"{part}.jsonl") if u.duration <= a.longest][: a.limit]
            rows = lists_of(a.runs / run, clips, a.size, torch.device(a.device), a.batch_seconds)
            write_json(a.out / f"{run}.{part}.json", list(rows))
            say(f"{run} {part}: {len(clips)} clips")


@torch.no_grad()
def lists_of(
    run: Path, clips: list[Utterance], size: int, device: torch.device, batch_seconds: float
) -> Iterator[dict[str, object]]:
    """A row a clip, in order."""
    model, text = load_model(str(run))
    assert isinstance(model, TokenNetwork) and isinstance(text, Tokenizer)
    model = model.to(device).eval()
    config = model.config
    bank = AudioBank.read(clips, device, config.front_end.sample_rate, label="")
    features = extractor(config.front_end).to(device)
    prompt = config.tokens.prompt("zh")
    limit = max_tokens(model, list(prompt), 96)
    lists: list[List] = [[] for _ in clips]
    seconds = [config.max_seconds if config.padded else u.duration for u in clips]
    for rows in buckets(seconds, batch_seconds, None):
        audio = model.encode(*encoder_inputs(features, *bank.gather(rows), config, model.input_mask))
        result = nbest(model, audio, torch.tensor([list(prompt)] * len(rows), device=device), size, limit)
        for column, row in enumerate(rows):
            for ids, score in zip(result.ids[:, column].tolist(), result.scores[:, column].tolist(), strict=True):
                kept = ids[: ids.index(config.tokens.end)] if config.tokens.end in ids else ids
                lists[row].append((text.decode(kept).strip(), round(score, 3), len(kept)))
    head = load_head(run)
    heard = [] if head is None else pinyin_evidence_of(model, *head, bank, 2400.0 if device.type == "cuda" else 60.0)
    for i, clip in enumerate(clips):
        yield {
            "id": clip.id, "reference": clip.text, "list": lists[i], "head": str(heard[i]) if heard else None,
        }  # fmt: skip


if __name__ == "__main__":
    main()
