"""How large an export will be and what writing it takes, known from the config before any work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..base.errors import SecateurError
from ..base.progress import say
from ..models.family import Config, family_of

# Bytes a parameter in a file: a byte with a scale of 16 bits for every 64 of them, or four bits with one for 32.
BYTES = {"fp32": 4.0, "fp16": 2.0, "bf16": 2.0, "int8": 1.035, "int8-dynamic": 1.03, "int8-static": 1.03, "auto": 1.035}
FOUR_BITS = 0.57
RUNNING = 4.8  # bytes a parameter while the source computes what the export is compared with, in float32
LIBRARIES = 600_000_000  # bytes of Python, torch and onnxruntime themselves
WHOLE = 1 << 30  # bytes of an export in float32 that is made for a comparison only
SPARE = 1.1  # of the disk: the text codec, and what rounding leaves out


def export_bytes(config: Config, precision: str, four_bits: Sequence[str] = ()) -> int:
    """About how many bytes the exported model has; with four bits the least that it may have."""
    each = BYTES.get(precision, 4.0)
    if four_bits and precision.startswith("int8"):
        each = FOUR_BITS
    return round(each * family_of(config).parameters(config))


def export_memory(config: Config, precision: str) -> int:
    """About how many bytes of memory an export takes at most: source and export are never there together."""
    parameters = family_of(config).parameters(config)
    # onnxruntime makes float32 of 16 bits; of its own float32 it keeps a copy in the order in which it multiplies.
    graph = {"fp32": 8.0, "fp16": 8.0}.get(precision, 2.0)
    return round(parameters * max(RUNNING, graph)) + LIBRARIES


def control_precision(config: Config, precision: str) -> str:
    """The precision that a model is exported in to be compared with one of the same size in `precision`: float32, as
    it was trained, up to `WHOLE` bytes; a larger one like the other."""
    return "fp32" if export_bytes(config, "fp32") <= WHOLE else precision


def check_room(config: Config, precision: str, out: Path, models: int = 0, four_bits: Sequence[str] = ()) -> int:
    """Bytes that the export will have; a note where memory may be short.

    `models` is how many more are exported to `out`, for comparison (see `control_precision`).

    Raises:
        SecateurError: the disk has less room than that.
    """
    size = export_bytes(config, precision, four_bits)
    needed = SPARE * (size + models * export_bytes(config, control_precision(config, precision)))
    free = free_bytes(out)
    if free is not None and needed > free:
        raise SecateurError(
            f"{out}: the export takes about {needed / 1e9:.1f} GB ({precision or 'as it is stored'}), and "
            f"{free / 1e9:.1f} GB of the disk are free; free some, name another --out or a smaller --precision"
        )
    memory, there = export_memory(config, precision), available_memory()
    if there is not None and memory > there:
        say(
            f"note: this export takes about {memory / 1e9:.1f} GB of memory, and {there / 1e9:.1f} GB are available; "
            "the system may stop it"
        )
    return size


def free_bytes(path: Path) -> int | None:
    """Room on the disk that `path`, which may not exist yet, is on; None: not known."""
    for parent in (path, *path.absolute().parents):
        if parent.exists():
            try:
                return shutil.disk_usage(parent).free
            except OSError:
                return None
    return None


def available_memory() -> int | None:
    """Bytes that programs can still have without swapping; None: not known here."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None
