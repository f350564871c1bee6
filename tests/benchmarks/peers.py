"""The peers of the benchmark: a raw socket echo and four ways to call a method in another process.

Run as a script it is one peer's server: `python peers.py NAME FOLDER` prints the address and serves until its
standard input ends. Servers listen on loopback, at a free port, or on a socket file in FOLDER.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol
from unittest import mock

from contestant import LOCAL, Contestant, get_and_set, server_process

LOOPBACK: Final = "127.0.0.1"

MESSAGE: Final = bytes(range(32))

Announce = Callable[[str], None]


class Peer(Protocol):
    """One way to reach a float in another process; packages are imported only when a peer is used."""

    def serve(self, folder: Path, announce: Announce) -> None:
        """Tell the address, then serve one client; may block for ever."""

    def connect(self, address: str, stack: ExitStack) -> list[Contestant]:
        """Return the calls to time; `stack` closes the connection."""


class RawEcho:
    """Plain blocking sockets, one thread, 32 bytes there and back: the floor of any call in Python."""

    def serve(self, folder: Path, announce: Announce) -> None:
        if LOCAL == "unix":
            address = str(folder / "echo")
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(address)
            listener.listen(1)
        else:
            listener = socket.create_server((LOOPBACK, 0))
            address = str(listener.getsockname()[1])
        announce(address)
        connection, _ = listener.accept()
        if LOCAL == "tcp":
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while message := connection.recv(64):
            connection.sendall(message)

    def connect(self, address: str, stack: ExitStack) -> list[Contestant]:
        if LOCAL == "unix":
            line = stack.enter_context(socket.socket(socket.AF_UNIX))
            line.connect(address)
        else:
            line = stack.enter_context(socket.create_connection((LOOPBACK, int(address))))
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        send, receive = line.sendall, line.recv

        def echo() -> bytes:
            send(MESSAGE)
            return receive(64)

        return [Contestant("raw echo", LOCAL, echo, lambda answer: answer == MESSAGE)]


class ZeroMQ:
    """REQ and REP sockets, msgpack, and the smallest dispatcher there is."""

    def serve(self, folder: Path, announce: Announce) -> None:
        import msgpack
        import zmq

        cell = Cell()
        methods: dict[str, Callable[..., Any]] = {"get": cell.get, "set": cell.set}
        replies = zmq.Context().socket(zmq.REP)
        announce(f"tcp://{LOOPBACK}:{replies.bind_to_random_port(f'tcp://{LOOPBACK}')}")
        while True:
            name, *arguments = msgpack.unpackb(replies.recv())
            replies.send(msgpack.packb(methods[name](*arguments)))

    def connect(self, address: str, stack: ExitStack) -> list[Contestant]:
        import msgpack
        import zmq

        context = stack.enter_context(zmq.Context())
        requests = stack.enter_context(context.socket(zmq.REQ))
        # A dead server would otherwise hold the call, and the end of the context, for ever.
        requests.setsockopt(zmq.RCVTIMEO, 10_000)
        requests.setsockopt(zmq.LINGER, 0)
        requests.connect(address)

        def call(*request: Any) -> Any:
            requests.send(msgpack.packb(request))
            return msgpack.unpackb(requests.recv())

        return get_and_set("ZeroMQ", "tcp", lambda: call("get"), lambda value: call("set", value))


class Pyro:
    def serve(self, folder: Path, announce: Announce) -> None:
        import Pyro5.api

        daemon = Pyro5.api.Daemon(host=LOOPBACK, port=0)
        announce(str(daemon.register(Pyro5.api.expose(Cell)())))
        daemon.requestLoop()

    def connect(self, address: str, stack: ExitStack) -> list[Contestant]:
        import Pyro5.api

        proxy = stack.enter_context(Pyro5.api.Proxy(address))
        return get_and_set("Pyro5", "tcp", proxy.get, proxy.set)


class Rpyc:
    def serve(self, folder: Path, announce: Announce) -> None:
        import rpyc
        from rpyc.utils.server import ThreadedServer

        class Service(rpyc.Service):
            cell = Cell()
            exposed_get = staticmethod(cell.get)
            exposed_set = staticmethod(cell.set)

        server = ThreadedServer(Service, hostname=LOOPBACK, port=0)
        # start() listens, but never returns: a client could come before it.
        server.listener.listen()
        announce(str(server.port))
        server.start()

    def connect(self, address: str, stack: ExitStack) -> list[Contestant]:
        import rpyc

        root = stack.enter_context(rpyc.connect(LOOPBACK, int(address))).root
        # Bound once: `root.get()` would pay one more round trip for the attribute.
        return get_and_set("rpyc", "tcp", root.get, root.set)


class Qmi:
    def serve(self, folder: Path, announce: Announce) -> None:
        from qmi.core.config_defs import CfgContext, CfgQmi
        from qmi.core.context import QMI_Context
        from qmi.core.rpc import QMI_RpcObject, rpc_method

        class RpcCell(QMI_RpcObject):
            def __init__(self, context: QMI_Context, name: str) -> None:
                super().__init__(context, name)
                self.cell = Cell()

            @rpc_method
            def get(self) -> float:
                return self.cell.get()

            @rpc_method
            def set(self, value: float) -> None:
                self.cell.set(value)

        config = CfgQmi(contexts={"bench_server": CfgContext(host=LOOPBACK, tcp_server_port=0)})
        context = QMI_Context("bench_server", config)
        with qmi_on_loopback():
            context.start()
        context.make_rpc_object("cell", RpcCell)
        announce(f"{LOOPBACK}:{context.get_tcp_server_port()}")
        while True:
            time.sleep(3600)

    def connect(self, address: str, stack: ExitStack) -> list[Contestant]:
        from qmi.core.context import QMI_Context

        context = QMI_Context("bench_client")
        with qmi_on_loopback():
            stack.enter_context(context)
        context.connect_to_peer("bench_server", address)
        proxy = context.get_rpc_object_by_name("bench_server.cell")
        return get_and_set("QMI", "tcp", proxy.get, proxy.set)


RAW: Final = "raw"

PEERS: Final[dict[str, Peer]] = {"pyzmq": ZeroMQ(), "Pyro5": Pyro(), "rpyc": Rpyc(), "qmi": Qmi()}
"""The peers by the package that each needs."""


def connect(name: str, folder: Path, stack: ExitStack) -> list[Contestant]:
    """Start the server of one peer and return its calls; `stack` ends both.

    Raises:
        RuntimeError: The server did not start; nothing is left behind.
    """
    address = stack.enter_context(server_process(Path(__file__), name, str(folder)))
    return _peer(name).connect(address, stack)


class Cell:
    """What every peer serves: one float behind two methods, without QCoDeS."""

    def __init__(self) -> None:
        self.value = 0.0

    def get(self) -> float:
        return self.value

    def set(self, value: float) -> None:
        self.value = value


@contextmanager
def qmi_on_loopback() -> Iterator[None]:
    """Keep a QMI context that is started inside off the network.

    QMI binds its TCP port on every interface, and UDP port 35999 for discovery, where it obeys kill packets.
    """
    from qmi.core import messaging

    class LoopbackSocket(socket.socket):
        def bind(self, address: Any) -> None:
            super().bind((LOOPBACK, address[1]) if address[0] == "" else address)

    with (
        mock.patch.object(messaging.MessageRouter, "start_udp_responder", lambda router, port: None),
        mock.patch.object(socket, "socket", LoopbackSocket),
    ):
        yield


def end_with_standard_input() -> None:
    """End this process, without ceremony, when whoever started it is gone."""
    while os.read(0, 64):
        pass
    os._exit(0)


def main(name: str, folder: str) -> None:
    """Serve one peer until standard input ends."""
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    _peer(name).serve(Path(folder), lambda address: print(address, flush=True))


def _peer(name: str) -> Peer:
    return RawEcho() if name == RAW else PEERS[name]


if __name__ == "__main__":
    main(*sys.argv[1:])
