"""What `deploy/` starts is what the command line takes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from secateur.cli import serve
from secateur.cli.command import build_options, make_parser

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"


def started(name: str) -> list[str]:
    """The words of the command that a file starts."""
    for line in (DEPLOY / name).read_text().splitlines():
        if line.startswith("ENTRYPOINT "):
            return list(json.loads(line.removeprefix("ENTRYPOINT ")))
        if line.startswith("ExecStart="):
            return shlex.split(line.removeprefix("ExecStart="))
    raise AssertionError(name)


@pytest.mark.parametrize(("name", "host"), [("Dockerfile", "0.0.0.0"), ("secateur.service", "127.0.0.1")])
def test_the_options_are_known(name: str, host: str) -> None:
    program, command, *words = started(name)
    assert (Path(program).name, command) == ("secateur", "serve")
    options = build_options(serve.Options, make_parser(serve, "serve").parse_all(words))
    assert (options.host, options.port, options.wyoming_port) == (host, 8000, 10300)


def test_a_stop_waits_longer_than_the_server_drains() -> None:
    unit = (DEPLOY / "secateur.service").read_text()
    stop = next(line for line in unit.splitlines() if line.startswith("TimeoutStopSec="))
    assert float(stop.split("=")[1]) > serve.Limits().drain
