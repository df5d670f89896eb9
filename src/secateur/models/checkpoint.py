"""A model folder: config.json (every width), model.safetensors, the text codec. No pickle anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch

from ..base.errors import SecateurError, nearest
from ..base.extras import require
from ..base.tensors import write_tensors
from .family import Config, TextCodec, family_of, read_config, write_config
from .meta import without_values
from .network import Network

Net = TypeVar("Net", bound=Network)
WEIGHTS = "model.safetensors"
UNTRAINED = "untrained.json"  # beside a model with random weights: training then does not regularise towards them


def save_checkpoint(folder: str | Path, model: Network, text: TextCodec, half: bool = False) -> Path:
    """Write `model` to `folder`, every file atomically; `half` stores fp16."""
    folder = Path(folder)
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    if half:
        state = {name: value.half() for name, value in state.items()}
    write_tensors(folder / WEIGHTS, state, {"format": "pt", "made_by": "secateur"})
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
    config = read_config(folder / "config.json")
    state = read_weights(folder / WEIGHTS)
    family = family_of(config)
    model = empty_network(family.network(), config, str(folder / "config.json"))
    load_weights(model, state, str(folder / WEIGHTS))
    return model.to(device).eval(), family.read_text(folder / family.text_file, config)


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


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file.

    Raises:
        SecateurError: missing, truncated or another format.
    """
    if not path.is_file():
        raise SecateurError(f"{path}: no such file")
    try:
        return dict(require("safetensors.torch", "train").load_file(path))
    except SecateurError:
        raise
    except Exception as problem:  # safetensors raises its own error type, and OSError
        raise SecateurError(f"{path}: a damaged safetensors file ({problem}); fetch or export it again") from problem


def load_weights(model: Network, state: dict[str, torch.Tensor], where: str) -> None:
    """Load `state` into a model on the meta device, as float32.

    Raises:
        SecateurError: a parameter is missing, unknown or of another shape.
    """
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for name in state:
        if name not in expected:
            raise SecateurError(f"{where}: unknown parameter '{name}'{nearest(name, expected)}")
    for name, shape in expected.items():
        if name not in state:
            raise SecateurError(f"{where}: parameter '{name}' is missing")
        if tuple(state[name].shape) != shape:
            raise SecateurError(f"{where}: '{name}' has shape {tuple(state[name].shape)}, the config says {shape}")
    assign_weights(model, {name: value.float() for name, value in state.items()})


def assign_weights(model: Network, state: dict[str, torch.Tensor]) -> None:
    """Assign tensors to a network on the meta device; parameters that were built frozen stay frozen."""
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    model.load_state_dict(state, assign=True)
    parameters = dict(model.named_parameters())
    for name in frozen:
        parameters[name].requires_grad_(False)
