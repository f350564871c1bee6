"""The command ``live``, run as users run it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner

from instrumentserver import Server, list_servers, start_server
from instrumentserver.cli import main
from instrumentserver.sockets import LiveServer, LiveSocket

LOCAL = "127.0.0.1"

pytestmark = pytest.mark.slow


class Program:
    """A running command line."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-u", "-m", "instrumentserver", "live", *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.first_line = self.line()
        told = re.fullmatch(
            r"(\S+) receives at UDP port (\d+) of 127.0.0.1; Ctrl-C ends it\n", self.first_line
        )
        self.port = int(told[2]) if told else 0

    def line(self) -> str:
        """Return the next line that it prints."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def wait(self) -> tuple[int, str]:
        """Wait for its end; return the exit code and what was written to standard error."""
        _, errors = self._process.communicate(timeout=20)
        return self._process.returncode, errors

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal, and wait for the end."""
        self._process.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """Return what starts the command line."""
    started: list[Program] = []

    def begin(*arguments: str) -> Program:
        started.append(Program(*arguments))
        return started[-1]

    yield begin
    for program in started:
        program.kill()


@pytest.fixture
def sender() -> Iterator[Callable[[int], LiveSocket]]:
    """Return what makes a live socket that sends to a port."""
    made: list[LiveSocket] = []

    def make(port: int) -> LiveSocket:
        made.append(LiveSocket("sender", ["a", "b c"], (LOCAL, port), no_internal_data_pull_socket=True))
        made[-1].hostname = "lab-pc1"
        return made[-1]

    yield make
    for each in made:
        each.stop()


def test_live_shows_points_until_it_is_told_to_end_and_leaves_nothing(
    start: Callable[..., Program],
    sender: Callable[[int], LiveSocket],
    new_name: Callable[[], str],
) -> None:
    name = new_name()
    program = start(name, "--port", "0", "--host", LOCAL, "--show")
    assert program.first_line.startswith(f"{name}/{name} receives at UDP port "), program.first_line
    points = sender(program.port)
    points.set_point("a", (1, 2.5))
    assert program.line() == "lab-pc1 a [1, 2.5]\n"
    points.set_point("b c", (2, "on"))
    assert program.line() == 'lab-pc1 b c [2, "on"]\n'
    points.reset(["a"])
    assert program.line() == "lab-pc1 a RESET\n"
    (server,) = list_servers()
    assert server.instruments[name].lab_pc1.b_c() == "on"
    # What uses the server keeps it alive; this process does.
    assert program.end(signal.SIGINT) == (0, "")
    assert list(server.instruments) == []


def test_live_uses_the_server_that_it_is_told(start: Callable[..., Program], server: Server) -> None:
    program = start("points", "--server", server.name, "--port", "0", "--host", LOCAL)
    assert program.first_line.startswith(f"{server.name}/points receives"), program.first_line
    assert list(server.instruments) == ["points"]
    assert program.end(signal.SIGTERM) == (0, "")
    assert list(server.instruments) == []
    assert [each.name for each in list_servers()] == [server.name]


def test_live_says_that_its_server_has_ended(
    start: Callable[..., Program], new_name: Callable[[], str]
) -> None:
    name = new_name()
    program = start(name, "--port", "0", "--host", LOCAL, "--show")
    start_server(name).stop()
    assert program.wait() == (1, f"Error: server {name} has ended\n")


def test_what_cannot_be_is_told_in_one_line(server: Server, new_name: Callable[[], str]) -> None:
    live: LiveServer = server.create(LiveServer, "live", 0, LOCAL)  # type: ignore[assignment]
    other = new_name()

    def told(*arguments: str) -> str:
        ended = CliRunner().invoke(main, ["live", *arguments, "--host", LOCAL])
        assert isinstance(ended.exception, SystemExit)
        assert ended.exit_code == 1, ended.output
        return ended.output

    assert "Another instrument has the name: live" in told("live", "--server", server.name, "--port", "0")
    assert f"port {live.port} is still reserved" in told(other, "--port", str(live.port))
    assert "cannot name a server" in told("a b", "--port", "0")
    assert [each.name for each in list_servers()] == [server.name]
