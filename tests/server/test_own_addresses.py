from __future__ import annotations

import socket

import pytest

from instrumentserver.server.own_addresses import OwnAddresses

LISTENING = ["unix:foo", "tls://0.0.0.0:5900", "tls://10.9.8.7:6000"]


@pytest.mark.parametrize(
    "address", [*LISTENING, "tls://127.0.0.1:5900", "tls://localhost:5900", "tls://[::1]:5900"]
)
def test_every_name_of_this_computer_is_its_own(address: str) -> None:
    assert address in OwnAddresses(LISTENING)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "unix:bar",
            "tcp://127.0.0.1:5900",
            "tls://127.0.0.1:5901",
            "tls://192.0.2.1:5900",
            "tls://labpc2:5900",
        ),
        *("tls://127.0.0.1:6000", "nonsense", "tls://0.0.0.0", "tls://224.0.0.1:5900"),
    ],
)
def test_what_leads_elsewhere_is_not(address: str) -> None:
    assert address not in OwnAddresses(LISTENING)


def test_this_computers_name_is_its_own() -> None:
    assert f"tls://{socket.gethostname().lower()}:5900" in OwnAddresses(LISTENING)


def test_what_another_computer_calls_localhost_is_not() -> None:
    own = OwnAddresses(LISTENING).used_as("tls://labpc2:15900", is_near=False)

    assert "tls://labpc2:15900" in own
    for address in ("tls://localhost:5900", "tls://127.0.0.1:5900", "tls://[::1]:5900"):
        assert address not in own
        assert address in OwnAddresses(LISTENING).used_as("tls://labpc2:15900", is_near=True)


def test_listeners_that_come_later_count() -> None:
    listening = ["unix:foo"]
    own = OwnAddresses(listening)
    assert "tls://0.0.0.0:7000" not in own
    listening.append("tls://0.0.0.0:7000")
    assert "tls://0.0.0.0:7000" in own
