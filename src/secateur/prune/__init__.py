"""Pruning: how much it matters, how much goes when, how it is removed."""

from ..base.callable_package import make_callable

make_callable(__name__)
