"""Connecting with servers over TLS: addresses, certificates, tokens; and everything that works as at home."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from afar import Afar
from drivers import Holder, Plain
from received import Received

from instruments import Dac
from instrumentserver import (
    ConnectFailed,
    NotPortable,
    Proxy,
    Server,
    ServerLost,
    UsageError,
    connect,
    find_instrument,
    find_or_create_instrument,
    start_server,
)
from instrumentserver.context import Context
from instrumentserver.directory import Directory
from instrumentserver.manager import get_instrument_server_manager
from instrumentserver.transport import known_servers
from instrumentserver.transport.keys import ServerKeys
from instrumentserver.transport.private import private_folder


def test_a_server_listens_for_others_beside_its_own(listening: Server) -> None:
    local, network = listening.addresses

    assert (local, listening.address) == (f"unix:{listening.name}",) * 2
    assert network.startswith("tls://0.0.0.0:")
    assert not network.endswith(":0")
    record = Directory.default().find(listening.name)
    assert record is not None
    assert record.addresses == (network,)


def test_keys_are_private(listening: Server) -> None:
    folder = private_folder() / "servers" / listening.name

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name for path in folder.iterdir()} == {
        *("certificate.pem", "key.pem", "viewer.token", "operator.token", "admin.token")
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_running_server_listens_at_more_addresses(server: Server) -> None:
    assert len(server.addresses) == 1

    start_server(server.name, listen="tls://127.0.0.1:0")
    first = server.addresses
    again = start_server(server.name, listen=["tls://127.0.0.1:0", "tls://localhost:0"]).addresses

    assert len(first) == 2
    assert again[:2] == first
    assert again[2].startswith("tls://localhost:")
    afar = connect(again[1], token=ServerKeys(server.name).token("admin"))
    assert afar.name == server.name


def test_a_taken_port_is_an_error_that_says_so(listening: Server, server: Server) -> None:
    taken = listening.addresses[1]
    with pytest.raises(UsageError, match=r"cannot listen at .*in use.*choose another port"):
        server.listen(taken)
    assert len(server.addresses) == 1


def test_plain_tcp_on_a_network_must_be_wanted(new_name: Callable[[], str]) -> None:
    with pytest.raises(UsageError, match=r"plain TCP.*insecure=True"):
        start_server(new_name(), listen="tcp://0.0.0.0:0")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has all of 127.0.0.0/8")
def test_plain_tcp_on_a_network_still_takes_a_token(new_name: Callable[[], str]) -> None:
    server = start_server(new_name(), listen="tcp://0.0.0.0:0", insecure=True, linger=5)
    address = server.addresses[1].replace("0.0.0.0", "127.0.0.5")

    with pytest.raises(ConnectFailed, match="refused our token"):
        connect(address, token="0" * 64)
    assert connect(address, token=ServerKeys(server.name).token("viewer")).role == "viewer"


def test_everything_works_as_at_home(listening: Server, afar: Afar) -> None:
    local = listening.create(Plain, "plain")
    plain = afar.connect("operator").instruments["plain"]

    plain.x(2.5)
    assert (plain.x(), local.x(), plain.x.unit) == (2.5, 2.5, "V")
    assert plain.add(2, 3) == 5
    assert np.array_equal(plain.trace(), local.trace())
    assert plain.ch1.v.cache() == 0.0
    assert plain.snapshot()["parameters"]["x"]["value"] == 2.5
    assert plain.gain == 2.0
    assert plain.give(plain.ch1.v) is plain.ch1.v
    assert plain.kind(plain) == "Plain"
    assert plain.myself() is plain
    with pytest.raises(ValueError, match="-7"):
        plain.x(-7)


def test_large_arrays_arrive_whole(listening: Server, afar: Afar) -> None:
    listening.create(Plain, "plain")
    plain = afar.connect("operator").instruments["plain"]
    big = np.random.default_rng(1).random((512, 1024))

    assert np.array_equal(plain.give(big), big)
    assert len(plain.give("x" * 3_000_000)) == 3_000_000


def test_addresses_lead_to_the_same_proxy(listening: Server, afar: Afar) -> None:
    listening.create(Plain, "plain")
    address = afar.address("operator")
    plain = afar.connect("operator").instruments["plain"]

    assert str(plain._link.address()) == f"{address}/plain"
    assert Proxy(f"{address}/plain.ch1.v") is plain.ch1.v
    assert find_instrument(f"{address}/plain") is plain
    assert pickle.loads(pickle.dumps(plain.ch1.v)) is plain.ch1.v


def test_handles_go_by_the_address_that_each_client_uses(listening: Server, afar: Afar) -> None:
    listening.create(Plain, "plain")
    operator = afar.connect("operator").instruments["plain"]
    admin = afar.connect("admin").instruments["plain"]

    assert operator.myself() is operator
    assert admin.myself() is admin
    assert admin is not operator
    # One address of the server is as good as another.
    assert admin.kind(operator.ch1.v) == "Parameter"
    assert admin.give(operator.ch1.v) is admin.ch1.v


def test_a_proxy_of_a_local_server_means_nothing_afar(listening: Server, server: Server, afar: Afar) -> None:
    listening.create(Plain, "plain")
    here = server.create(Plain, "here")
    plain = afar.connect("admin").instruments["plain"]

    with pytest.raises(NotPortable, match=r"listens on no network.*listen="):
        plain.kind(here)


def test_the_handle_of_another_server_leads_there_from_afar(
    listening: Server, new_name: Callable[[], str], afar: Afar
) -> None:
    other = start_server(new_name(), listen="tls://0.0.0.0:0", linger=5)
    there = other.create(Plain, "there")
    listening.create(Holder, "holder", there)
    address = f"tls://127.0.0.2:{other.addresses[1].rpartition(':')[2]}"
    theirs = connect(address, token=ServerKeys(other.name).token("operator")).instruments["there"]

    holder = afar.connect("operator").instruments["holder"]

    assert holder.held is theirs


def test_another_process_uses_the_address(listening: Server, afar: Afar) -> None:
    listening.create(Plain, "plain").x(1.5)
    program = f"from instrumentserver import Proxy; print(Proxy('{afar.address()}/plain').x())"
    environ = {**os.environ, "INSTRUMENTSERVER_TOKEN": afar.keys.token("viewer")}

    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout == "1.5\n"
    # Said once, and without any logging set up.
    assert done.stderr.count(afar.keys.fingerprint) == 1


def test_changes_are_told(listening: Server, afar: Afar) -> None:
    local = listening.create(Plain, "plain")
    received = Received()
    subscription = afar.connect("viewer").instruments["plain"].x.subscribe(lossless=True)
    subscription.add_callback(received.take)
    for value in range(5):
        local.x(value)
    received.wait_for_value(4)
    subscription.close()

    assert received.values[-4:] == [1, 2, 3, 4]


def test_contexts_read_channels(listening: Server, afar: Afar) -> None:
    listening.create(Plain, "plain").x(3.5)
    address = afar.connect("viewer").address
    context = Context()
    try:
        (pv,) = context.get_pvs(f"{address}/plain.x", timeout=10)
        pv.wait_for_connection(timeout=10)
        assert list(pv.read().data) == [3.5]
    finally:
        context.disconnect()


def test_an_instrument_is_made_by_name(listening: Server, afar: Afar) -> None:
    afar.connect("admin")

    dac = find_or_create_instrument(Dac, "dac", server_name=afar.address("admin"))

    assert find_or_create_instrument(Dac, "dac", server_name=afar.address("admin")) is dac
    assert dac.ch1.v() == 0.0
    assert list(listening.instruments) == ["dac"]


def test_a_server_afar_is_described(listening: Server, afar: Afar) -> None:
    admin = afar.connect("admin")

    assert (admin.name, admin.pid, admin.role) == (listening.name, listening.pid, "admin")
    assert admin.addresses == listening.addresses
    assert repr(admin) == f"<Server: {listening.name} at {afar.address('admin')}, pid {listening.pid}>"
    assert pickle.loads(pickle.dumps(admin)) == admin
    assert "listens at" in admin.log(1000)
    client = next(client for client in admin.status()["clients"] if "role" in client)
    assert (client["role"], client["from"]) == ("admin", "127.0.0.1")


def test_a_server_afar_is_not_killed_but_stopped(listening: Server, afar: Afar) -> None:
    admin = afar.connect("admin")

    with pytest.raises(UsageError, match="on another computer"):
        admin.kill()
    admin.stop()

    assert Directory.default().find(listening.name) is None
    with pytest.raises(ConnectFailed, match=f"{listening.name}.*does not take connections"):
        admin.status()


def test_a_server_that_dies_in_a_call_is_lost(listening: Server, afar: Afar) -> None:
    listening.create(Plain, "plain")
    plain = afar.connect("operator").instruments["plain"]
    plain.x()
    os.kill(listening.pid, signal.SIGKILL)

    with pytest.raises((ServerLost, ConnectFailed), match=afar.address("operator")):
        plain.x()


# Certificates


def test_the_first_contact_is_told_once_and_remembered(
    listening: Server, afar: Afar, caplog: pytest.LogCaptureFixture
) -> None:
    token = afar.keys.token("viewer")
    with caplog.at_level(logging.WARNING):
        connect(afar.address(), token=token).status()
        connect(afar.address(), token=token)

    told = [record for record in caplog.records if "first contact" in record.getMessage()]
    assert len(told) == 1
    assert afar.keys.fingerprint in told[0].getMessage()
    assert known_servers.known_pins() == {afar.address(): afar.keys.fingerprint}


def test_a_changed_certificate_is_refused(listening: Server, afar: Afar) -> None:
    known_servers.remember_pin(afar.address(), f"sha256:{'0' * 64}")

    with pytest.raises(ConnectFailed, match=r"HAS CHANGED.*known_servers.*token forget .* --pin"):
        connect(afar.address(), token=afar.keys.token("admin"))

    known_servers.forget_pin(afar.address())
    assert connect(afar.address(), token=afar.keys.token("admin")).role == "admin"


def test_a_wrong_pin_is_refused(listening: Server, afar: Afar) -> None:
    with pytest.raises(ConnectFailed, match="another certificate than the one you gave"):
        afar.connect("admin", pin="ab" * 32)
    assert known_servers.known_pins() == {}


def test_a_given_pin_is_enough(listening: Server, afar: Afar, caplog: pytest.LogCaptureFixture) -> None:
    pin = afar.keys.fingerprint.removeprefix("sha256:").upper()
    colons = ":".join(pin[place : place + 2] for place in range(0, 64, 2))

    assert afar.connect("viewer", pin=f"SHA256:{colons}").role == "viewer"
    assert "first contact" not in caplog.text


def test_the_certificate_stays_when_the_server_is_started_anew(listening: Server) -> None:
    before = ServerKeys(listening.name).fingerprint
    listening.stop()

    start_server(listening.name, listen="tls://127.0.0.1:0", linger=5)

    assert ServerKeys(listening.name).fingerprint == before


# Tokens


def test_without_a_token_it_is_said_how_to_get_one(listening: Server, afar: Afar) -> None:
    with pytest.raises(ConnectFailed, match=r"no token for tls://.*token show NAME.*token add tls://"):
        connect(afar.address())


def test_a_wrong_token_is_refused(listening: Server, afar: Afar) -> None:
    with pytest.raises(ConnectFailed, match=r"refused our token.*token add tls://"):
        afar.connect("admin", token="ab" * 32)
    # And the certificate of who may be somebody in the middle is not remembered.
    assert known_servers.known_pins() == {}


@pytest.mark.parametrize("token", ["secret", "0" * 63, "x" * 64])
def test_what_is_no_token_is_refused_and_not_repeated(listening: Server, afar: Afar, token: str) -> None:
    with pytest.raises(UsageError, match="that is no token") as caught:
        afar.connect("admin", token=token)
    assert token not in str(caught.value)


def test_a_stored_token_is_used(listening: Server, afar: Afar) -> None:
    known_servers.add_token(afar.address(), afar.keys.token("operator"))

    assert connect(afar.address()).role == "operator"


def test_the_environment_comes_before_what_is_stored(
    listening: Server, afar: Afar, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_servers.add_token(afar.address(), afar.keys.token("operator"))
    monkeypatch.setenv("INSTRUMENTSERVER_TOKEN", afar.keys.token("viewer"))

    assert connect(afar.address()).role == "viewer"


def test_another_token_is_another_role_at_once(listening: Server, afar: Afar) -> None:
    assert connect(afar.address(), token=afar.keys.token("viewer")).role == "viewer"
    assert connect(afar.address(), token=afar.keys.token("admin")).role == "admin"


def test_an_address_of_an_instrument_is_no_server(server: Server) -> None:
    for address in ("tls://127.0.0.1:1/dac", "tcp://127.0.0.1:1/dac"):
        with pytest.raises(UsageError, match="get it with Proxy"):
            connect(address)
    with pytest.raises(UsageError, match="is not an address"):
        connect("tls://nonsense")


def test_tokens_are_for_servers_on_networks(server: Server) -> None:
    with pytest.raises(UsageError, match="one of this computer"):
        connect(server.name, token="0" * 64)


def test_a_rotated_token_is_worth_nothing_at_once(listening: Server, afar: Afar) -> None:
    viewer, operator = afar.connect("viewer"), afar.connect("operator")
    before = afar.keys.token("viewer")

    afar.keys.rotate("viewer")
    with pytest.raises(ConnectFailed, match="refused our token"):
        connect(f"tls://127.0.0.9:{afar.port}", token=before)
    assert viewer.status()["name"] == listening.name
    assert listening.check_tokens() == 1

    with pytest.raises(ConnectFailed, match="refused our token"):
        viewer.status()
    assert operator.status()["name"] == listening.name
    assert afar.connect("viewer").role == "viewer"


def test_a_token_that_others_can_read_is_refused(listening: Server) -> None:
    path: Path = private_folder() / "servers" / listening.name / "viewer.token"
    path.chmod(0o644)

    with pytest.raises(UsageError, match=r"others can read .*chmod 600"):
        ServerKeys(listening.name).token("viewer")


def test_a_server_that_cannot_listen_does_not_start(listening: Server, new_name: Callable[[], str]) -> None:
    name = new_name()
    with pytest.raises(UsageError, match=r"cannot listen at .*choose another port"):
        start_server(name, listen=listening.addresses[1])
    assert Directory.default().find(name) is None


def test_a_restarted_server_listens_where_it_did(listening: Server, afar: Afar) -> None:
    before = listening.addresses
    get_instrument_server_manager(listening.name).restart()
    again = connect(listening.name)

    assert again.addresses == before
    assert again.status()["allow"] == ["instruments:Dac", "drivers:Plain"]
    assert afar.connect("viewer").pid == again.pid
