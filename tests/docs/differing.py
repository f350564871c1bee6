"""A driver that does what differs between a local and a remote instrument."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import warnings
from typing import Any

from qcodes.instrument import Instrument
from qcodes.station import Station
from qcodes.validators import Numbers

__all__ = ["MODULE_GLOBAL", "Differing"]

MODULE_GLOBAL = "as it was"


class Helper:
    """An object that cannot leave its process."""

    level = 1


class Differing(Instrument):
    """An instrument as drivers are written, with one method for each difference."""

    def __init__(self, name: str, given: Any = None, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._given = given
        self.went_on = False
        self.table = {"a": 1}
        self.helper = Helper()
        self._secret = 1
        self.fired: list[Any] = []
        self.add_parameter("x", set_cmd=None, initial_value=0.0, unit="V", vals=Numbers(-5, 5))
        self.add_parameter("watched", set_cmd=None, on_set_callback=lambda _, value: self.fired.append(value))

    def get_idn(self) -> dict[str, str | None]:
        """Return nothing that is known."""
        return dict.fromkeys(("vendor", "model", "serial", "firmware"))

    def __len__(self) -> int:
        return 3

    def __add__(self, other: int) -> int:
        return len(self) + other

    def pid(self) -> int:
        """Return the process that this runs in."""
        return os.getpid()

    def fill(self, given: list[int]) -> None:
        """Change the argument."""
        given.append(1)

    def give_helper(self) -> Helper:
        """Return an object that cannot leave its process."""
        return self.helper

    def is_helper(self, given: object) -> bool:
        """Return whether this is the object that `give_helper` returns."""
        return given is self.helper

    def raw(self) -> bytearray:
        """Return bytes that can be changed."""
        return bytearray(b"raw")

    def call_pid(self) -> int:
        """Return what `pid` returns when the driver calls it."""
        return self.pid()

    def call_given(self) -> Any:
        """Call what the constructor was given."""
        return self._given()

    async def later(self) -> str:
        """Return something in an event loop."""
        return "later"

    def warn_and_go_on(self) -> None:
        """Warn, and do something then."""
        warnings.warn("old filter", stacklevel=1)
        self.went_on = True

    def thread(self) -> int:
        """Return the thread that this runs in."""
        return threading.get_ident()

    def handle_signals(self) -> None:
        """Install a handler, as some libraries do."""
        signal.signal(signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))

    def folder(self) -> str:
        """Return the working directory."""
        return os.getcwd()

    def variable(self, name: str) -> str | None:
        """Return an environment variable."""
        return os.environ.get(name)

    def station(self) -> Any:
        """Return the default station's components by name."""
        station = Station.default
        return None if station is None else list(station.components)

    def random(self) -> float:
        """Return a random number."""
        return random.random()

    def module_global(self) -> str:
        """Return a global of this module."""
        return MODULE_GLOBAL

    def prompt(self) -> str:
        """Ask the user."""
        return input("? ")

    def print_and_meet(self, reached: str, go_on: str) -> None:
        """Print, wait for the other end of two pipes, and print again."""
        print("before")  # noqa: T201
        open(reached, "w").close()
        open(go_on).close()

    def print_in_thread(self, text: str) -> None:
        """Print something in a thread of the driver's own."""
        thread = threading.Thread(target=print, args=(text,))
        thread.start()
        thread.join()

    def raise_private(self) -> None:
        """Raise an error of a class that nobody else has."""
        raise type("Private", (Exception,), {"__module__": "vendor"})("broken")

    def raise_caused(self) -> None:
        """Raise an error that another one has caused."""
        try:
            _ = 1 / 0
        except ZeroDivisionError as error:
            raise ValueError("no reading") from error

    def raise_interrupt(self) -> None:
        """Raise what Ctrl-C raises."""
        raise KeyboardInterrupt

    def leave(self) -> None:
        """Leave the program."""
        sys.exit(3)
