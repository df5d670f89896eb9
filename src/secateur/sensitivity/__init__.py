"""Sensitivity of a model: every site is ablated one at a time, and the loss and error without it are measured."""

from ..base.callable_package import make_callable

make_callable(__name__)
