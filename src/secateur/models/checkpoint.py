"""A model folder: config.json (every width), model.safetensors, the text codec. No pickle anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

import torch

from ..base.errors import SecateurError, nearest
from ..base.extras import require
from ..base.tensors import TYPES, write_tensors
from .family import Config, TextCodec, family_of, read_config, write_config
from .network import Network, without_values
from .reference import is_reference, read_referred

Net = TypeVar("Net", bound=Network)
WEIGHTS = "model.safetensors"
UNTRAINED = "untrained.json"  # beside a model with random weights: training then does not regularise towards them


def save_checkpoint(
    folder: str | Path, model: Network, text: TextCodec, half: bool = False, dtype: torch.dtype | None = None
) -> Path:
    """Write `model` to `folder`, every file atomically; `half` stores fp16, `dtype` that type."""
    folder = Path(folder)
    dtype = torch.float16 if half else dtype
    write_tensors(folder / WEIGHTS, model.state_dict(), {"format": "pt", "made_by": "secateur"}, dtype)
    text.write(folder / family_of(model.config).text_file)
    write_config(folder / "config.json", model.config)
    return folder


@torch.no_grad()
def untrained(model: str | Path) -> bool:
    """Whether `model` is the folder of a model that `secateur models new` made and nothing has trained."""
    return (Path(model) / UNTRAINED).is_file()


def as_saved(model: Net) -> Net:
    """`model` rounded to fp16 in place, as a checkpoint stores it: the weights evaluated are the weights saved."""
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(value.half())
    return model


def load_checkpoint(folder: str | Path, device: str | torch.device = "cpu") -> tuple[Network, TextCodec]:
    """Read a model folder of any family as float32, ready to run (`eval` mode): the network and its text codec.

    Raises:
        SecateurError: a missing, truncated or foreign file, or weights that do not fit the config.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SecateurError(f"{folder}: no such model folder")
    if is_reference(folder):
        referred, referred_text = read_referred()(folder)
        return (referred if _SHAPES_ONLY.get() else referred.to(device).eval()), referred_text
    config = read_config(folder / "config.json")
    state = stored_tensors(folder / WEIGHTS)
    family = family_of(config)
    model = empty_network(family.network(), config, str(folder / "config.json"))
    load_weights(model, state, str(folder / WEIGHTS))
    return (model if _SHAPES_ONLY.get() else model.to(device)).eval(), family.read_text(
        folder / family.text_file, config
    )


def empty_network(network: type[Net], config: Config, where: str) -> Net:
    """A network on the meta device: shapes without storage, for weights that are loaded later.

    Raises:
        SecateurError: widths that layers refuse.
    """
    try:
        with without_values():
            return network(config)
    except SecateurError:
        raise
    except Exception as problem:
        raise SecateurError(
            f"{where}: no network can be built with these widths ({str(problem).splitlines()[:1]})"
        ) from problem


class StoredTensors(Mapping[str, torch.Tensor]):
    """The tensors of safetensors files, each mapped into memory when it is asked for.

    The file is opened anew for every tensor: what shares a mapping stays in memory until the last of it is dropped.

    Raises:
        SecateurError: a file is missing, truncated or of another format.
    """

    def __init__(self, *paths: Path) -> None:
        self._files: dict[str, Path] = {}
        for path in paths:
            with _opened(path) as file:
                self._files |= dict.fromkeys(file.keys(), path)

    def __getitem__(self, name: str) -> torch.Tensor:
        with _opened(self._files[name]) as file:
            tensor: torch.Tensor = file.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def without_values(self) -> dict[str, torch.Tensor]:
        """Names, shapes and types alone, as tensors on the meta device."""
        shapes: dict[str, torch.Tensor] = {}
        for path in dict.fromkeys(self._files.values()):
            with _opened(path) as file:
                for name in file.keys():  # noqa: SIM118
                    piece = file.get_slice(name)
                    dtype = DTYPES.get(piece.get_dtype(), torch.float32)
                    shapes[name] = torch.empty(piece.get_shape(), dtype=dtype, device="meta")
        return shapes


DTYPES = {kind: getattr(torch, name) for name, kind in TYPES.items()}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise SecateurError(f"{path}: no such file")
    try:
        with require("safetensors", "train").safe_open(path, framework="pt") as file:
            yield file
    except SecateurError:
        raise
    except Exception as problem:  # safetensors raises its own error type, and OSError
        raise SecateurError(f"{path}: a damaged safetensors file ({problem}); fetch or export it again") from problem


def same_values(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are equal; on the meta device, where none has values, whether their shapes are."""
    if one.is_meta or other.is_meta:
        return one.shape == other.shape
    return torch.equal(one, other)


_SHAPES_ONLY: ContextVar[bool] = ContextVar("shapes_only", default=False)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Networks that are read in this block have names, shapes and types, and no values: no weight is read."""
    token = _SHAPES_ONLY.set(True)
    try:
        yield
    finally:
        _SHAPES_ONLY.reset(token)


def stored_tensors(*paths: Path) -> Mapping[str, torch.Tensor]:
    """The tensors of safetensors files, each read when it is asked for (see `shapes_only`).

    Raises:
        SecateurError: see `StoredTensors`.
    """
    stored = StoredTensors(*paths)
    return stored.without_values() if _SHAPES_ONLY.get() else stored


_AS_STORED: ContextVar[bool] = ContextVar("as_stored", default=False)


@contextmanager
def as_stored() -> Iterator[None]:
    """Networks that are read in this block keep the types of their files, for writing them in another format: half the
    memory of float32 or less. They cannot run so."""
    token = _AS_STORED.set(True)
    try:
        yield
    finally:
        _AS_STORED.reset(token)


def load_weights(model: Network, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Load `state` into a model on the meta device, as float32 (see `as_stored`).

    A dict is emptied on the way, so that only one tensor is in memory twice.

    Raises:
        SecateurError: a parameter is missing, unknown or of another shape.
    """
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for name in state:
        if name not in expected:
            raise SecateurError(f"{where}: unknown parameter '{name}'{nearest(name, expected)}")
    ready: dict[str, torch.Tensor] = {}
    for name, shape in expected.items():
        if name not in state:
            raise SecateurError(f"{where}: parameter '{name}' is missing")
        value = state.pop(name) if isinstance(state, dict) else state[name]
        if tuple(value.shape) != shape:
            raise SecateurError(f"{where}: '{name}' has shape {tuple(value.shape)}, the config says {shape}")
        ready[name] = value if _AS_STORED.get() else value.float()
    assign_weights(model, ready)


def assign_weights(model: Network, state: dict[str, torch.Tensor]) -> None:
    """Assign tensors to a network on the meta device; parameters that were built frozen stay frozen."""
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    model.load_state_dict(state, assign=True)
    parameters = dict(model.named_parameters())
    for name in frozen:
        parameters[name].requires_grad_(False)
