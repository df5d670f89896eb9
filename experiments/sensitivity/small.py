"""A map without the long lists of vocabulary rows, for committing: small.py MAP.json SMALL.json."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from secateur.prune.sensitivity_map import read_map, write_map

found = read_map(Path(sys.argv[1]))
sites = tuple(replace(s, ablated={} if "vocabulary" in s.ablated else s.ablated) for s in found.sites)
write_map(sys.argv[2], replace(found, sites=sites, model=Path(found.model).name))
