"""What the tests of networks get: a server that listens with TLS, and clients of every role."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest
from afar import Afar, forget_servers

from instrumentserver import Server, start_server
from instrumentserver.transport.keys import ServerKeys


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """Forget the servers of a test: the next one may get a port of one of them."""
    yield
    forget_servers()


@pytest.fixture
def listening(new_name: Callable[[], str]) -> Server:
    """Return a server that listens at every interface, with TLS."""
    return start_server(
        new_name(), linger=5, listen="tls://0.0.0.0:0", allow=["instruments:Dac", "drivers:Plain"]
    )


@pytest.fixture
def afar(listening: Server) -> Afar:
    """Return what connects with the server in any role."""
    if not sys.platform.startswith("linux"):
        pytest.skip("each role has an address of its own, and only Linux has all of 127.0.0.0/8")
    return Afar(listening, ServerKeys(listening.name))
