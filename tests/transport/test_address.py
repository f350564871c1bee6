from __future__ import annotations

from typing import Any

import pytest

from instrumentserver.errors import UsageError
from instrumentserver.transport.address import (
    Address,
    check_server_name,
    endpoint_of,
    is_network_address,
    is_server_address,
    loopback_endpoint,
)


@pytest.mark.parametrize(
    ("text", "server", "path"),
    [
        ("unix:foo", "unix:foo", ""),
        ("unix:foo/", "unix:foo", ""),
        ("unix:foo/dac", "unix:foo", "dac"),
        ("unix:foo/dac.ch1.v", "unix:foo", "dac.ch1.v"),
        ("unix:a.b-c_1/x", "unix:a.b-c_1", "x"),
        ("tcp://127.0.0.1:5900", "tcp://127.0.0.1:5900", ""),
        ("tcp://127.0.0.1:5900/dac.v", "tcp://127.0.0.1:5900", "dac.v"),
        ("tcp://[::1]:5900/dac", "tcp://[::1]:5900", "dac"),
        ("tcp://labpc2:5900/dac", "tcp://labpc2:5900", "dac"),
    ],
)
def test_an_address_has_a_server_and_a_path(text: str, server: str, path: str) -> None:
    assert Address.parse(text) == Address(server, path)


@pytest.mark.parametrize(
    "text",
    ["unix:foo", "unix:foo/dac.ch1", "tcp://127.0.0.1:5900", "tcp://[::1]:5900/dac", "tcp://labpc2:1/a.b.c"],
)
def test_an_address_reads_as_it_was_written(text: str) -> None:
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "foo",
        "unix",
        "unix:",
        "unix:/dac",
        "unix:../foo",
        "unix:a b",
        "unix:foo\n",
        "tcp:127.0.0.1:5900",
        "tcp://127.0.0.1",
        "tcp://:5900",
        "tcp://127.0.0.1:port",
        "tcp://127.0.0.1:123456",
        "tcp://127.0.0.1:5900dac",
        "tcp://::1:5900",
        "http://127.0.0.1:5900",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Address.parse(text)


def test_a_refusal_says_how_to_write_an_address() -> None:
    with pytest.raises(
        UsageError,
        match=r"'labpc2' is not an address; write unix:NAME, tls://HOST:PORT or tcp://127\.0\.0\.1:PORT",
    ):
        Address.parse("labpc2")


@pytest.mark.parametrize("name", ["a", "_", "9", "magnet_1", "a.b-c", "x" * 64])
def test_a_good_name_is_taken(name: str) -> None:
    assert check_server_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".a", "-a", "a/b", "a b", "a\n", "a\0", "µ", "x" * 65, "٣", None, 5, b"a"],
    ids=repr,
)
def test_a_bad_name_is_refused(name: Any) -> None:
    with pytest.raises(UsageError, match="cannot name a server; use 1 to 64"):
        check_server_name(name)


@pytest.mark.parametrize(("text", "is_address"), [("unix:foo", True), ("tcp://a:1", True), ("foo", False)])
def test_an_address_is_told_from_a_name_by_its_colon(text: str, is_address: bool) -> None:
    assert is_server_address(text) is is_address


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("tcp://127.0.0.1:0", ("127.0.0.1", 0)),
        ("tcp://localhost:5900", ("localhost", 5900)),
        ("tcp://[::1]:65535", ("::1", 65535)),
    ],
)
def test_an_endpoint_of_this_computer_is_taken(address: str, endpoint: tuple[str, int]) -> None:
    assert loopback_endpoint(address) == endpoint


@pytest.mark.parametrize(
    "address", ["tcp://labpc2:5900", "tcp://0.0.0.0:5900", "tcp://[::]:5900", "tcp://127.0.0.2:1"]
)
def test_an_endpoint_of_another_computer_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="not on this computer"):
        loopback_endpoint(address)


@pytest.mark.parametrize(
    "address", ["unix:foo", "tcp://127.0.0.1:65536", "tcp://127.0.0.1:1/dac", "127.0.0.1:5900"]
)
def test_what_is_no_endpoint_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="not a TCP address"):
        loopback_endpoint(address)


@pytest.mark.parametrize(
    ("text", "server", "path"),
    [
        ("tls://labpc2:5900", "tls://labpc2:5900", ""),
        ("tls://labpc2:5900/dac.ch1.v", "tls://labpc2:5900", "dac.ch1.v"),
        ("tls://labpc2:5900/@Counter-c3f1a2-12", "tls://labpc2:5900", "@Counter-c3f1a2-12"),
        ("tls://192.168.1.7:0", "tls://192.168.1.7:0", ""),
        ("tls://lab-pc_2.example.org:5900/dac", "tls://lab-pc_2.example.org:5900", "dac"),
        ("tls://[fe80::1]:5900/dac", "tls://[fe80::1]:5900", "dac"),
        ("tls://[fe80::1%eth0]:5900/dac", "tls://[fe80::1%eth0]:5900", "dac"),
        ("tcp://10.0.0.1:5900/dac", "tcp://10.0.0.1:5900", "dac"),
        # One spelling of several.
        ("tls://LabPC2:05900", "tls://labpc2:5900", ""),
        ("tls://[FE80:0:0::1]:5900", "tls://[fe80::1]:5900", ""),
    ],
)
def test_addresses_on_networks_are_parsed(text: str, server: str, path: str) -> None:
    address = Address.parse(text)

    assert (address.server, address.path) == (server, path)
    assert Address.parse(str(address)) == address
    assert str(endpoint_of(server)) == server


@pytest.mark.parametrize(
    "text",
    [
        *(
            "tls://labpc2",
            "tls://labpc2:",
            "tls://:5900",
            "tls://labpc2:99999",
            "tls://a b:1",
            "tls://[xyz]:1",
        ),
        *("tls://[::1:5900", "tls://::1:5900", "ssl://labpc2:1", "tls:labpc2:1", "tls://labpc2:5900dac"),
        "tls://[1:2:3]:1",
    ],
)
def test_what_is_no_address_on_a_network_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not an address"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("address", "is_it"),
    [
        *(("tls://127.0.0.1:1", True), ("tls://labpc2:1", True), ("tcp://labpc2:1", True)),
        *(("tcp://0.0.0.0:1", True), ("tcp://127.0.0.1:1", False), ("tcp://localhost:1", False)),
        *(("tcp://[::1]:1", False), ("unix:foo", False), ("foo", False), ("", False)),
    ],
)
def test_which_addresses_are_on_networks(address: str, is_it: bool) -> None:
    assert is_network_address(address) is is_it
