"""Run a study file, several arms at a time; what is finished is not run again."""

import argparse
import sys
from pathlib import Path

from secateur.jobs.study import run_study

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("study", type=Path)
parser.add_argument("data", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--parallel", type=int, default=1)
parser.add_argument("--only", default="")
parser.add_argument("--seeds", default="")
parser.add_argument("--devices", default="cpu")
a = parser.parse_args()
failed = run_study(
    a.study, a.data, a.out, a.parallel, [x for x in a.only.split(",") if x], [int(s) for s in a.seeds.split(",") if s],
    a.devices.split(","),
)  # fmt: skip
sys.exit(1 if failed else 0)
