"""Zeroconf (mDNS): Home Assistant finds a Wyoming server on the network by itself."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any

from ..base.errors import SecateurError
from ..base.extras import require

SERVICE = "_wyoming._tcp.local."
EVERYWHERE = ("", "0.0.0.0", "::")
SOMEWHERE = ("192.0.2.1", 9)  # RFC 5737: no packet is sent to learn which of our addresses would be used


class Announced:
    """Says, as long as it is open, where the server is.

    Args:
        host: the address it listens on; of all addresses, the one that the network is reached from is said.
        name: what a user sees; two servers of one network need two.

    Raises:
        SecateurError: `zeroconf` is not installed, or the server listens where no network reaches it.
    """

    def __init__(self, host: str, port: int, name: str) -> None:
        self._zeroconf = require("zeroconf.asyncio", "zeroconf")
        self.address = _address() if host in EVERYWHERE else host
        if self.address.startswith("127.") or self.address in ("localhost", "::1"):
            raise SecateurError(
                f"--zeroconf announces a server to the network, which cannot reach {self.address}: "
                "say where to listen with --host"
            )
        self.port, self.name = port, name
        self._open: Any = None

    async def __aenter__(self) -> Announced:
        """Announce it."""
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        try:
            about = self._zeroconf.AsyncServiceInfo(
                SERVICE,
                f"{self.name}.{SERVICE}",
                port=self.port,
                addresses=[socket.inet_pton(family, self.address)],
                server=f"{socket.gethostname().partition('.')[0]}.local.",
            )
            self._open = self._zeroconf.AsyncZeroconf()
            await self._open.async_register_service(about)
        except Exception as problem:  # the library has many: no network, a name that is taken
            await self.__aexit__(None, None, None)
            raise SecateurError(
                f"'{self.name}' cannot be announced by zeroconf ({type(problem).__name__}: {problem})"
            ) from problem
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take it back."""
        if self._open is not None:
            await self._open.async_unregister_all_services()
            await self._open.async_close()
            self._open = None


def _address() -> str:
    """The address of this machine that others reach it by."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(SOMEWHERE)
        except OSError:
            return "127.0.0.1"
        return str(one.getsockname()[0])
