"""Remote instruments: QCoDeS instruments that live in another process."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from qcodes.instrument import Instrument
from qcodes.utils import strip_attrs

from instrumentserver.errors import ConnectFailed, ServerLost
from instrumentserver.schema import InstrumentSchema
from instrumentserver.wire.classes import class_text
from instrumentserver.wire.messages import Op

from .claim import claimed_class
from .link import Link
from .metadatable import DEFAULT_UPDATE
from .module import RemoteNode
from .tree import show_schema

__all__ = ["RemoteInstrument"]

logger = logging.getLogger(__name__)

_INSTRUMENT: Final = class_text(Instrument)


class RemoteInstrument(RemoteNode, Instrument):
    """An instrument on a server, to be used like any QCoDeS instrument.

    Not made by users: a driver class with ``server_name=``, `find_instrument` and the like return it. There is
    one for each instrument in a process. Throwing it away does not close the instrument; `close` does.

    Args:
        link: The link to the instrument.
        schema: Its schema.
    """

    def __init__(self, link: Link, schema: InstrumentSchema) -> None:
        root = schema.modules[0]
        self._t0 = time.time()
        self._link = link
        self._path = root.path
        self._schema = root
        self._modules: dict[str, RemoteNode] = {}
        self._loose: dict[str, Any] = {}
        self._recorded_under: Any = None
        super(Instrument, self).__init__(root.name, label=root.label)
        show_schema(self, schema, self._modules)
        link.apply = lambda newer: show_schema(self, newer, self._modules)
        self._is_built = True

    def update(self) -> None:
        """Bring the proxy up to date, after the instrument gained or lost parameters, functions or submodules.

        Not needed after calls of this process, which notice by themselves.
        """
        self._link.refresh()

    def restart(self) -> None:
        """Close the instrument and make it again, with the arguments that it was made of.

        Its state is that of a new instrument; this proxy and those below it stay valid, here and in other clients.

        Raises:
            Exception: Whatever the constructor raised; the instrument is gone then.
        """
        schema = self._link.session.request([Op.RESTART, self._path])[1]
        self._loose.clear()
        self._link.take(schema)

    def snapshot(self, update: Any = DEFAULT_UPDATE) -> dict[str, Any]:  # type: ignore[override,misc]
        """Return the server's snapshot, one message.

        One that need not read the hardware does not fail when the server is gone, so that other instruments
        can be measured: it has no values then, and a warning is logged.
        """
        try:
            return super().snapshot(update)
        except (ConnectFailed, ServerLost) as error:
            if update in (True, "All"):
                raise
            logger.warning("the snapshot of %s has no values: %s", self, error)
        return {
            "functions": {},
            "submodules": {},
            "parameters": {},
            "__class__": self._schema.classes[0].replace(":", "."),
            "name": self.name,
        }

    def close(self) -> None:
        """Close the instrument on the server and forget it here; a second call does nothing."""
        if not self._is_built:
            return
        try:
            self._link.session.request([Op.CLOSE, self._path])
        except (ConnectFailed, ServerLost):
            logger.info("%s: its server is gone, and the instrument with it", self)
        finally:
            self._forget()

    def _forget(self) -> None:
        """Take the proxy out of QCoDeS's records and make it unusable; the instrument lives on."""
        self.remove_instance(self)
        for module in self._modules.values():
            strip_attrs(module, whitelist=["_short_name", "_parent", "_schema", "_link", "_path"])

    def _is_abstract(self) -> bool:
        return False

    @classmethod
    def record_instance(cls, instance: Instrument) -> None:
        """Record a proxy in QCoDeS's registry, under its driver's class.

        A name that is taken here already is left to its owner.
        """
        assert isinstance(instance, RemoteInstrument)
        if Instrument._all_instruments.get(instance.name) is not None:
            logger.info("%s is not in QCoDeS's registry, where its name is taken", instance)
            return
        claimed = claimed_class(instance._schema.classes, cls)
        if not any(text == _INSTRUMENT for text in instance._schema.classes):
            # QCoDeS does not keep what is an InstrumentBase only.
            return
        owner = claimed if issubclass(claimed, Instrument) else cls
        Instrument.record_instance.__func__(owner, instance)  # type: ignore[attr-defined]
        instance._recorded_under = owner
        vars(instance)["instances"] = owner.instances

    @classmethod
    def remove_instance(cls, instance: Instrument) -> None:
        """Take a proxy out of QCoDeS's registry."""
        owner = vars(instance).get("_recorded_under")
        if owner is None:
            return
        Instrument.remove_instance.__func__(owner, instance)  # type: ignore[attr-defined]

    def __del__(self) -> None:
        """Leave the instrument as it is: it belongs to the server, and other clients may use it."""
