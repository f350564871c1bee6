"""What a client of TimeTaggerRPC sees of a server.

Run as a script it is TimeTaggerRPC's own server over the simulated SDK: it prints its URI, and ends with its standard
input.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import types
from collections.abc import Callable
from typing import Any, Final

import numpy as np

_NUMBERS: Final = re.compile(
    r"[0-9a-f]{32}|0x[0-9a-f]+|(?<=127.0.0.1:)\d+|(?<=owner )\d+|(?<='127.0.0.1', )\d+"
)
"""Numbers that differ from run to run."""


def serve() -> None:
    """Run TimeTaggerRPC's own server."""
    from instruments import time_tagger

    sys.modules["TimeTagger"] = types.ModuleType("TimeTagger")
    for name in time_tagger.__all__:
        setattr(sys.modules["TimeTagger"], name, getattr(time_tagger, name))
    from TimeTaggerRPC import server

    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    server.start_server("127.0.0.1", 0)


def observe(host: str, port: int) -> dict[str, Any]:
    """Return what a client sees, by what it does."""
    from Pyro5.api import Proxy
    from TimeTaggerRPC import client

    seen: dict[str, Any] = {}

    def see(text: str, look: Callable[[], Any]) -> None:
        try:
            seen[text] = _told(look())
        except Exception as error:
            seen[text] = f"{type(error).__name__}: {_NUMBERS.sub('*', str(error))}"

    TT: Any = client.createProxy(host, port)
    see("enums", TT.enum_definitions)
    see(
        "a member", lambda: (repr(TT.Resolution.HighResA), repr(TT.ChannelEdge.Rising), TT.Resolution(0).name)
    )
    see("methods of the library", lambda: sorted(TT._pyroMethods))
    see("attributes of the library", lambda: sorted(TT._pyroAttrs))
    see("scanTimeTagger", TT.scanTimeTagger)
    see("getVersion", TT.getVersion)
    tagger = TT.createTimeTagger("1740000JG2", TT.Resolution.HighResA)
    see("a tagger", lambda: tagger)
    see("its URI", lambda: _NUMBERS.sub("*", str(tagger._pyroUri)))
    tagger._pyroBind()
    see("methods of a tagger", lambda: sorted(tagger._pyroMethods))
    see("attributes of a tagger", lambda: sorted(tagger._pyroAttrs))
    see("getSerial", tagger.getSerial)
    see("setTestSignal", lambda: tagger.setTestSignal(1, True))
    see("getTestSignal", lambda: tagger.getTestSignal(1))
    see("setTriggerLevel", lambda: tagger.setTriggerLevel(channel=1, voltage=0.25))
    see("getTriggerLevel", lambda: tagger.getTriggerLevel(1))
    see("getConfiguration", tagger.getConfiguration)
    counter = TT.Counter(tagger, [1, 2], binwidth=1000, n_values=4)
    see("a counter", lambda: counter)
    counter._pyroBind()
    see("methods of a counter", lambda: sorted(counter._pyroMethods))
    see("attributes of a counter", lambda: sorted(counter._pyroAttrs))
    counter.stop()
    counter.clear()
    see("getIndex", counter.getIndex)
    see("getData", counter.getData)
    see("getDataNormalized", lambda: np.isnan(counter.getDataNormalized()))
    see("clear", counter.clear)
    data = counter.getDataObject()
    see("a data object", lambda: data)
    data._pyroBind()
    see("methods of a data object", lambda: sorted(data._pyroMethods))
    see("attributes of a data object", lambda: sorted(data._pyroAttrs))
    see("getData of a data object", data.getData)
    see("discard", data.discard)
    see("a discarded object", data.getData)
    see("the same by its URI", lambda: Proxy(str(counter._pyroUri)).getData())
    see("a tagger by keyword", lambda: TT.Countrate(tagger=tagger, channels=[1]))
    see("a proxy in a list", lambda: TT.Combiner(tagger, [counter]))
    see("a wrong channel", lambda: TT.Counter(tagger, [99]))
    see("a wrong argument", lambda: TT.Counter(tagger, [1], 1, 1, 1, 1))
    see("a stale proxy", lambda: TT.Counter(data, [1]))
    see("an unknown method", lambda: counter.nothing())
    see("an unknown object", lambda: Proxy(f"PYRO:nothing@{host}:{port}").getData())
    see("a private method", lambda: counter._pyroInvoke("_nothing", (), {}))
    see("setting an attribute", lambda: setattr(counter, "anything", 1))
    synchronized = TT.SynchronizedMeasurements(tagger)
    see("registerMeasurement", lambda: synchronized.registerMeasurement(counter))
    see("isRunning", synchronized.isRunning)
    see("unregisterMeasurement", lambda: synchronized.unregisterMeasurement(counter))
    see("getTagger", lambda: TT.Countrate(synchronized.getTagger(), [1]))
    see("getTagger twice", lambda: synchronized.getTagger()._pyroUri == synchronized.getTagger()._pyroUri)
    see("freeTimeTagger", lambda: TT.freeTimeTagger(tagger))
    see("a freed tagger", tagger.getSerial)
    see("its counter", counter.getData)
    TT._pyroRelease()
    see("released, and used again", TT.getVersion)
    return seen


def _told(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return ["array", str(value.dtype), value.tolist()]
    if type(value).__name__ == "Proxy":
        return f"proxy of a {value._pyroUri.object.partition('_')[0]}"
    return json.loads(json.dumps(value, default=repr))


if __name__ == "__main__":
    serve()
