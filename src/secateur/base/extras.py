"""Optional dependencies: imported when first needed, with a message that says what to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import SecateurError

DISTRIBUTION = "secateur-asr"  # its name on PyPI; the import is `secateur`


def hint(extra: str) -> str:
    """How to install an extra.

    >>> hint("train")
    "pip install 'secateur-asr[train]'"
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, or raise an error naming the extra that brings it.

    Raises:
        SecateurError: the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        raise SecateurError(f"'{missing.name or module}' is not installed: run  {hint(extra)}") from missing
