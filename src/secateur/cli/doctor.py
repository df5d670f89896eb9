"""`secateur doctor`: what can be done with a model, and what cannot and why."""

from __future__ import annotations

from typing import Any

from ..api.doctor import DoctorSettings, doctor
from ..base.options import to_dict

HELP = """Show what would be pruned of a model (groups, units, parameters), what stays whole, and why.

A model of an unknown family gets the list of its layers and the reason: nothing is guessed."""
EXAMPLE = "secateur doctor downloads/wav2vec2-base-960h"


Options = DoctorSettings


def run(options: DoctorSettings) -> dict[str, Any]:
    """Look, without changing anything."""
    findings: dict[str, Any] = to_dict(doctor(options))
    return findings


def show(result: dict[str, Any]) -> str:
    """What may go, then what may not."""
    total = result["parameters"]
    lines = [f"{result['model']}: family {result['family']}, {total:,} values"]
    if result["problem"]:
        lines += ["nothing can be pruned:", f"  {result['problem']}"]
    if result["prunable"]:
        lines.append("may go:")
    for one in result["prunable"]:
        share = 100 * one["parameters"] / max(total, 1)
        units = f"{one['units']:7} units ({one['kind']}) in {one['groups']} group(s)"
        lines.append(f"  {one['name']:58} {units}, {share:.1f} %")
    if result["whole"]:
        lines.append("what is in it:" if result["problem"] else "stays whole:")
    for why in dict.fromkeys(one["why"] for one in result["whole"]):
        some = [one for one in result["whole"] if one["why"] == why]
        lines.append(f"  {sum(one['parameters'] for one in some):,} values: {why}")
        lines += [f"    {one['name']} ({one['parameters']:,} in {one['tensors']})" for one in some]
    return "\n".join(lines)
