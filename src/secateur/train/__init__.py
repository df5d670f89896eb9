"""Training: batches, losses, the loop."""

from ..base.callable_package import make_callable

make_callable(__name__)
