"""Optional dependencies: imported when first needed, with a message that says what to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import SecateurError


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, or raise an error naming the extra that brings it.

    Raises:
        SecateurError: the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        raise SecateurError(
            f"'{missing.name or module}' is not installed: run  pip install 'secateur[{extra}]'"
        ) from missing
