"""What matters in a model: every site taken away for once, its loss and error measured, everything put back."""

from ..base.callable_package import make_callable

make_callable(__name__)
