"""Export to formats that stock runtimes run."""

from ..base.callable_package import make_callable

make_callable(__name__)
