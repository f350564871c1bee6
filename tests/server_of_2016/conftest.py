"""One server for each module of tests, with a bench and the instruments that are wired to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from qcodes.instrument import Instrument

from instrumentserver import Server, list_servers, start_server
from instrumentserver.manager import InstrumentServerManager

from .bench import Bench, Gates, Meter, Source


@pytest.fixture(scope="module")
def shared_server(own_directory: str) -> Iterator[Server]:
    """Yield the server of a module."""
    server = start_server("lab2016", linger=None)
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left(shared_server: Server) -> Iterator[None]:
    """Close what a test made, and stop the servers that it started; the module's own goes on."""
    yield
    for manager in list(InstrumentServerManager.instances.values()):
        manager.close()
    for server in list_servers():
        if server != shared_server:
            server.stop()
    for instrument in reversed(list(shared_server.instruments.values())):
        instrument.close()
    for instrument in list(Instrument._all_instruments.values()):
        instrument.close()


@pytest.fixture
def bench(shared_server: Server) -> Bench:
    """Return the hardware, on the module's server."""
    return Bench("bench", server_name=shared_server.name)


@pytest.fixture
def gates(bench: Bench, shared_server: Server) -> Gates:
    """Return the source of three voltages."""
    return Gates("gates", model=bench, server_name=shared_server.name)


@pytest.fixture
def source(bench: Bench, shared_server: Server) -> Source:
    """Return the source of excitation."""
    return Source("source", model=bench, server_name=shared_server.name)


@pytest.fixture
def meter(bench: Bench, shared_server: Server) -> Meter:
    """Return the meter."""
    return Meter("meter", model=bench, server_name=shared_server.name)
