"""The peers of the benchmark of objects: TimeTaggerRPC, Pyro5 with two serialisers, and rpyc, each at its best.

Run as a script it is one peer's server: `python object_peers.py NAME FOLDER` prints the address and serves until its
standard input ends. What is served is `bench_sdk`. Each peer is used in the fastest way that its users have: methods
are looked up once, arrays travel as raw bytes where the protocol has such, nothing is compressed.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import bench_sdk
import numpy as np
from contestant import server_process

LOOPBACK: Final = "127.0.0.1"

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """What one peer does, ready to be timed."""

    name: str
    over: str
    """What a call crosses: "unix", "tcp" or "tls"."""
    call: Callable[[], int]
    """Calls a method that returns a small integer."""
    attribute: Callable[[], int]
    """Reads a property that is a small integer."""
    array: Callable[[], np.ndarray]
    """Calls a method that returns a float64 array of 4 MB."""
    create: Callable[[], Any]
    """Makes a small object on the server."""
    drop: Callable[[list[Any]], None]
    """Is done with what `create` returned: it may go."""
    living: Callable[[], int]
    """How many such objects the server has."""
    is_slow: bool = False
    """An array takes tens of milliseconds."""


class Peer(Protocol):
    """One way to use an object of another process; packages are imported only when a peer is used."""

    packages: tuple[str, ...]

    def serve(self, folder: Path, announce: Announce) -> None:
        """Tell the address, then serve; blocks for ever."""

    def connect(self, address: str, stack: ExitStack) -> Subject:
        """Return what to time; `stack` closes the connections."""


class TimeTaggerRpc:
    """The stock server and client: text, arrays in base64, objects that end with the connection that made them."""

    packages: tuple[str, ...] = ("TimeTaggerRPC", "Pyro5")
    name = "TimeTaggerRPC"

    def serve(self, folder: Path, announce: Announce) -> None:
        sys.modules["TimeTagger"] = bench_sdk
        from TimeTaggerRPC import server

        # It tells its address by itself: "Server URI= PYRO:TimeTaggerRPC@127.0.0.1:PORT".
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        server.start_server(LOOPBACK, 0)

    def connect(self, address: str, stack: ExitStack) -> Subject:
        from TimeTaggerRPC import client

        host, _, port = address.rpartition("@")[2].partition(":")
        library = stack.enter_context(client.createProxy(host, int(port)))
        tagger = stack.enter_context(library.createTimeTagger())
        counter = stack.enter_context(library.Counter(tagger))
        data = stack.enter_context(counter.getDataObject())
        # Its connection owns what it makes, and takes it along.
        maker = stack.enter_context(client.createProxy(host, int(port)))
        return Subject(
            name=self.name,
            over="tcp",
            call=counter.getBins,
            attribute=lambda: data.size,
            array=tagger.getTrace,
            create=lambda: maker.Counter(tagger),
            drop=lambda made: maker._pyroRelease(),
            living=tagger.getLiving,
            is_slow=True,
        )


class Gateway(TimeTaggerRpc):
    """The stock client again, of a gateway of ours, which asks the server of the benchmark."""

    name = "TimeTaggerRPC, gateway"

    def serve(self, folder: Path, announce: Announce) -> None:
        from instrumentserver.gateways.pyro import Gateway

        gateway = Gateway("bench", host=LOOPBACK, port=0)
        announce(gateway.uris[0])
        threading.Event().wait()


class Pyro:
    """Plain Pyro5: arrays as bytes, which msgpack sends as they are; objects are forgotten when they are told to."""

    packages = ("Pyro5", "msgpack")

    def __init__(self, serializer: str, over: str) -> None:
        self._serializer = serializer
        self._over = over

    def serve(self, folder: Path, announce: Announce) -> None:
        import Pyro5.api

        @Pyro5.api.expose
        class Counter(bench_sdk.Counter):
            getBins = bench_sdk.Counter.getBins
            size = property(bench_sdk.Counter.size.fget)

        @Pyro5.api.expose
        class Tagger:
            def getTrace(self) -> bytes:
                return bench_sdk.trace().tobytes()

            def getLiving(self) -> int:
                return bench_sdk.TimeTagger().getLiving()

            def make(self) -> Counter:
                counter = Counter(self)
                daemon.register(counter)
                return counter

            def drop(self, name: str) -> None:
                daemon.unregister(daemon.objectsById[name])

        if self._over == "unix":
            daemon = Pyro5.api.Daemon(unixsocket=str(folder / f"pyro-{self._serializer}"))
        else:
            daemon = Pyro5.api.Daemon(host=LOOPBACK, port=0)
        announce(str(daemon.register(Tagger())))
        daemon.requestLoop()

    def connect(self, address: str, stack: ExitStack) -> Subject:
        import Pyro5.api
        import serpent

        Pyro5.api.config.SERIALIZER = "serpent"
        tagger = stack.enter_context(Pyro5.api.Proxy(address))
        tagger._pyroSerializer = self._serializer
        counter = stack.enter_context(tagger.make())
        counter._pyroSerializer = self._serializer
        forget = tagger.drop
        get_trace = tagger.getTrace

        def drop(made: list[Any]) -> None:
            for each in made:
                forget(each._pyroUri.object)

        return Subject(
            name=f"Pyro5 {self._serializer}",
            over=self._over,
            call=counter.getBins,
            attribute=lambda: counter.size,
            # Serpent writes bytes as base64 text; `tobytes` reads them.
            array=(lambda: np.frombuffer(get_trace()))
            if self._serializer == "msgpack"
            else (lambda: np.frombuffer(serpent.tobytes(get_trace()))),
            create=tagger.make,
            drop=drop,
            living=tagger.getLiving,
            is_slow=self._serializer == "serpent",
        )


class Rpyc:
    """Uncompressed, in chunks as large as the array, over a socket file; arrays as bytes."""

    packages = ("rpyc",)

    def serve(self, folder: Path, announce: Announce) -> None:
        import rpyc
        from rpyc.utils.server import ThreadedServer

        self._hurry()

        class Service(rpyc.Service):
            exposed_Counter = bench_sdk.Counter
            exposed_getLiving = staticmethod(bench_sdk.TimeTagger().getLiving)

            def exposed_getTrace(self) -> bytes:
                return bench_sdk.trace().tobytes()

        path = str(folder / "rpyc")
        server = ThreadedServer(Service, socket_path=path, protocol_config={"allow_public_attrs": True})
        # start() listens, but never returns: a client could come before it.
        server.listener.listen()
        announce(path)
        server.start()

    def connect(self, address: str, stack: ExitStack) -> Subject:
        from rpyc.utils.factory import unix_connect

        self._hurry()
        root = stack.enter_context(unix_connect(address)).root
        make, get_trace, living = root.Counter, root.getTrace, root.getLiving
        counter = make(None)

        def drop(made: list[Any]) -> None:
            # Each dropped object is a request whose reply nobody reads: too many at once fill the line for good.
            while made:
                del made[-100:]
                living()

        return Subject(
            name="rpyc",
            over="unix",
            call=counter.getBins,
            attribute=lambda: counter.size,
            array=lambda: np.frombuffer(get_trace()),
            create=lambda: make(None),
            drop=drop,
            living=living,
            is_slow=True,
        )

    @staticmethod
    def _hurry() -> None:
        from rpyc.core.channel import Channel
        from rpyc.core.stream import SocketStream

        Channel.COMPRESSION_LEVEL = 0
        Channel.COMPRESSION_THRESHOLD = sys.maxsize
        SocketStream.MAX_IO_CHUNK = 1 << 23


PEERS: Final[dict[str, Peer]] = {
    "ttrpc": TimeTaggerRpc(),
    "gateway": Gateway(),
    "pyro-serpent": Pyro("serpent", "tcp"),
    "pyro-msgpack": Pyro("msgpack", "tcp"),
    "pyro-msgpack-unix": Pyro("msgpack", "unix"),
    "rpyc": Rpyc(),
}


def connect(name: str, folder: Path, stack: ExitStack) -> Subject:
    """Start the server of one peer and return what to time; `stack` ends both.

    Raises:
        RuntimeError: The server did not start; nothing is left behind.
    """
    address = stack.enter_context(server_process(Path(__file__), name, str(folder)))
    return PEERS[name].connect(address, stack)


def end_with_standard_input() -> None:
    """End this process, without ceremony, when whoever started it is gone."""
    while os.read(0, 64):
        pass
    os._exit(0)


def main(name: str, folder: str) -> None:
    """Serve one peer until standard input ends."""
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    PEERS[name].serve(Path(folder), lambda address: print(address, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
