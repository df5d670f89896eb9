"""Checkpoints from the model hub, through `huggingface_hub` (which resumes and caches by itself)."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError
from ..base.extras import require
from ..base.progress import say

VARIANTS = ("fp32", "bf16", "fp16")


# What a transformers, CTranslate2 or secateur checkpoint needs; no other weights and no other framework's copies.
FILES = [
    "config.json", "generation_config.json", "model.safetensors", "model.safetensors.index.json", "model-*.safetensors",
    "model.bin", "tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json", "vocabulary.json", "vocabulary.txt",
    "model.*.safetensors", "model.safetensors.index.*.json", "adapter_config.json", "adapter_model.safetensors",
    "preprocessor_config.json", "processor_config.json", "tokenizer_config.json",
]  # fmt: skip
# Weights of a variant, such as model.fp16.safetensors: one file, pieces, or the pieces' index.
VARIANT = re.compile(r"model\.(?:safetensors\.index\.)?(?!safetensors)(\w+)(?:-\d+-of-\d+)?\.(?:safetensors|json)")
PATIENCE = 5.0  # seconds for each answer of the hub: a blocked one should fail at once


def fetch_from_hub(repository: str) -> Path:
    """The folder of `owner/name`, only the files that are needed; without a hub, the copy in its client's cache.

    Raises:
        SecateurError: huggingface_hub is missing, the hub cannot be reached, or it has no such model.
    """
    hub = require("huggingface_hub", "hub")
    say(f"downloading {repository} from the model hub")
    try:
        # Not snapshot_download: it asks for the list of files without a timeout, and a silent firewall would stop it.
        info = hub.HfApi().model_info(repository, timeout=PATIENCE)
        names = needed_files([one.rfilename for one in info.siblings or ()])
        paths = [hub.hf_hub_download(repository, n, revision=info.sha, etag_timeout=PATIENCE) for n in names]
    except Exception as problem:  # the library raises many kinds: no network, no such model, a gate
        cached = _cached_download(hub, repository)
        if cached is not None:
            return cached
        # The library's message in one line; a network error is often named only by its cause.
        reasons = [" ".join(str(one).split()) for one in (problem, problem.__cause__) if one is not None]
        reason = reasons[0] if len(reasons) == 1 or reasons[1] in reasons[0] else "; ".join(reasons)
        reason = reason or type(problem).__name__
        raise SecateurError(f"the model hub did not give {repository}: {reason[:300]}") from problem
    if not paths:
        raise SecateurError(f"the model hub's {repository} holds no file of a model that is known here")
    return Path(paths[0]).parent


def needed_files(names: list[str]) -> list[str]:
    """The files of a repository that are needed; no shards where one file holds all the weights, one variant only
    where there is no other."""
    chosen = [name for name in names if "/" not in name and any(fnmatchcase(name, one) for one in FILES)]
    if "model.safetensors" in chosen:
        return [name for name in chosen if name == "model.safetensors" or not name.startswith(("model-", "model."))]
    variants = {match[1] for name in chosen if (match := VARIANT.fullmatch(name))}
    if "model.safetensors.index.json" in chosen:
        wanted = None
    else:
        wanted = next((name for name in VARIANTS if name in variants), min(variants, default=None))
    return [name for name in chosen if not (match := VARIANT.fullmatch(name)) or match[1] == wanted]


def _cached_download(hub: Any, repository: str) -> Path | None:
    """An earlier download, if its weights are there."""
    try:
        folder = Path(hub.snapshot_download(repository, local_files_only=True))
    except Exception:  # not cached; the library raises many kinds
        return None
    return folder if any(folder.glob("model*.safetensors")) or (folder / "model.bin").is_file() else None
