"""`Instrument`: a QCoDeS instrument whose call takes ``server_name=``."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, ClassVar

from qcodes.instrument import Instrument as QcodesInstrument
from qcodes.instrument.instrument_meta import InstrumentMeta

from instrumentserver.client import RemoteInstrument
from instrumentserver.client.registry import forget_gone
from instrumentserver.errors import UsageError
from instrumentserver.process.finding import create_instrument, find_component, usual_server_name
from instrumentserver.wire.shipping import constructor_arguments, takes_name_first

__all__ = ["Instrument"]


@functools.cache
def _keep_from_forks() -> None:
    """Have forked children forget the local instruments: QCoDeS would close them there when Python ends."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_local_instruments)


def _forget_local_instruments() -> None:
    records = QcodesInstrument._all_instruments
    for name, instrument in list(records.items()):
        if not issubclass(type(instrument), RemoteInstrument):
            del records[name]


class ServedInstrumentMeta(InstrumentMeta):
    """Makes an instrument in this process, or on a server if the call says ``server_name=``."""

    def __call__(cls, *args: Any, server_name: str | None = None, **kwargs: Any) -> Any:
        """Make an instrument; ``server_name`` never reaches the constructor."""
        if server_name is None:
            forget_gone()
            return super().__call__(*args, **kwargs)
        if "name" in kwargs:
            name, rest = kwargs.pop("name"), list(args)
        elif args and takes_name_first(cls):
            name, *rest = args
        elif args:
            # The constructor takes other arguments before the name.
            kwargs = {**dict(zip(constructor_arguments(cls), args, strict=False)), **kwargs}
            name, rest = kwargs.pop("name", ""), []
        else:
            raise UsageError(
                f"{cls.__name__} needs a name, such as {cls.__name__}('one', server_name={server_name!r})"
            )
        return create_instrument(cls, name, tuple(rest), kwargs, server_name)


if TYPE_CHECKING:
    # Type checkers lose the signatures of constructors behind a metaclass with a __call__.
    _Meta = type
else:
    _Meta = ServedInstrumentMeta


class Instrument(QcodesInstrument, metaclass=_Meta):
    """A QCoDeS instrument that lives where its maker says.

    ``Dac('dac')`` lives in this process, ``Dac('dac', server_name='foo')`` on the server foo, which is
    started if it does not run, ``Dac('dac', server_name='')`` on the server that `default_server_name` names.
    On a server it behaves the same; what comes back is a `RemoteInstrument`.

    Args:
        name: Name of the instrument, an identifier.
        kwargs: Passed on to QCoDeS: ``metadata`` and ``label``.
    """

    shared_kwargs: ClassVar[list[str]] = []
    """Names of keyword arguments that a server holds once for all its instruments."""

    @classmethod
    def default_server_name(cls, **kwargs: Any) -> str:
        """Return the server on which an instrument with these arguments lives if the user leaves it open."""
        return usual_server_name(cls, kwargs)

    @staticmethod
    def find_component(name_attribute: str, instrument_class: type | None = None) -> Any:
        """Return a part of an instrument by name, such as ``dmm.signal.unit``; see `process.finding.find_component`."""
        return find_component(name_attribute, instrument_class)

    def __init__(self, name: str, **kwargs: Any) -> None:
        self._made_in = os.getpid()
        _keep_from_forks()
        super().__init__(name, **kwargs)

    def __del__(self) -> None:
        """Close the instrument, as QCoDeS does, but never in a forked child: the hardware is the parent's."""
        if vars(self).get("_made_in", os.getpid()) == os.getpid():
            super().__del__()
