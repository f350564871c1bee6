"""Gateways and clients for the tests: real ones, on the loopback interface, on ports that nobody else uses."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from served import Bench, Clients, Twin

from instrumentserver import Server, list_servers, start_server
from instrumentserver.gateways.epics import Gateway


@pytest.fixture(autouse=True)
def no_server_left() -> Iterator[None]:
    """Leave servers to the fixtures of this directory: those of a module outlive a test."""
    yield


@pytest.fixture(scope="module", autouse=True)
def no_server_left_in_module() -> Iterator[None]:
    """Stop the servers that the tests of a module started."""
    yield
    for server in list_servers():
        server.stop()


@pytest.fixture(scope="module", autouse=True)
def environment_restored() -> Iterator[None]:
    """Leave the environment as it was."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def bench_server() -> Server:
    """Return the server of the module, with an instrument."""
    server = start_server("bench", linger=5)
    server.create(Bench, "t")
    return server


@pytest.fixture
def bench(bench_server: Server) -> Bench:
    """Return the instrument, as it was in the beginning."""
    bench: Bench = bench_server.instruments["t"]  # type: ignore[assignment]
    bench.restore()
    return bench


@pytest.fixture(scope="module")
def gateway(bench_server: Server) -> Iterator[Gateway]:
    """Serve the instrument."""
    ports = {"ca_port": 0, "pva_port": 0, "pva_search_port": 0}
    with Gateway(["bench"], prefix="x:", interfaces=["127.0.0.1"], scan=0.1, **ports) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def twin() -> Iterator[Twin]:
    """Return an IOC made with caproto itself."""
    with Twin() as twin:
        yield twin


@pytest.fixture(scope="module", params=["gateway", "caproto"])
def port(request: pytest.FixtureRequest) -> int:
    """Return where clients search, for the gateway and for the IOC that it must be like."""
    if request.param == "gateway":
        found: int = request.getfixturevalue("gateway").ca_port
        return found
    twin_port: int = request.getfixturevalue("twin").port
    return twin_port


@pytest.fixture(scope="module")
def all_clients() -> Iterator[Clients]:
    """Return the clients of the module."""
    with Clients() as clients:
        yield clients


@pytest.fixture
def clients(all_clients: Clients) -> Iterator[Clients]:
    """Return clients of Channel Access."""
    yield all_clients
    all_clients.end_monitors()


@pytest.fixture
def own_clients() -> Iterator[Clients]:
    """Return clients that end with the test, for gateways that do."""
    with Clients() as clients:
        yield clients
