"""The simulated devices at the computer: which exist, and which are in use."""

from __future__ import annotations

import threading
import weakref
from typing import Final

from instruments.time_tagger.bench import Bench
from instruments.time_tagger.enums import Resolution
from instruments.time_tagger.measurement import IteratorBase
from instruments.time_tagger.messages import LOGGER_INFO, messages
from instruments.time_tagger.scene import Scene
from instruments.time_tagger.stream import Stream
from instruments.time_tagger.tagger import MODEL, TimeTagger, TimeTaggerBase

SERIALS: Final = ("1740000JG2", "2138000XH7")
"""Serial numbers of the devices that are there at first."""


class Shelf:
    """The devices that are connected to this computer, by serial number."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scenes: dict[str, Scene] = {}
        self._taggers: weakref.WeakValueDictionary[str, TimeTagger] = weakref.WeakValueDictionary()
        self.refill()

    def refill(self) -> None:
        """Take every device out of use and put new ones in their places."""
        with self._lock:
            for tagger in list(self._taggers.values()):
                if not tagger._stream.is_freed:
                    tagger._stream.free()
            self._taggers.clear()
            self._scenes = {serial: Scene(None) for serial in SERIALS}

    def attach(self, serial: str, seed: int | None) -> Bench:
        """Add a device; if it is there already, return its bench."""
        if not serial:
            raise ValueError("a device needs a serial number that is not empty")
        with self._lock:
            return Bench(self._scenes.setdefault(serial, Scene(seed)))

    def bench(self, serial: str) -> Bench:
        """Find the bench of a device; '' is the first device."""
        with self._lock:
            if not serial:
                return Bench(next(iter(self._scenes.values())))
            if serial not in self._scenes:
                raise ValueError(f"no device has the serial {serial!r}; there are {', '.join(self._scenes)}")
            return Bench(self._scenes[serial])

    def scan(self) -> list[str]:
        """List the serial numbers of the devices that are not in use."""
        with self._lock:
            return [serial for serial in self._scenes if not self._is_used(serial)]

    def open(self, serial: str, resolution: Resolution) -> TimeTagger:
        """Take a device into use; '' is the first that is free."""
        with self._lock:
            wanted = serial or next((each for each in self._scenes if not self._is_used(each)), "")
            if not wanted:
                raise RuntimeError(
                    f"no Time Tagger is free: {', '.join(self._scenes)} are in use; "
                    "free one with freeTimeTagger, or share it"
                )
            if wanted not in self._scenes:
                raise RuntimeError(f"no Time Tagger has the serial {serial!r}; see scanTimeTagger()")
            if self._is_used(wanted):
                raise RuntimeError(
                    f"Time Tagger {wanted} is already in use; free it with freeTimeTagger, or share it"
                )
            tagger = TimeTagger(Stream(self._scenes[wanted], resolution, wanted), resolution)
            self._taggers[wanted] = tagger
            return tagger

    def _is_used(self, serial: str) -> bool:
        tagger = self._taggers.get(serial)
        return tagger is not None and not tagger._stream.is_freed


shelf: Final = Shelf()


def createTimeTagger(serial: str = "", resolution: Resolution = Resolution.Standard) -> TimeTagger:
    """Connect to a simulated Time Tagger; its time and its tags begin now.

    Args:
        serial: Serial number; '' for the first device that is free.
        resolution: Mode with less jitter than the standard one.

    Raises:
        RuntimeError: The device is in use, does not exist, or none is free.
    """
    if not isinstance(serial, str):
        raise TypeError(f"serial is {serial!r}, a {type(serial).__name__}; give a str")
    tagger = shelf.open(serial, Resolution(resolution))
    messages.tell(LOGGER_INFO, f"Time Tagger {tagger.getSerial()} connected")
    return tagger


def freeTimeTagger(tagger: TimeTaggerBase) -> None:
    """Disconnect from a Time Tagger.

    It, its measurements and its virtual channels raise RuntimeError from now
    on, whoever holds them. Of a tagger of `SynchronizedMeasurements` only
    this handle ends; the device stays.

    Args:
        tagger: What `createTimeTagger` returned.

    Raises:
        TypeError: No Time Tagger.
        RuntimeError: It was freed before.
    """
    if isinstance(tagger, IteratorBase) or not isinstance(tagger, TimeTaggerBase):
        raise TypeError(f"tagger is {tagger!r}; give what createTimeTagger() returned")
    tagger._free()
    messages.tell(LOGGER_INFO, f"{type(tagger).__name__} {tagger._stream.serial} freed")


def scanTimeTagger(include_model_name: bool = False) -> tuple[str, ...]:
    """List the devices that are connected and not in use.

    Args:
        include_model_name: Whether the model follows each serial number after
            a comma.
    """
    return tuple(f"{serial},{MODEL}" if include_model_name else serial for serial in shelf.scan())


def getVersion() -> str:
    """Tell the version of the API that is simulated; it says that it is simulated."""
    return "2.22.6-simulated"


def getTimeTaggerModel(serial: str) -> str:
    """Tell the model of a device.

    Raises:
        RuntimeError: No such device.
    """
    try:
        shelf.bench(serial)
    except ValueError as error:
        raise RuntimeError(str(error)) from None
    return MODEL
