"""What every test gets: a directory of servers of its own, and no process left behind."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator

import psutil
import pytest
from qcodes.instrument import Instrument
from qcodes.station import Station

from instrumentserver import Server, list_servers, start_server
from instrumentserver.directory import Directory

_numbers = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    """Have the workers of a parallel run put sets in the same order: tests are named by what they are given."""
    if getattr(config.option, "numprocesses", None):
        os.environ.setdefault("PYTHONHASHSEED", "0")


@pytest.fixture(scope="session", autouse=True)
def own_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Keep the servers of this test run apart from all others, and check at the end that none is left."""
    root = str(tmp_path_factory.mktemp("i"))
    os.environ["INSTRUMENTSERVER_DIR"] = root
    yield root
    assert Directory.default().records() == []
    left = sorted(path.name for path in Directory.default().root.iterdir())
    assert [name for name in left if name.endswith((".json", ".sock"))] == []
    assert server_processes(root) == []


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal() -> None:
    """Take Ctrl-C and hang-ups as a terminal's programs do; what runs in the background is told to ignore them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def no_server_left() -> Iterator[None]:
    """Stop the servers that a test started, and forget its instruments and its station."""
    yield
    Station.default = None
    for server in list_servers():
        server.stop()
    for instrument in list(Instrument._all_instruments.values()):
        instrument.remove_instance(instrument)


@pytest.fixture
def new_name() -> Callable[[], str]:
    """Return names that no other test uses."""
    return lambda: f"t{next(_numbers)}"


@pytest.fixture
def server(new_name: Callable[[], str]) -> Server:
    """Return a server of this test's own."""
    return start_server(new_name(), linger=5)


def server_processes(root: str) -> list[psutil.Process]:
    """Return the processes that were started with the directory ``root``, but for this one and its helpers."""
    me = psutil.Process()
    helpers = {process.pid for process in me.children()}
    found = []
    for process in psutil.process_iter():
        try:
            is_ours = process.environ().get("INSTRUMENTSERVER_DIR") == root
            if is_ours and process.pid not in {me.pid, *helpers} and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found
