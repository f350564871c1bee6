"""A server for each module of tests, and no thread of a bridge left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from qcodes.instrument import Instrument
from received import eventually, leave_alone

from instrumentserver import Server, start_server


@pytest.fixture(scope="module")
def home(own_directory: str) -> Iterator[Server]:
    """Yield the server of this module."""
    server = start_server("bridge")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left(home: Server) -> Iterator[None]:
    """Close what a test made, here and on the server of the module, which goes on."""
    yield from leave_alone(home)
    for name in list(home.objects):
        home.unserve(name)
    for instrument in list(Instrument._all_instruments.values()):
        instrument.close()


@pytest.fixture
def server(home: Server) -> Server:
    return home


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Check that every thread of a socket and of its readings has ended."""
    yield
    names = ("socket readings", "date socket", "data socket", "push socket")
    eventually(lambda: not [each for each in threading.enumerate() if each.name.startswith(names)])
