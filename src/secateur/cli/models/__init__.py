"""`secateur models`: list, fetch and show checkpoints."""

from . import fetch, show
from . import list as list_models

COMMANDS = {"list": list_models, "fetch": fetch, "show": show}
