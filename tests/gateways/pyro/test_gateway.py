"""The gateway starts where it can, says why where it cannot, and ends without a trace."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner
from Pyro5.api import Proxy
from Pyro5.errors import CommunicationError

from instrumentserver import Server, UnknownName, UsageError, start_server
from instrumentserver.cli import main
from instrumentserver.gateways.pyro import Gateway


@pytest.mark.slow
def test_command_serves_until_ctrl_c(lab: Server) -> None:
    command = [sys.executable, "-m", "instrumentserver", "pyro", "lab", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        port = lines[0].rpartition(":")[2].strip()
        assert lines == [
            f"Server URI= PYRO:{name}@127.0.0.1:{port}\n" for name in ("TimeTaggerRPC", "timetagger")
        ]
        with Proxy(f"PYRO:timetagger@127.0.0.1:{port}") as library:
            assert library.getVersion() == "2.22.6-simulated"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_other_computers_are_let_in_only_when_told_so(lab: Server) -> None:
    ended = CliRunner().invoke(main, ["pyro", "lab", "--host", "0.0.0.0", "--port", "0"])
    assert ended.exit_code == 1
    assert "Pyro proves nobody's identity" in ended.output
    assert "--insecure" in ended.output
    with Gateway("lab", host="0.0.0.0", port=0, insecure=True) as gateway:
        with Proxy(f"PYRO:timetagger@127.0.0.1:{gateway.port}") as library:
            assert library.getVersion()


def test_what_cannot_be_is_told_with_the_remedy(lab: Server) -> None:
    with pytest.raises(UnknownName, match="no server 'nowhere' runs"):
        Gateway("nowhere", port=0)
    with pytest.raises(
        UsageError, match=r"serves no object 'tagger' \(it serves timetagger\); serve it first"
    ):
        Gateway("lab", port=0, library="tagger")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"cannot listen on 127.0.0.1:{port}: .*; choose another port"):
            Gateway("lab", host="127.0.0.1", port=port)


def test_one_of_several_modules_is_chosen_by_name(lab: Server) -> None:
    lab.serve("colorsys", "colours")
    try:
        with pytest.raises(
            UsageError, match=r"serves several modules \(colours, timetagger\); choose with --object"
        ):
            Gateway("lab", host="127.0.0.1", port=0)
        with Gateway("lab", host="127.0.0.1", port=0, library="colours", pyro_id="painter") as gateway:
            assert [uri.partition("@")[0] for uri in gateway.uris] == [
                "PYRO:painter",
                "PYRO:colours",
                "PYRO:timetagger",
            ]
            with Proxy(gateway.uris[0]) as painter:
                assert (painter.rgb_to_hsv(0, 0, 0.5), painter.enum_definitions()) == ((2 / 3, 1, 0.5), {})
    finally:
        lab.unserve("colours")


def test_module_that_is_served_later_does_not_take_the_place_of_the_first(lab: Server) -> None:
    with Gateway("lab", host="127.0.0.1", port=0) as gateway:
        lab.serve("colorsys", "another")
        try:
            with Proxy(gateway.uris[0]) as library:
                assert library.getVersion() == "2.22.6-simulated"
        finally:
            lab.unserve("another")


def test_connections_end_with_the_gateway(lab: Server) -> None:
    with Gateway("lab", host="127.0.0.1", port=0) as gateway:
        library = Proxy(gateway.uris[0])
        tagger = library.createTimeTagger()
        assert gateway.objects == 1
    with pytest.raises(CommunicationError):
        library.getVersion()
    assert gateway.objects == 0
    tagger._pyroRelease()


@pytest.mark.slow
def test_server_that_was_started_anew_is_found_again() -> None:
    server = start_server("mortal", linger=5)
    server.serve("colorsys", "colours")
    with Gateway("mortal", host="127.0.0.1", port=0) as gateway, Proxy(gateway.uris[0]) as colours:
        assert colours.rgb_to_hsv(0, 0, 1)[2] == 1
        connection = colours._pyroConnection
        server.kill()
        with pytest.raises(ConnectionError, match="server 'mortal' is not running"):
            colours.rgb_to_hsv(0, 0, 1)
        server = start_server("mortal", linger=5)
        server.serve("colorsys", "colours")
        assert colours.rgb_to_hsv(0, 0, 1)[2] == 1
        assert colours._pyroConnection is connection


@pytest.mark.slow
def test_package_that_is_missing_is_named_with_the_remedy(lab: Server) -> None:
    code = "import sys; sys.modules['Pyro5'] = None; from instrumentserver.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "pyro", "lab"], capture_output=True, text=True, timeout=40
    )
    assert ended.returncode == 1
    assert "the package Pyro5 is not installed" in ended.stderr
    assert "pip install 'instrumentserver[pyro]'" in ended.stderr
