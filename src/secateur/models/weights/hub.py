"""Checkpoints from the model hub, through `huggingface_hub` (which resumes and caches by itself)."""

from __future__ import annotations

from pathlib import Path

from ...base.errors import SecateurError
from ...base.extras import require
from ...base.progress import say

# What a transformers, CTranslate2 or secateur checkpoint needs; no other weights and no other framework's copies.
FILES = [
    "config.json", "generation_config.json", "model.safetensors", "model.safetensors.index.json", "model-*.safetensors",
    "model.bin", "tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json", "vocabulary.json", "vocabulary.txt",
]  # fmt: skip
PATIENCE = 5.0  # seconds for the hub's first answer: a blocked hub should fail at once


def fetch_from_hub(repository: str) -> Path:
    """The folder of `owner/name`: only the files that are needed.

    Raises:
        SecateurError: huggingface_hub is missing, the hub cannot be reached, or it has no such model.
    """
    hub = require("huggingface_hub", "hub")
    say(f"downloading {repository} from the model hub")
    try:
        return Path(hub.snapshot_download(repository, allow_patterns=FILES, max_workers=2, etag_timeout=PATIENCE))
    except Exception as problem:  # the library raises many kinds: no network, no such model, a gate
        # Its own words, in one line; what went wrong on the network is often only in the cause.
        said = [" ".join(str(one).split()) for one in (problem, problem.__cause__) if one is not None]
        reason = said[0] if len(said) == 1 or said[1] in said[0] else "; ".join(said)
        reason = reason or type(problem).__name__
        raise SecateurError(f"the model hub did not give {repository}: {reason[:300]}") from problem
