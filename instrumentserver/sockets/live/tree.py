"""What a live server shows: a module for each host, a parameter for each of its streams."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from datetime import datetime
from typing import Any, Final, TypeVar

from qcodes.instrument import Instrument, InstrumentModule
from qcodes.parameters import Parameter

__all__ = ["GrowingDict", "LiveHost", "LiveParameter"]

T = TypeVar("T")

_NOTHING: Final = (None, None)


class GrowingDict(dict[str, T]):
    """A dict whose items may be looked through in one thread while another one adds some.

    Who looks through it sees it as it was when he began.
    """

    def __iter__(self) -> Iterator[str]:
        return iter(self._as_it_is())

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        """Return the keys of now."""
        return self._as_it_is().keys()

    def values(self) -> ValuesView[T]:  # type: ignore[override]
        """Return the values of now."""
        return self._as_it_is().values()

    def items(self) -> ItemsView[str, T]:  # type: ignore[override]
        """Return the items of now."""
        return self._as_it_is().items()

    def _as_it_is(self) -> dict[str, T]:
        while True:
            try:
                return dict(super().items())
            except RuntimeError:
                continue  # It has grown meanwhile.


class LiveParameter(Parameter):
    """The values y of one stream; None before the first one after a reset.

    Nobody can set it. The cache has the time of the latest point, see `LiveServer`.

    Args:
        name: Its name.
        host: The module of the host that sends the stream.
        codename: What the host calls it.

    Attributes:
        codename: The same.
        latest: The latest point ``(x, y)``; ``(None, None)`` if there is none.
    """

    is_stream = True

    def __init__(self, name: str, host: LiveHost, codename: str) -> None:
        # The host gets it when it is complete: others look through the parameters meanwhile.
        super().__init__(
            name,
            label=codename,
            get_cmd=None,
            set_cmd=False,
            instrument=host,
            bind_to_instrument=False,
            docstring=f"The stream {codename!r}, as the live sockets of {host.host!r} send it.",
        )
        self.codename = codename
        self.latest: tuple[float | None, Any] = _NOTHING
        # QCoDeS's own `get` puts what it has read into the cache, in the place of a point that comes meanwhile.
        self.get = self._latest_value

    def take(self, x: float | None, y: Any, moment: float) -> None:
        """Make a point the latest one.

        Args:
            x: Of the point; None, with None for y, for a reset.
            y: The same.
            moment: When it was, seconds since 1970.
        """
        self.latest = (x, y)
        self.cache._update_with(value=y, raw_value=y, timestamp=datetime.fromtimestamp(moment))

    def _latest_value(self) -> Any:
        return self.latest[1]


class LiveHost(InstrumentModule[Instrument]):
    """The streams of one host, as parameters.

    Args:
        parent: The live server.
        name: Name of the module, an identifier.
        host: What the host calls itself.

    Attributes:
        host: The same.
    """

    def __init__(self, parent: Instrument, name: str, host: str) -> None:
        super().__init__(parent, name, label=host)
        self.host = host
        self.parameters = GrowingDict(self.parameters)
