"""One file a skill; `load` imports them all, then those of other packages (entry points `secateur.skills`, which name
modules), then those of a folder of the user's own."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType

from ...base.errors import SecateurError
from ...base.plugins import Registry
from ..skill import SKILLS, Skill

OTHERS: Registry[ModuleType] = Registry("skills", "module of skills", {})


def load(folder: str | Path | None = None) -> dict[str, Skill]:
    """Every skill by its intent; Python files in `folder` add theirs.

    Raises:
        SecateurError: the folder is not there, or a file of it, or another package's module, fails.
    """
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    for name in OTHERS:
        OTHERS.find(name)  # importing the module registers its skills
    if folder is not None:
        if not Path(folder).is_dir():
            raise SecateurError(f"{folder}: no such folder of skills")
        for path in sorted(Path(folder).glob("*.py")):
            spec = importlib.util.spec_from_file_location(f"secateur_skill_{path.stem}", path)
            assert spec is not None and spec.loader is not None
            try:
                spec.loader.exec_module(importlib.util.module_from_spec(spec))
            except Exception as problem:  # it is the user's own code
                raise SecateurError(f"{path}: {type(problem).__name__}: {problem}") from problem
    return SKILLS
