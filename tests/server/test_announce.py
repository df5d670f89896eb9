"""Zeroconf: a server on the network is found by its name, one on this machine alone is not announced."""

from __future__ import annotations

import asyncio
import socket

import pytest

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.server.announce import SERVICE, Announced

zeroconf = pytest.importorskip("zeroconf")


def test_a_server_is_found_by_its_name() -> None:
    try:
        announced = Announced("0.0.0.0", 10300, "secateur test")
    except SecateurError as problem:
        pytest.skip(f"no network: {problem}")

    async def scene() -> tuple[object, object]:
        from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

        async with announced:
            other = AsyncZeroconf()
            found = AsyncServiceInfo(SERVICE, f"secateur test.{SERVICE}")
            there = await found.async_request(other.zeroconf, 5000)
            await other.async_close()
        return there, found

    there, found = asyncio.run(scene())
    if not there:
        pytest.skip("no multicast here")
    assert found.port == 10300  # type: ignore[attr-defined]
    assert socket.inet_ntoa(found.addresses[0]) == announced.address  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--wyoming-port", "10300"], "cannot reach"),
        ([], "--wyoming-port"),
        (["--wyoming-port", "0"], "--wyoming-port"),
    ],
)
def test_what_nobody_could_reach_is_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--zeroconf", "here", *words]) == 2
    assert message in capsys.readouterr().err
