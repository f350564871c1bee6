"""A server with the simulated SDK, and gateways: one in this process, one as users start it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from instrumentserver import Server, list_servers, start_server
from instrumentserver.gateways.pyro import Gateway


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


@pytest.fixture(scope="module")
def lab() -> Server:
    """Return a server that serves the simulated SDK."""
    server = start_server("lab", linger=5)
    server.serve("instruments.time_tagger", "timetagger", lock="none")
    return server


@pytest.fixture(scope="module")
def gateway(lab: Server) -> Iterator[Gateway]:
    """Show it."""
    with Gateway("lab", host="127.0.0.1", port=0) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def port(lab: Server) -> Iterator[int]:
    """Return the port of a gateway in a process of its own."""
    command = [sys.executable, "-m", "instrumentserver", "pyro", "lab", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline().rpartition(":")[2])
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 0
