"""From another computer: a network namespace with a cable of its own, where the system can make one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from drivers import Gate, Plain

from instrumentserver import Server, start_server
from instrumentserver.transport.address import endpoint_of
from instrumentserver.transport.keys import ServerKeys

IP: Final = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin")
PROGRAM: Final = """
import json, sys, time
from instrumentserver import connect
import instrumentserver
import numpy as np

def say(value):
    print(json.dumps(value), flush=True)

def error(act):
    begun = time.monotonic()
    try:
        return ["nothing", str(act()), 0]
    except Exception as raised:
        return [type(raised).__name__, str(raised), time.monotonic() - begun]

say("ready")
for line in sys.stdin:
    say(eval(line))
"""


class Computer:
    """A network namespace that a cable joins with this one.

    Args:
        number: Tells it from those of other runs.

    Attributes:
        cable: The interface at this end of it.
        here: This computer's number at the cable.
        there: The other one's.
    """

    def __init__(self, number: int) -> None:
        # A network of four numbers, of those that are for tests of networks.
        block = number % 16_000
        self.here, self.there = (f"198.18.{block // 64}.{block % 64 * 4 + end}" for end in (1, 2))
        self.name = f"is{number}"
        self.cable = f"is{number}a"
        try:
            self._set_up()
        except BaseException:
            self.remove()
            raise

    def _set_up(self) -> None:
        theirs = f"is{self.name[2:]}b"
        ip("netns", "add", self.name)
        ip("link", "add", self.cable, "type", "veth", "peer", "name", theirs)
        ip("link", "set", theirs, "netns", self.name)
        ip("addr", "add", f"{self.here}/30", "dev", self.cable)
        ip("link", "set", self.cable, "up")
        ip("-n", self.name, "addr", "add", f"{self.there}/30", "dev", theirs)
        ip("-n", self.name, "link", "set", theirs, "up")

    def remove(self) -> None:
        """Take it away; the cable goes with it."""
        for arguments in (("netns", "del", self.name), ("link", "del", self.cable)):
            with suppress(subprocess.CalledProcessError):
                ip(*arguments)


class Client:
    """A process on the other computer, which evaluates what it is told.

    Args:
        computer: Where it runs.
        folder: Its directory of servers.
    """

    def __init__(self, computer: Computer, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        environ = {**os.environ, "INSTRUMENTSERVER_DIR": str(folder)}
        command = [str(IP), "netns", "exec", computer.name, sys.executable, "-c", PROGRAM]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )
        assert self.answer() == "ready"

    def tell(self, expression: str) -> None:
        """Have it evaluate an expression."""
        assert self._process.stdin is not None
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Return the next value, waiting for it."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        assert line, self._process.stderr.read()
        return json.loads(line)

    def ask(self, expression: str) -> Any:
        """Return what an expression is there."""
        self.tell(expression)
        return self.answer()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def ip(*arguments: str) -> None:
    subprocess.run([str(IP), *arguments], check=True, capture_output=True, timeout=20)


@pytest.fixture(scope="module")
def computer() -> Iterator[Computer]:
    """Return another computer; skip the test where the system cannot make one."""
    if IP is None:
        pytest.skip("there is no program 'ip' to make a network namespace with")
    try:
        made = Computer(os.getpid() % 100_000)
    except (subprocess.CalledProcessError, OSError) as error:
        told = getattr(error, "stderr", b"") or str(error).encode()
        pytest.skip(f"this system makes no network namespace: {told.decode(errors='replace').strip()}")
    yield made
    made.remove()


@pytest.fixture
def listening(new_name: Callable[[], str], computer: Computer) -> Server:
    """Return a server that listens at the cable's end, and at all others."""
    return start_server(new_name(), linger=30, listen="tls://0.0.0.0:0", allow=["instruments:Dac"])


@pytest.fixture
def address(listening: Server, computer: Computer) -> str:
    """Return its address as the other computer knows it."""
    return f"tls://{computer.here}:{endpoint_of(listening.addresses[1]).port}"


@pytest.fixture
def client(computer: Computer, tmp_path: Path) -> Iterator[Client]:
    """Return a client on the other computer."""
    made = Client(computer, tmp_path / "theirs")
    yield made
    made.end()


def reach(listening: Server, address: str, role: str) -> str:
    """Return the expression that connects."""
    keys = ServerKeys(listening.name)
    return f"connect({address!r}, token={keys.token(role)!r}, pin={keys.fingerprint!r})"


@pytest.mark.slow
def test_another_computer_uses_instruments_and_objects(
    listening: Server, address: str, client: Client, computer: Computer
) -> None:
    listening.create(Plain, "plain").x(1.5)
    listening.serve("sdk_sample:Device", "device", arguments=["A"])
    keys = ServerKeys(listening.name)
    connecting = f"connect({address!r}, token={keys.token('operator')!r})"

    assert client.ask(f"[(server := {connecting}).name, server.role]") == [listening.name, "operator"]
    assert client.ask("(plain := server.instruments['plain']).x()") == 1.5
    assert client.ask("plain.add(2, 3)") == 5
    assert client.ask("plain.trace().sum()") == pytest.approx(500)
    assert client.ask("float(plain.give(np.ones((1024, 512))).sum())") == 1024 * 512
    assert client.ask("str(plain.myself()._link.address())") == f"{address}/plain"
    assert client.ask(f"instrumentserver.Proxy({address + '/device'!r}).getSerial()") == "A"
    assert client.ask("server.objects['device'].uri") == f"{address}/device"
    shown = next(client for client in listening.status()["clients"] if "role" in client)
    assert shown["from"] == computer.there


@pytest.mark.slow
def test_a_function_of_another_computer_is_called(listening: Server, address: str, client: Client) -> None:
    listening.serve("sdk_sample:Device", "device", arguments=["A"])
    client.ask(f"(device := {reach(listening, address, 'operator')}.objects['device']).getSerial()")

    assert client.ask("(said := [])") == []
    assert client.ask("device.apply(said.append, 'from afar')") is None
    assert client.ask("said") == ["from afar"]


@pytest.mark.slow
def test_another_computer_is_refused(listening: Server, address: str, client: Client) -> None:
    listening.create(Plain, "plain")
    token = ServerKeys(listening.name).token("viewer")

    assert client.ask(f"error(lambda: connect({address!r}))")[0] == "ConnectFailed"
    kind, text, _ = client.ask(f"error(lambda: connect({address!r}, token={'ab' * 32!r}))")
    assert (kind, "refused our token" in text) == ("ConnectFailed", True)
    kind, text, _ = client.ask(f"error(lambda: connect({address!r}, token={token!r}, pin={'cd' * 32!r}))")
    assert (kind, "another certificate" in text) == ("ConnectFailed", True)
    viewer = reach(listening, address, "viewer")
    assert client.ask(f"(plain := {viewer}.instruments['plain']).x()") == 0.0
    assert client.ask("error(lambda: plain.x(2))")[:1] == ["NotAllowed"]
    assert client.ask(f"error(lambda: connect({listening.name!r}))")[0] == "UnknownName"


@pytest.mark.slow
def test_a_pulled_cable_is_noticed_in_the_middle_of_a_call(
    listening: Server, address: str, client: Client, computer: Computer, tmp_path: Path
) -> None:
    gate = listening.create(Gate, "gate", str(tmp_path))
    listening.serve("sdk_sample:Device", "device", arguments=["A"])
    client.ask(f"(gate := (server := {reach(listening, address, 'operator')}).instruments['gate']).value()")
    assert client.ask("len(counter := server.objects['device'].counter(1, 2))") == 2
    client.tell("error(gate.wait)")
    while not (tmp_path / "entered").exists():
        time.sleep(0.005)
    pulled = time.monotonic()
    ip("link", "set", computer.cable, "down")
    try:
        kind, text, _ = client.answer()
        seconds = time.monotonic() - pulled

        assert (kind, address in text, "5 s" in text) == ("ServerLost", True, True)
        assert 1 < seconds < 5
        # The server notices, too, when the call has ended and nobody takes the answer.
        (tmp_path / "open").touch()
        while any("role" in each for each in listening.status()["clients"]):
            assert time.monotonic() < pulled + 15
            time.sleep(0.05)
        assert gate.value() == 1
    finally:
        ip("link", "set", computer.cable, "up")
    assert client.ask("gate.value()") == 1
    # What a client has outlives its cable.
    assert client.ask("len(counter)") == 2
    (held,) = (each for each in listening.proxies() if each["path"].startswith("@"))
    assert len(held["holders"]) == 1
    client.end()
    while any(each["path"].startswith("@") for each in listening.proxies()):
        assert time.monotonic() < pulled + 30
        time.sleep(0.02)
