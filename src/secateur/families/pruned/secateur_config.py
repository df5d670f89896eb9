"""The config of our checkpoint, which every pruned config has under the key `secateur`."""

from __future__ import annotations

from typing import Any, TypeVar

from ...base.errors import SecateurError
from ...models.family import parse_config

C = TypeVar("C")


def secateur_config(config: Any, kind: type[C]) -> C:
    """Our config, of the class `kind`, inside theirs.

    Raises:
        SecateurError: there is none, or another family's.
    """
    values = getattr(config, "secateur", None)
    if not values:
        raise SecateurError(f"{type(config).__name__} needs its widths under the key 'secateur'")
    plain = parse_config(values, "config.json: secateur")
    if not isinstance(plain, kind):
        raise SecateurError(f"config.json: secateur: widths of the family '{plain.family}' do not fit this model")
    return plain
