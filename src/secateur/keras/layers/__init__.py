"""What may go together, by type of layer: one rule a type, which binds every variable of the layer to channels.

A new layer is a function `(call) -> outputs` under its Keras name in one of these files, and a case in
`tests/keras/keras_layers.py`.
"""

from . import attention, dense, merging, passing, recurrent, shaping  # noqa: F401 (they enter their rules)
from .call import RULES, Call, Rule, rule
from .operations import operation

__all__ = ["RULES", "Call", "Rule", "operation", "rule"]
