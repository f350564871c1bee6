"""A server for each module of tests, a source of changes on it, and somebody who hears of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from drivers import Onlooker
from received import Received, leave_alone
from watched import Source

from instrumentserver import Server, start_server


@pytest.fixture(scope="module")
def home(own_directory: str, request: pytest.FixtureRequest) -> Iterator[Server]:
    """Yield the server of this module, with a log of its own."""
    server = start_server(request.module.__name__.rpartition(".")[2])
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left(home: Server) -> Iterator[None]:
    """Close what a test made; the server of the module goes on."""
    yield from leave_alone(home)


@pytest.fixture
def server(home: Server) -> Server:
    return home


@pytest.fixture
def source(server: Server) -> Source:
    return server.create(Source, "source")


@pytest.fixture
def onlooker(source: Source, new_name: Callable[[], str]) -> Onlooker:
    """Return another client in another process, which knows the instrument as ``source``."""
    onlooker = start_server(new_name()).create(Onlooker, "onlooker")
    onlooker.do("pass", source=source)
    return onlooker


@pytest.fixture
def received() -> Received:
    return Received()
