"""What may go together, by type of layer: one rule a type, which binds every variable of the layer to channels.

A new layer is a function `(call) -> outputs` under its Keras name in one of these files, and a case in
`tests/keras/keras_layers.py`.
"""

from . import attention, dense, merging, passing, recurrent, shaping  # noqa: F401 (they enter their rules)
from .call import REGISTERED, RULES, Call, Rule, register, rule
from .operations import operation

__all__ = ["REGISTERED", "RULES", "Call", "Rule", "operation", "register", "rule"]
