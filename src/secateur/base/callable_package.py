"""Packages that share their name with a job can be called: `secateur.train(...)` beside `secateur.train.loop`."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """A package that is also the job of its name in `secateur.api`."""

    def __call__(self, *inputs: object, **options: object) -> Any:
        """Run the job; see `secateur.api`."""
        return self._job(*inputs, **options)

    @property
    def __signature__(self) -> Any:
        """The job's inputs and settings, for `inspect` and editors."""
        return self._job.__signature__

    @property
    def _job(self) -> Any:
        root, _, name = self.__name__.rpartition(".")
        return getattr(import_module(f"{root}.api"), name)


def make_callable(package: str) -> None:
    """Let the package of this name be called."""
    sys.modules[package].__class__ = CallablePackage
