from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from instrumentserver.directory import Directory, Record
from instrumentserver.errors import NotPortable
from instrumentserver.transport.address import Address
from instrumentserver.transport.afar import from_afar, own_number_towards


@pytest.fixture
def directory(tmp_path: Path) -> Any:
    """Return a directory with the record of a server that listens at every interface, and of one that does not."""
    made = Directory(tmp_path / "d")
    claims = []
    for name, addresses in (
        ("open", ("tls://0.0.0.0:5900",)),
        ("near", ("tls://127.0.0.1:6000",)),
        ("shut", ()),
    ):
        claims.append(made.claim(name))
        claims[-1].publish(Record(name, f"unix:{name}", 1, "", "", addresses))
    yield made
    for claim in claims:
        claim.release()


@pytest.mark.parametrize(
    ("address", "host", "told"),
    [
        ("unix:open/dac.ch1", "labpc2", "tls://labpc2:5900/dac.ch1"),
        ("unix:open/dac", "10.0.0.2", "tls://10.0.0.2:5900/dac"),
        ("unix:open/dac", "fe80::1", "tls://[fe80::1]:5900/dac"),
        ("unix:near/dac", "localhost", "tls://localhost:6000/dac"),
        # Known by the number of another computer: that leads there from everywhere.
        ("tls://labpc3:7000/dac", "labpc2", "tls://labpc3:7000/dac"),
        # And what this computer calls localhost is this computer.
        ("tls://localhost:7000/dac", "labpc2", "tls://labpc2:7000/dac"),
    ],
)
def test_addresses_are_told_so_that_they_lead_here(
    directory: Directory, address: str, host: str, told: str
) -> None:
    assert from_afar(Address.parse(address), host, directory) == told


@pytest.mark.parametrize(
    "address", ["unix:shut/dac", "unix:near/dac", "unix:nobody/dac", "tcp://127.0.0.1:1/dac"]
)
def test_what_listens_on_no_network_cannot_be_told(directory: Directory, address: str) -> None:
    with pytest.raises(NotPortable, match=r"listens on no network.*listen='tls://0\.0\.0\.0:0'"):
        from_afar(Address.parse(address), "labpc2", directory)


def test_the_own_number_is_that_of_the_interface() -> None:
    assert own_number_towards("tls://127.0.0.1:5900") == "127.0.0.1"
