"""`python -m secateur`."""

import sys

from .cli import main

sys.exit(main())
