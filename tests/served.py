"""What the gateway serves in its tests, an IOC made with caproto itself that is its twin, and clients of both."""

from __future__ import annotations

import asyncio
import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from caproto import ChannelDouble, ChannelEnum, ChannelInteger, ChannelString
from caproto.asyncio.server import Context as ServerContext
from caproto.threading.client import Context
from qcodes.instrument import Instrument
from qcodes.parameters import ManualParameter
from qcodes.validators import Arrays, Bool, Enum, Ints, Numbers, Strings

from instrumentserver.schema import ChannelSchema

__all__ = ["Bench", "Clients", "FakeFeed", "Received", "Twin", "ca_environment", "free_port", "wait_until"]


class Bench(Instrument):
    """An instrument with a parameter of every kind that a process variable can be."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_parameter(
            "d",
            label="A number",
            unit="V",
            get_cmd=self._get_number,
            set_cmd=self._set_number,
            vals=Numbers(-10, 10),
        )
        self.add_parameter("i", ManualParameter, vals=Ints(-5, 100))
        self.add_parameter("e", ManualParameter, vals=Enum("low", "mid", "high"))
        self.add_parameter("mode", set_cmd=self._note, get_cmd=None, val_mapping={"dc": 1, "ac": 2})
        self.add_parameter("b", ManualParameter, vals=Bool())
        self.add_parameter("s", ManualParameter, vals=Strings())
        self.add_parameter("w", ManualParameter, unit="A", vals=Arrays(shape=(3,)))
        self.add_parameter("image", get_cmd=lambda: np.arange(6, dtype=np.uint8).reshape(2, 3))
        self.add_parameter("ro", unit="K", get_cmd=lambda: 4.2)
        self.add_parameter("wo", unit="K", get_cmd=False, set_cmd=self._note, vals=Numbers())
        self.add_parameter("empty", ManualParameter, vals=Numbers())
        self.add_parameter("slow", get_cmd=self._get_slowly, set_cmd=self._set_slowly, vals=Numbers())
        self.add_parameter("weak", get_cmd=self._get_or_fail, set_cmd=self._note, vals=Numbers())
        self.add_parameter("text", get_cmd=lambda: "µ" * 60)
        self.add_parameter("big", ManualParameter, vals=Ints())
        self.add_parameter("long", ManualParameter, vals=Arrays(shape=(1000,)), initial_value=np.zeros(1000))
        self.add_function("reset", call_cmd=lambda: self._set_number(0.0))
        self.add_function(
            "scale", call_cmd=lambda value, factor: value * factor, args=[Numbers(), Numbers(0, 10)]
        )
        self.add_function("trace", call_cmd=lambda count: np.arange(float(count)), args=[Ints(0, 100)])
        self.restore()

    def restore(self) -> None:
        """Make everything what it was in the beginning."""
        self.is_broken = False
        self.gate = ""
        self._number = 1.5
        first = {"d": 1.5, "i": 3, "e": "low", "mode": "dc", "b": True, "s": "hello", "big": 1}
        for name, value in first.items():
            self.parameters[name].set(value)
        self.w.set(np.array([1.0, 2.0, 3.0]))

    def drift(self, value: float) -> None:
        """Change the number behind everybody's back."""
        self._number = value

    def flood(self, count: int) -> None:
        """Set the long array to 0, 1, 2 ... in a row."""
        for number in range(count):
            self.long.set(np.full(1000, float(number)))

    def _get_number(self) -> float:
        return self._number

    def _set_number(self, value: float) -> None:
        self._number = value

    def _note(self, value: Any) -> None:
        self.noted = value

    def _get_slowly(self) -> float:
        self._wait_while_held()
        return 7.0

    def _set_slowly(self, value: float) -> None:
        self._wait_while_held()

    def _wait_while_held(self) -> None:
        # A file, because a request could not get past the one that waits.
        give_up = time.monotonic() + 10
        while self.gate and Path(self.gate).exists() and time.monotonic() < give_up:
            time.sleep(0.005)

    def _get_or_fail(self) -> float:
        if self.is_broken:
            raise RuntimeError("the fuse has blown")
        return 1.0


class FakeFeed:
    """A feed that nobody asks for anything."""

    def __init__(self, schema: ChannelSchema) -> None:
        self.schema = schema
        self.name = schema.path.replace(".", ":")


class Twin:
    """An IOC made with caproto itself that has what `Bench` has."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(5)

    def restore(self) -> None:
        """Make everything what it was in the beginning."""
        asyncio.run_coroutine_threadsafe(self._restore(), self._loop).result(5)

    async def _restore(self) -> None:
        first = {"d": 1.5, "i": 3, "e": 0, "mode": 0, "b": 1, "s": "hello", "w": [1.0, 2.0, 3.0]}
        for name, value in first.items():
            await self._channels[name].write(value)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        limits = {
            "lower_disp_limit": -10,
            "upper_disp_limit": 10,
            "lower_ctrl_limit": -10,
            "upper_ctrl_limit": 10,
        }
        whole = {
            "lower_disp_limit": -5,
            "upper_disp_limit": 100,
            "lower_ctrl_limit": -5,
            "upper_ctrl_limit": 100,
        }
        channels = {
            "d": ChannelDouble(value=1.5, units="V", precision=6, **limits),
            "i": ChannelInteger(value=3, **whole),
            "e": ChannelEnum(value=0, enum_strings=["low", "mid", "high"]),
            "mode": ChannelEnum(value=0, enum_strings=["dc", "ac"]),
            "b": ChannelEnum(value=1, enum_strings=["Off", "On"]),
            "s": ChannelString(value="hello"),
            "w": ChannelDouble(value=[1.0, 2.0, 3.0], units="A", precision=6),
        }
        self._channels = channels
        server = ServerContext({f"x:t:{name}": channel for name, channel in channels.items()}, ["127.0.0.1"])
        server.ca_server_port = self.port = free_port()
        self._task = self._loop.create_task(server.run(startup_hook=self._tell))
        await self._task
        for circuit in list(server.circuits):
            circuit.client.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _tell(self, library: Any) -> None:
        self._ready.set()


def free_port() -> int:
    """Return a port that is free for searching and for connections."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as searching, socket.socket() as connecting:
            searching.bind(("127.0.0.1", 0))
            port = int(searching.getsockname()[1])
            with suppress(OSError):
                connecting.bind(("127.0.0.1", port))
                return port


def ca_environment(port: int) -> dict[str, str]:
    """Return the environment of a client that searches on the loopback interface only."""
    return {
        "EPICS_CA_ADDR_LIST": "127.0.0.1",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(port),
    }


class Clients:
    """Clients of Channel Access, caproto's threading client; few of them, for it takes them long to end."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[int, int], Context] = {}

    def pvs(self, port: int, *names: str, number: int = 0, **options: Any) -> list[Any]:
        """Return connected process variables.

        Args:
            port: Where the server is searched.
            names: Of the process variables.
            number: Which of several clients.
            options: For caproto.
        """
        pvs: list[Any] = self.context(port, number).get_pvs(*names, **options)
        for pv in pvs:
            pv.wait_for_connection(timeout=5)
        return pvs

    def pv(self, port: int, name: str, number: int = 0) -> Any:
        """Return a connected process variable."""
        return self.pvs(port, name, number=number)[0]

    def context(self, port: int, number: int = 0) -> Context:
        """Return a client; those of other ports do not find anything new any more."""
        # caproto looks at it whenever it searches.
        os.environ.update(ca_environment(port))
        if (port, number) not in self._contexts:
            self._contexts[port, number] = Context(timeout=5)
        return self._contexts[port, number]

    def end_monitors(self) -> None:
        """End all monitors."""
        for context in self._contexts.values():
            for pv in list(context.pvs.values()):
                pv.unsubscribe_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_monitors()
        with ThreadPoolExecutor() as threads:
            list(threads.map(Context.disconnect, self._contexts.values()))


class Received:
    """What a monitor brought, in order.

    Args:
        subscription: caproto's.
    """

    def __init__(self, subscription: Any) -> None:
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._subscription = subscription
        self._take = lambda _, response: self._arrived.put(response)
        self._token = subscription.add_callback(self._take)

    def end(self) -> None:
        """End the monitor."""
        self._subscription.remove_callback(self._token)

    def next(self, timeout: float = 5.0) -> Any:
        """Return the next update, waiting for it."""
        return self._arrived.get(timeout=timeout)

    def values(self, count: int) -> list[Any]:
        """Return the next values of a scalar."""
        return [self.next().data[0] for _ in range(count)]

    def until(self, predicate: Callable[[Any], bool]) -> Any:
        """Return the first update that fulfils a condition."""
        give_up = time.monotonic() + 10
        while time.monotonic() < give_up:
            update = self.next()
            if predicate(update):
                return update
        raise AssertionError("no such update")

    def has_more(self, seconds: float) -> bool:
        """Return whether anything more comes within a time."""
        try:
            self._arrived.get(timeout=seconds)
        except queue.Empty:
            return False
        return True


def wait_until(condition: Callable[[], Any], seconds: float = 8.0) -> None:
    """Wait for what nobody tells of."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.01)
