"""Peak memory of adapting and pruning a Whisper of a published size: memory.py OUT.json NAME CAP_GB [key=value ...].

The weights are random, the sizes those of the published config, the clips real. The process gets CAP_GB of the GPU and
no more (0: all of it). Settings are those of `training`, such as optimizer=adafactor offload=yes.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from secateur.base.device import pick_device
from secateur.base.errors import SecateurError
from secateur.base.files import read_json, write_json
from secateur.base.options import from_dict, to_dict
from secateur.data.bank import AudioBank
from secateur.data.manifest import read_manifest
from secateur.families.whisper.config import WhisperConfig, uniform
from secateur.families.whisper.model import Whisper
from secateur.models.checkpoint import load_checkpoint
from secateur.models.network import without_values
from secateur.prune.method import make_method
from secateur.prune.settings import PruneSettings
from secateur.prune.task import task_of
from secateur.prune.units import COSTS
from secateur.train.loop import train
from secateur.train.run import TrainingRun
from secateur.train.settings import TrainSettings
from secateur.train.stream import Mix
from secateur.weights.transformers_layout import read_transformers

# Width, heads, layers of the encoder and of the decoder, rows, mels (openai/whisper-NAME's config.json).
SIZES = {
    "tiny": (384, 6, 4, 4, 51865, 80), "base": (512, 8, 6, 6, 51865, 80), "small": (768, 12, 12, 12, 51865, 80),
    "medium": (1024, 16, 24, 24, 51865, 80), "turbo": (1280, 20, 32, 4, 51866, 128),
    "large-v3": (1280, 20, 32, 32, 51866, 128),
}  # fmt: skip
STEPS = 6


def published(name: str, tokens: Any) -> WhisperConfig:
    """The config of a published size."""
    width, heads, encoder, decoder, rows, mels = SIZES[name]
    return uniform(
        width=width, heads=heads, ffn=4 * width, encoder_layers=encoder, decoder_layers=decoder, vocabulary=rows,
        tokens=tokens, bins=mels, name=name,
    )  # fmt: skip


@torch.no_grad()
def random_model(config: WhisperConfig, device: torch.device) -> Whisper:
    """Made on the device, fp32 values that fp16 holds, as published weights are."""
    with without_values():
        model = Whisper(config)
    model = model.to_empty(device=device)
    generator = torch.Generator(device=device).manual_seed(0)
    for name, value in model.state_dict().items():
        if value.dim() == 1:
            value.fill_(1.0 if name.endswith("norm.weight") else 0.0)
        else:
            value.normal_(0.0, 1 / math.sqrt(value[0].numel()), generator=generator)
            value.copy_(value.half())
    return model


def main() -> int:
    out, name, cap = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    given = dict(word.split("=", 1) for word in sys.argv[4:])
    speech, start = Path(given.pop("speech")), Path(given.pop("model"))
    clips = [u for u in read_manifest(speech / "train.jsonl") if u.duration < 17][: int(given.pop("clips", 400))]
    device = pick_device(given.pop("device", "cuda"))
    remove = float(given.pop("remove", 0.3))
    values: dict[str, Any] = {"steps": STEPS, "save_every": 1000, "validate_every": 1000, **given}
    settings = from_dict(TrainSettings, values).resolved(pretrained=True, teacher=False)
    foreign = "model_type" in read_json(start / "config.json")
    tokenizer, tokens = (lambda pair: (pair[1], pair[0].config.tokens))(
        read_transformers(start) if foreign else load_checkpoint(start)
    )
    total = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 0
    if cap and total:
        torch.cuda.set_per_process_memory_fraction(cap * 2**30 / total, device)
    began = time.perf_counter()
    found: dict[str, Any] = {"name": name, "cap_gib": cap, "clips": len(clips), "settings": to_dict(settings)}
    try:
        model = random_model(published(name, tokens), device)
        prune = PruneSettings(
            remove=remove, vocabulary=False, audio_seconds=None, text_tokens=None, begin=0.0, end=0.6, every=1
        )
        found["parameters"] = sum(p.numel() for p in model.parameters())
        bank = AudioBank.read(clips, device, model.config.front_end.sample_rate, label="")
        model.config = replace(model.config, padded=False)
        task = task_of(model.config)
        initial = task.initial_model(model, tokenizer, [u.text for u in clips], ["en"], None, settings)
        if settings.offload:
            model.cpu()
        else:
            found["note"] = "the original stays on the GPU"
        pruner = make_method(initial.model, prune, COSTS[prune.measure](model.config))
        objective = task.objective(initial, clips, settings, None, device)
        mix = Mix([u.duration for u in clips], use=settings.mix, timed=True)
        found["seconds_to_begin"] = time.perf_counter() - began
        began = time.perf_counter()
        log = train(initial.model, TrainingRun(bank, mix, objective, callbacks=[pruner], label=name), settings)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found |= {
            "seconds_a_step": (time.perf_counter() - began) / STEPS,
            "kept": log[-1]["kept"],
            "loss": log[-1]["loss"],
        }
        smaller = pruner.shrunk()
        found["parameters_after"] = sum(p.numel() for p in smaller.parameters())
        found["fits"] = True
    except (torch.OutOfMemoryError, SecateurError) as problem:
        found |= {"fits": False, "problem": str(problem).splitlines()[0]}
    if device.type == "cuda":
        found["allocated_gib"] = torch.cuda.max_memory_allocated(device) / 2**30
        found["reserved_gib"] = torch.cuda.max_memory_reserved(device) / 2**30
        found["device"] = torch.cuda.get_device_name(device)
    write_json(out, found)
    print({k: v for k, v in found.items() if k != "settings"}, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
