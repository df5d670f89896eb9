"""Evaluation: error rates with intervals, cost, speed, comparison, report."""

from ..base.callable_package import make_callable

make_callable(__name__)
