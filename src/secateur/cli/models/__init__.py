"""`secateur models`: list, fetch, make and show checkpoints; the cache."""

from . import cache, fetch, new, show, soup
from . import list as list_models

COMMANDS = {"list": list_models, "fetch": fetch, "new": new, "show": show, "soup": soup, "cache": cache}
