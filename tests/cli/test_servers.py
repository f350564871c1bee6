"""Servers by the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from drivers import Plain

from instrumentserver import Server, connect
from instrumentserver.cli import main
from instrumentserver.directory import Directory
from instrumentserver.transport.exits import wait_for_exit
from instrumentserver.transport.keys import ServerKeys


def run(*arguments: str, typed: str = "") -> Result:
    """Run the command line within this process."""
    return CliRunner().invoke(main, arguments, input=typed)


def done(*arguments: str, typed: str = "") -> str:
    """Return what the command line prints, which must succeed."""
    result = run(*arguments, typed=typed)
    assert result.exit_code == 0, result.output
    return result.output


def failed(*arguments: str, typed: str = "") -> str:
    """Return the one line with which the command line fails."""
    result = run(*arguments, typed=typed)
    assert result.exit_code == 1, result.output
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1
    return result.output


@pytest.fixture
def started(new_name: Callable[[], str]) -> Server:
    """Return a server that was started by the command line."""
    name = new_name()
    done("start", name, "--listen", "tls://127.0.0.1:0", "--allow", "drivers:Plain")
    return connect(name)


def test_start_makes_a_server_that_lives_until_it_is_stopped(new_name: Callable[[], str]) -> None:
    name = new_name()

    assert f"server {name} started, pid" in done("start", name)
    server = connect(name)
    assert server.status()["linger"] is None
    assert f"server {name} runs already, pid {server.pid}: unix:{name}" in done("start", name)
    assert done("stop", name) == f"server {name} stopped\n"
    assert wait_for_exit(server.pid, 5)


def test_start_listens_and_says_how_to_go_on(started: Server) -> None:
    told = done("start", started.name, "--listen", "tls://localhost:0")

    assert len(started.addresses) == 3
    assert started.addresses[2] in told
    assert ServerKeys(started.name).fingerprint in told
    assert f"instrumentserver token show {started.name}" in told
    # Tokens are shown only to who asks for them.
    assert ServerKeys(started.name).token("admin") not in told


def test_start_with_linger_ends_by_itself(new_name: Callable[[], str]) -> None:
    name = new_name()
    done("start", name, "--linger", "5")
    assert connect(name).status()["linger"] == 5.0


def test_plain_tcp_takes_a_flag(new_name: Callable[[], str]) -> None:
    name = new_name()
    assert "--insecure" in failed("start", name, "--listen", "tcp://0.0.0.0:0")
    assert "tcp://0.0.0.0:" in done("start", name, "--listen", "tcp://0.0.0.0:0", "--insecure")


@pytest.mark.slow
def test_in_the_foreground_ctrl_c_stops_it(new_name: Callable[[], str]) -> None:
    name = new_name()
    command = [sys.executable, "-m", "instrumentserver", "start", name, "--foreground"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert "started" in program.stdout.readline()
        server = connect(name)
        program.send_signal(signal.SIGINT)
        assert program.stdout.read() == f"server {name} stopped\n"
        assert program.wait(20) == 0
    assert wait_for_exit(server.pid, 5)


@pytest.mark.slow
def test_in_the_foreground_it_ends_with_the_server(new_name: Callable[[], str]) -> None:
    name = new_name()
    command = [sys.executable, "-m", "instrumentserver", "start", name, "--foreground"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        program.stdout.readline()
        connect(name).stop()
        assert program.stdout.read() == f"server {name} has ended\n"
        assert program.wait(20) == 0


def test_list_shows_what_runs_and_what_it_has(started: Server) -> None:
    assert done("list").splitlines()[0].split() == ["NAME", "PID", "LISTENS", "AT", "HAS", "CLIENTS"]
    started.create(Plain, "plain")
    row = next(line for line in done("list").splitlines() if line.startswith(f"{started.name} "))

    assert row.split() == [started.name, str(started.pid), *started.addresses, "plain", "0"]


def test_list_without_servers_says_so() -> None:
    assert done("list") == "no server runs\n"


@pytest.mark.slow
def test_list_waits_for_no_server_that_hangs(started: Server) -> None:
    import psutil

    process = psutil.Process(started.pid)
    process.suspend()
    try:
        assert "does not answer" in done("list")
    finally:
        process.resume()


def test_status_shows_instruments_clients_and_addresses(started: Server) -> None:
    started.create(Plain, "plain")
    told = done("status", started.name)

    for line in ("instrument   plain: Plain", "linger       None", "allow        drivers:Plain"):
        assert line in told.splitlines()
    assert started.addresses[1] in told
    assert "local" in told
    assert json.loads(done("status", started.name, "--json"))["instruments"] == {"plain": "Plain"}


def test_log_is_shown_also_of_what_has_ended(started: Server) -> None:
    assert "listens at" in done("log", started.name)
    started.stop()
    assert f"server {started.name} ended" in done("log", started.name, "--lines", "5")
    assert "has left a log" in failed("log", "nobody")


def test_serve_and_objects(started: Server) -> None:
    assert done("objects", started.name) == f"server {started.name} serves no objects\n"

    assert (
        done("serve", started.name, "math", "--lock", "none") == f"math is served: unix:{started.name}/math\n"
    )
    done("serve", started.name, "sdk_sample:Device", "kind", "--expose", "get*")
    proxy = started.objects["math"]

    assert proxy.sqrt(4) == 2.0
    head, *rows = done("objects", started.name).splitlines()
    assert head.split() == ["OBJECT", "CLASS", "HELD", "BY"]
    assert [row.split()[0] for row in rows] == ["math", "kind"]


def test_what_is_wrong_is_one_line(new_name: Callable[[], str]) -> None:
    name = new_name()
    assert "no server" in failed("stop", name)
    assert "no server" in failed("status", name)
    assert "cannot name a server" in failed("start", "a b")
    assert "write tls://0.0.0.0:PORT" in failed("start", name, "--listen", "nonsense")
    assert "no token for tls://127.0.0.1:1;" in failed("status", "tls://127.0.0.1:1")
    assert Directory.default().find(name) is None


# Tokens


@pytest.fixture
def nothing_stored() -> Iterator[None]:
    """Forget what a test stored."""
    from afar import forget_servers

    yield
    forget_servers()


def test_tokens_are_shown(started: Server) -> None:
    keys = ServerKeys(started.name)

    assert done("token", "show", started.name, "--role", "operator") == keys.token("operator") + "\n"
    assert [line.split() for line in done("token", "show", started.name).splitlines()] == [
        [role, keys.token(role)] for role in ("viewer", "operator", "admin")
    ]
    assert done("token", "pin", started.name) == keys.fingerprint + "\n"
    assert "--listen" in failed("token", "show", "nobody")
    assert "--listen" in failed("token", "pin", "nobody")


@pytest.mark.usefixtures("nothing_stored")
def test_a_token_is_stored_and_used(started: Server) -> None:
    address = started.addresses[1]
    token = done("token", "show", started.name, "--role", "admin")

    assert done("token", "add", address, typed=token) == f"token for {address} stored\n"
    assert f"name         {started.name}" in done("status", address)
    assert address in done("token", "known")
    assert "connect" not in done("log", address, "--lines", "1")
    assert done("stop", address) == f"server {address} stopped\n"
    assert done("token", "forget", address) == f"token of {address} forgotten\n"
    assert done("token", "forget", address, "--pin") == f"certificate of {address} forgotten\n"
    assert "no token" in failed("token", "forget", address)


@pytest.mark.usefixtures("nothing_stored")
def test_what_is_no_token_is_not_stored(started: Server) -> None:
    assert "that is no token" in failed("token", "add", started.addresses[1], typed="secret\n")
    assert "tls://HOST:PORT" in failed("token", "add", started.name, typed="secret\n")
    assert done("token", "known").count("\n") == 1


@pytest.mark.usefixtures("nothing_stored")
def test_rotating_cuts_who_is_connected(started: Server) -> None:
    keys = ServerKeys(started.name)
    before = {role: keys.token(role) for role in ("viewer", "operator", "admin")}
    viewer = connect(started.addresses[1], token=before["viewer"])
    assert viewer.role == "viewer"

    assert (
        done("token", "rotate", started.name, "--role", "operator") == "new: operator; connections cut: 0\n"
    )
    assert done("token", "rotate", started.name, "--role", "viewer") == "new: viewer; connections cut: 1\n"

    assert keys.token("admin") == before["admin"]
    assert keys.token("viewer") != before["viewer"]
    started.stop()
    assert done("token", "rotate", started.name) == "new: viewer, operator, admin; connections cut: 0\n"
    assert keys.token("admin") != before["admin"]


def test_the_folder_of_keys_is_below_the_directory(started: Server, own_directory: str) -> None:
    assert (Path(own_directory) / "network" / "servers" / started.name / "key.pem").exists()


def test_serve_names_what_it_serves_and_objects_tells_who_has_it(started: Server) -> None:
    told = done("serve", started.name, "sdk_sample:Device", "device", "--argument", "B7", "--lock", "none")
    assert told == f"sdk_sample:Device is served: unix:{started.name}/device\n"
    assert started.objects["device"].getSerial() == "B7"
    done("serve", started.name, "sdk_sample:Counter", "counters")
    assert started.objects["counters"](started.objects["device"], [1, 2]).getData().shape == (2, 3)
    head, *rows = done("objects", started.name).splitlines()
    assert head.split() == ["OBJECT", "CLASS", "HELD", "BY"]
    assert {row.split()[0] for row in rows} >= {"device", "counters"}


def test_arguments_are_written_as_in_yaml(started: Server) -> None:
    done("serve", started.name, "collections:deque", "queue", "--argument", "[1, 2.5, text]")
    assert list(started.objects["queue"]) == [1, 2.5, "text"]
    done("serve", started.name, "sdk_sample:Device", "--call")
    assert started.objects["Device"].getSerial() == "S1"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonsense.module"], "ModuleNotFoundError: No module named 'nonsense'"),
        (["sdk_sample:Nothing", "x"], "Nothing"),
        (["sdk_sample:Device", "x", "--argument", "1", "--argument", "2", "--argument", "3"], "TypeError"),
        (["sdk_sample", "x", "--expose", "nothing*"], "nothing*"),
    ],
    ids=["no module", "no name", "too many arguments", "no such pattern"],
)
def test_serve_says_in_one_line_what_is_wrong(started: Server, arguments: list[str], told: str) -> None:
    assert told in failed("serve", started.name, *arguments)
    assert list(started.objects) == []
