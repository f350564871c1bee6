"""Circuits: clients that do not behave are nobody else's trouble."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator

import caproto as ca
import pytest
from caproto import ChannelType
from served import Bench, Clients, Received, wait_until

from instrumentserver.gateways.epics import Gateway


class RawClient:
    """A client that sends what it is told to, and reads nothing."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self._circuit = ca.VirtualCircuit(ca.CLIENT, ("127.0.0.1", port), 0)
        self._received: deque[ca.Message] = deque()
        self.send(ca.VersionRequest(0, 13), ca.HostNameRequest("here"), ca.ClientNameRequest("raw"))

    def send(self, *commands: ca.Message) -> None:
        """Send commands."""
        self.socket.sendall(b"".join(bytes(command) for command in commands))

    def receive(self, kind: type) -> ca.Message:
        """Return the next message of a kind."""
        while True:
            while self._received:
                command = self._received.popleft()
                if isinstance(command, kind):
                    return command
            self._received.extend(self._circuit.recv(self.socket.recv(65536))[0])

    def create(self, name: str, cid: int = 1) -> int:
        """Create a channel and return its number at the server."""
        self.send(ca.CreateChanRequest(name, cid, 13))
        return int(self.receive(ca.CreateChanResponse).sid)


@pytest.fixture
def raw(gateway: Gateway, bench: Bench) -> Iterator[RawClient]:
    """Return a client without manners."""
    # Channel Access connects where the server says; on this computer nobody else has the port.
    client = RawClient(gateway.ca_port or 0)
    yield client
    client.socket.close()


@pytest.mark.slow
def test_client_that_reads_nothing_loses_its_oldest_updates_and_holds_up_nobody(
    raw: RawClient, gateway: Gateway, bench: Bench, clients: Clients
) -> None:
    sid = raw.create("x:t:long")
    raw.send(ca.EventAddRequest(ChannelType.DOUBLE, 0, sid, 7, 0, 0, 0, 1))
    other = clients.pv(gateway.ca_port or 0, "x:t:d")
    received = Received(other.subscribe())
    assert received.values(1) == [1.5]
    bench.flood(3000)  # 24 MB
    other.write(4)
    assert received.values(1) == [4]
    updates = gateway._feeds["x:t:long"]
    wait_until(lambda: updates._latest is not None and updates._latest.data[0] == 2999)
    (circuit,) = [
        circuit for circuit in gateway._ca._server.circuits if circuit._monitors and circuit._outbox
    ]
    assert 100 < len(circuit._outbox) <= 1100  # 8 MB
    # It wakes up: what it gets is in order, and ends with the latest.
    seen = [-1.0]
    while seen[-1] < 2999:
        seen.append(float(raw.receive(ca.EventAddResponse).data[0]))
    assert seen[2:] == sorted(set(seen[2:]))


def test_request_for_a_channel_that_is_not_there_is_answered(raw: RawClient) -> None:
    raw.send(ca.CreateChanRequest("x:t:nothing", 3, 13))
    assert raw.receive(ca.CreateChFailResponse).cid == 3


def test_request_about_an_unknown_channel_ends_nothing(raw: RawClient) -> None:
    sid = raw.create("x:t:d")
    raw.send(ca.ReadNotifyRequest(ChannelType.DOUBLE, 1, 999, 1))
    raw.send(ca.ReadNotifyRequest(ChannelType.DOUBLE, 1, sid, 2))
    assert raw.receive(ca.ReadNotifyResponse).data[0] == 1.5


def test_write_that_follows_a_monitor_does_not_overtake_its_first_reading(raw: RawClient) -> None:
    sid = raw.create("x:t:d")
    raw.send(
        ca.EventAddRequest(ChannelType.DOUBLE, 1, sid, 7, 0, 0, 0, 1),
        ca.WriteNotifyRequest((4.0,), ChannelType.DOUBLE, 1, sid, 8),
    )
    assert raw.receive(ca.EventAddResponse).data[0] == 1.5


def test_reads_and_writes_of_one_client_are_done_in_order(raw: RawClient) -> None:
    sid = raw.create("x:t:d")
    messages: list[ca.Message] = []
    for number in range(10):
        messages.append(ca.WriteRequest((float(number),), ChannelType.DOUBLE, 1, sid, 100 + number))
        messages.append(ca.ReadNotifyRequest(ChannelType.DOUBLE, 1, sid, number))
    raw.send(*messages)
    assert [raw.receive(ca.ReadNotifyResponse).data[0] for _ in range(10)] == list(range(10))


def test_client_that_goes_leaves_no_subscription(raw: RawClient, gateway: Gateway, bench: Bench) -> None:
    sid = raw.create("x:t:wo")
    raw.send(ca.EventAddRequest(ChannelType.DOUBLE, 1, sid, 7, 0, 0, 0, 1))
    raw.receive(ca.EventAddResponse)
    feed = gateway._feeds["x:t:wo"]
    assert feed._subscription is not None
    raw.socket.close()
    wait_until(lambda: feed._subscription is None)
