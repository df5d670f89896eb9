"""Studies: does pruning lower the error rate? Many arms at equal compute, seeds, intervals, one table and a page."""

from ..base.callable_package import make_callable

make_callable(__name__)
