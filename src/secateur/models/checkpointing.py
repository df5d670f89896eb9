"""Gradient checkpointing: layers keep only their inputs and are computed again in the backward pass.

Memory for activations falls to one layer's, for a third more time (Chen et al. 2016, arXiv 1604.06174).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ..base.errors import SecateurError
from .network import Network
from .token_network import LayerCache

_recomputing = 0


def recomputing() -> bool:
    """Whether a layer is being computed a second time: hooks that count must not count it again."""
    return _recomputing > 0


def find_layers(model: Network) -> list[nn.Module]:
    """The layers of `model`: members of the lists that its groups of kind "layer" name, or of all its lists; maybe
    none."""
    names = [group.name for group in model.groups() if group.kind == "layer"]
    lists = [model.get_submodule(name) for name in names]
    lists = lists or [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    return [layer for one in lists for layer in one.children()]


def layers_of(model: Network) -> list[nn.Module]:
    """The layers of `model`, see `find_layers`.

    Raises:
        SecateurError: it has none.
    """
    layers = find_layers(model)
    if not layers:
        raise SecateurError("training.gradient_checkpointing: this model has no layers to compute again; leave it out")
    return layers


@contextmanager
def checkpointed(model: Network, on: bool = True, random: bool = False) -> Iterator[None]:
    """Inside, `model`'s layers are checkpointed wherever gradients are computed; `random`: they draw (dropout).

    Raises:
        SecateurError: a model without layers.
    """
    layers = layers_of(model) if on else []
    for layer in layers:
        layer.forward = partial(_forward, layer.forward, random)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own again


def _forward(inner: Callable[..., Any], random: bool, *inputs: object, **named: object) -> Any:
    if not torch.is_grad_enabled():
        return inner(*inputs, **named)
    pure = partial(_pure, inner, named)
    return checkpoint(pure, *inputs, use_reentrant=False, preserve_rng_state=random, context_fn=_contexts)


def _pure(inner: Callable[..., Any], named: Mapping[str, object], *inputs: object) -> Any:
    """`inner` without a trace in its inputs: a decoder's cache is extended in a copy."""
    return inner(*(copy.copy(value) if isinstance(value, LayerCache) else value for value in inputs), **named)


def _contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _again()


@contextmanager
def _again() -> Iterator[None]:
    global _recomputing
    _recomputing += 1
    try:
        yield
    finally:
        _recomputing -= 1
