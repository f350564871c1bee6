"""Servers of channels for the benchmark, each in a process of its own: caproto's, p4p's, and our gateway.

    python tests/benchmarks/channel_peers.py caproto|p4p|gateway CHANNELS [PORT] [SERVER]

Prints one line of JSON when it is there, and ends with its standard input. Each serves ``bench:x``, ``bench:burst``
(a put of n has ``bench:x`` raised n times as fast as it goes) and ``bench:c0`` to as many channels as asked for.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any


def serve_caproto(channels: int, port: int) -> None:
    """Serve with caproto's own server library."""
    os.environ["EPICS_CA_SERVER_PORT"] = str(port)
    from caproto import ChannelDouble, ChannelInteger
    from caproto.asyncio.server import Context

    x = ChannelDouble(value=0.0)

    class Burst(ChannelInteger):  # type: ignore[misc]  # caproto has no types.
        async def verify_value(self, number: Any) -> Any:
            for value in range(1, int(number) + 1):
                await x.write(float(value))
                # Its subscribers' queues are filled by this and emptied by other tasks.
                await asyncio.sleep(0)
            return number

    pvs = {"bench:x": x, "bench:burst": Burst(value=0)}
    pvs.update({f"bench:c{index}": ChannelDouble(value=float(index)) for index in range(channels)})

    async def run() -> None:
        server = Context(pvs, ["127.0.0.1"])
        asyncio.get_running_loop().call_later(0.05, _say, {"port": port})
        await server.run(log_pv_names=False)

    _until_the_end(lambda: asyncio.run(run()))


def serve_p4p(channels: int, port: int) -> None:
    """Serve with p4p's own server library."""
    from p4p.nt import NTScalar
    from p4p.server import Server
    from p4p.server.thread import SharedPV

    kind = NTScalar("d")
    x = SharedPV(nt=kind, initial=0.0)
    burst = SharedPV(nt=NTScalar("l"), initial=0)

    @x.put  # type: ignore[untyped-decorator]
    def put(pv: Any, operation: Any) -> None:
        pv.post(operation.value())
        operation.done()

    @burst.put  # type: ignore[untyped-decorator]
    def put_burst(pv: Any, operation: Any) -> None:
        for value in range(1, int(operation.value()) + 1):
            x.post(float(value))
        operation.done()

    pvs = {"bench:x": x, "bench:burst": burst}
    pvs.update({f"bench:c{index}": SharedPV(nt=kind, initial=float(index)) for index in range(channels)})
    conf = {"EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1", "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO"}
    conf |= {"EPICS_PVAS_SERVER_PORT": str(port), "EPICS_PVAS_BROADCAST_PORT": str(port + 1)}
    with Server(providers=[pvs], conf=conf) as server:
        _say({"conf": server.conf()})
        sys.stdin.read()


def serve_gateway(channels: int, port: int, server: str) -> None:
    """Serve an instrument of ours by Channel Access and PVAccess."""
    from instrumentserver.gateways.epics import Gateway

    with Gateway(
        [server], interfaces=["127.0.0.1"], ca_port=port, pva_port=0, pva_search_port=0, scan=None
    ) as gateway:
        _say({"port": gateway.ca_port, "conf": gateway.pva_conf})
        sys.stdin.read()


def _say(content: dict[str, Any]) -> None:
    print(json.dumps(content), flush=True)


def _until_the_end(run: Callable[[], None]) -> None:
    threading.Thread(target=run, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    serve = {"caproto": serve_caproto, "p4p": serve_p4p, "gateway": serve_gateway}[sys.argv[1]]
    serve(int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
