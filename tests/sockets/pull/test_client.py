"""The client of pull sockets, against sockets that serve."""

from __future__ import annotations

import socket
import threading

import pytest

from instrumentserver.errors import CallTimeout, ConnectFailed, ProtocolError
from instrumentserver.sockets import DataPullSocket, DateDataPullClient, DateDataPullSocket

LOCAL = "127.0.0.1"


def test_fields_are_read(clock) -> None:
    with DateDataPullSocket("laser", ["power", "two words"], 0, host=LOCAL) as pull:
        pull.set_point_now("power", 3.5)
        with DateDataPullClient(LOCAL, "laser", pull.port, timeout=10) as client:
            assert client.name == "laser"
            assert client.codenames == ["power", "two words"]
            assert client.power == client.get_field("power") == [1000.0, 3.5]
            assert client.get_all_fields() == {"power": [1000.0, 3.5], "two words": [0.0, 0.0]}
            assert set(client.get_status()) == {"system_status", "socket_server_status"}
            assert "power" in dir(client)
            assert not hasattr(client, "focus")
            with pytest.raises(ValueError, match="does not know 'focus#json'"):
                client.get_field("focus")


def test_long_replies_arrive_whole() -> None:
    codenames = [f"channel_{number:04}" for number in range(1000)]
    with DataPullSocket("many", codenames, 0, host=LOCAL) as pull:
        with DateDataPullClient(LOCAL, "many", pull.port, timeout=10) as client:
            assert client.codenames == codenames
            assert len(client.get_all_fields()) == 1000


def test_old_data_raises_unless_it_is_wanted() -> None:
    with DateDataPullSocket("laser", ["power"], 0, timeouts=0, host=LOCAL) as pull:
        with DateDataPullClient(LOCAL, "laser", pull.port, timeout=10) as client:
            with pytest.raises(ValueError, match=r"'power' at .* is too old"):
                client.get_field("power")
            with pytest.raises(ValueError, match="is too old"):
                client.get_all_fields()
        with DateDataPullClient(LOCAL, "laser", pull.port, False, timeout=10) as client:
            assert client.power == "OLD_DATA"


def test_other_name_is_refused() -> None:
    with DateDataPullSocket("laser", ["power"], 0, host=LOCAL) as pull:
        with pytest.raises(ValueError, match="is called 'laser', not 'maser'"):
            DateDataPullClient(LOCAL, "maser", pull.port, timeout=10)


def test_silence_and_absence_are_told_apart() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((LOCAL, 0))
        port = silent.getsockname()[1]
        with pytest.raises(CallTimeout, match="no reply to 'name'"):
            DateDataPullClient(LOCAL, "laser", port, timeout=0.01)
    with pytest.raises(ConnectFailed, match="nobody listens"):
        DateDataPullClient(LOCAL, "laser", port, timeout=10)


def test_reply_that_is_no_json_is_the_peers_mistake() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.settimeout(10)
        other.bind((LOCAL, 0))

        def answer() -> None:
            for reply in (b"laser", b"power,"):
                other.sendto(reply, other.recvfrom(100)[1])

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ProtocolError, match="is no JSON"):
            DateDataPullClient(LOCAL, "laser", other.getsockname()[1], timeout=10)
        thread.join(10)
