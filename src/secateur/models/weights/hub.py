"""Checkpoints from the model hub, through `huggingface_hub` (which resumes and caches by itself)."""

from __future__ import annotations

import os
from pathlib import Path

from ...base.errors import SecateurError
from ...base.extras import require
from ...base.progress import say

FILES = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]


def fetch_from_hub(repository: str) -> Path:
    """The `transformers` folder of `owner/name`: only the files that are needed.

    Raises:
        SecateurError: huggingface_hub is missing, the hub cannot be reached, or it has no such model.
    """
    # A blocked hub should fail in seconds; the library reads these when it is imported.
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", "5")
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "20")
    hub = require("huggingface_hub", "hub")
    say(f"downloading {repository} from the model hub")
    try:
        return Path(hub.snapshot_download(repository, allow_patterns=FILES, max_workers=2))
    except Exception as problem:  # the library raises many kinds: no network, no such model, a gate
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise SecateurError(f"the model hub did not give {repository}: {reason[:200]}") from problem
