"""What a model takes: its inputs by name as Keras matches them, of its shapes; and that it is a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..base.errors import SecateurError, nearest
from ..base.extras import require

if TYPE_CHECKING:
    from keras import KerasTensor, Model


def check_model(model: object) -> None:
    """Refuse what is no Keras model.

    Raises:
        SecateurError: what was given instead.
    """
    if not isinstance(model, require("keras", "keras").Model):
        raise SecateurError(f"a Keras model is needed, found {type(model).__name__}: secateur.keras.load reads a file")


def packed(model: Model, tensors: Sequence[KerasTensor]) -> Any:
    """Tensors in the order of `model.inputs`, nested as the model takes them."""
    if len(tensors) == 1 and not isinstance(getattr(model, "input", None), dict):
        return tensors[0]
    return require("keras", "keras").tree.pack_sequence_as(model.input, list(tensors))


def nested(model: Model, given: Any, what: str) -> Any:
    """Inputs nested as the model takes them; one alone is in no list. Of a model without a graph as they are.

    A dictionary is matched by the keys of the model's own, or by the names of its tensors. Keras takes a list for a
    dictionary only where the keys are sorted: it would read the list in their order.

    Raises:
        SecateurError: names or a number of inputs that are not the model's.
    """
    struct = getattr(getattr(model, "_functional", None) or model, "_inputs_struct", None)
    return given if struct is None else _matched(struct, given, what)


def _matched(struct: Any, given: Any, what: str) -> Any:
    if isinstance(struct, Mapping):
        if isinstance(given, Mapping):
            _check_names(given, struct, what)
            return {name: _matched(one, given[name], what) for name, one in struct.items()}
        if len(struct) == 1:
            return {name: _matched(one, given, what) for name, one in struct.items()}
        if list(struct) != sorted(struct) or not isinstance(given, list | tuple) or len(given) != len(struct):
            raise SecateurError(f"{what}: the model takes its inputs by name: give a dictionary with {_named(struct)}")
        return {name: _matched(one, other, what) for (name, one), other in zip(struct.items(), given, strict=True)}
    parts = list(struct) if isinstance(struct, list | tuple) else [struct]
    if isinstance(given, Mapping) and all(hasattr(one, "name") for one in parts):
        names = [one.name for one in parts]
        _check_names(given, names, what)
        given = [given[name] for name in names]
    elif len(parts) == 1 and not (
        isinstance(given, list | tuple) and len(given) == 1 and _rank(given[0]) == _rank(parts[0])
    ):
        return given  # alone, or a list of its examples
    if not isinstance(given, list | tuple) or len(given) != len(parts):
        count = f"{len(given)}" if isinstance(given, list | tuple | Mapping) else "one"
        names = [getattr(one, "name", "...") for one in parts]
        raise SecateurError(f"{what}: the model takes {len(parts)} inputs, found {count}: give {_named(names)}")
    if len(parts) == 1:
        return given[0]
    return [_matched(one, other, what) for one, other in zip(parts, given, strict=True)]


def _rank(value: Any) -> int:
    return len(getattr(value, "shape", ()))


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _check_names(given: Mapping[str, Any], names: Iterable[str], what: str) -> None:
    known = list(names)
    for name in given:
        if name not in known:
            raise SecateurError(f"{what}: no input '{name}'{nearest(str(name), known)}: the model has {_named(known)}")
    missing = [name for name in known if name not in given]
    if missing:
        raise SecateurError(f"{what}: {_named(missing)} is missing: the model has {_named(known)}")


def check_shapes(model: Model, inputs: Any, what: str) -> None:
    """Refuse arrays (batch, ...), nested as the model takes them, that its inputs do not take.

    Raises:
        SecateurError: a shape that is not the input's, or inputs of different numbers of examples.
    """
    tensors = getattr(model, "inputs", None)
    if not tensors:
        return
    first = None
    for one, tensor in zip(require("keras", "keras").tree.flatten(inputs), tensors, strict=True):
        if one is None:  # optional
            continue
        shape, wanted = tuple(one.shape), tuple(tensor.shape)
        if wanted[-1] == 1 and len(shape) == len(wanted) - 1:  # Keras adds a last axis of one
            shape = (*shape, 1)
        elif len(shape) == len(wanted) + 1 and shape[-1] == 1:  # and takes it away
            shape = shape[:-1]
        if len(shape) != len(wanted) or any(b not in (None, a) for a, b in zip(shape[1:], wanted[1:], strict=True)):
            sizes = ", ".join("any" if size is None else str(size) for size in wanted[1:])
            raise SecateurError(
                f"{what}: input '{tensor.name}' takes the shape (batch, {sizes}), found {tuple(one.shape)}"
            )
        first = shape[0] if first is None else first
        if shape[0] != first:
            raise SecateurError(f"{what}: input '{tensor.name}' has {shape[0]} examples, and the first input {first}")
