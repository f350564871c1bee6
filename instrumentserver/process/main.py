"""What runs in a server process."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import traceback
from typing import Any

from qcodes.instrument import Instrument

from instrumentserver.client.introduction import introduce_as
from instrumentserver.client.objects.lending import keep_for_a_while
from instrumentserver.client.registry import address_of, find_proxy, set_home
from instrumentserver.directory import Directory, NameTaken
from instrumentserver.errors import UsageError
from instrumentserver.server import InstrumentServer, ServerOptions
from instrumentserver.server.handles import RemoteHandles
from instrumentserver.server.inherit import inherit_context
from instrumentserver.server.logfile import open_log

from .lab import LabInstruments, is_used_elsewhere, waits_elsewhere

__all__ = ["run_server"]

logger = logging.getLogger(__name__)


def run_server(ready: Any, options: ServerOptions, environ: dict[str, str]) -> None:
    """Be a server until its end.

    Args:
        ready: A pipe's end; receives one list: ``["ready", address]``, ``["taken", ""]``, ``["refused", why]``
            or ``["failed", traceback]``.
        options: Name, address, linger.
        environ: The environment of the process that asked for the server.
    """
    _leave_parent(environ)
    try:
        directory = Directory.default()
        claim = directory.claim(options.name)
    except NameTaken:
        ready.send(["taken", ""])
        return
    except Exception:  # noqa: BLE001  (told to the client, who raises it)
        ready.send(["failed", traceback.format_exc()])
        return
    try:
        log = directory.log_path(options.name)
        open_log(log)
        inherit_context()
        remote = RemoteHandles(address_of, find_proxy, waits_elsewhere, is_used_elsewhere, keep_for_a_while)
        server = InstrumentServer(options, directory, claim, remote)
        set_home(server)
        introduce_as(f"server {options.name}", server.address)
        for number in (signal.SIGTERM, *_hangups()):
            signal.signal(number, lambda *_: server.request_stop())
        if hasattr(os, "register_at_fork"):
            _have_signals_end_children()
        server.publish(str(log))
    except UsageError as error:
        claim.release()
        ready.send(["refused", str(error)])
        return
    except Exception:  # noqa: BLE001  (told to the client, who raises it)
        claim.release()
        ready.send(["failed", traceback.format_exc()])
        return
    ready.send(["ready", server.address])
    ready.close()
    try:
        server.run()
    except BaseException:
        logger.exception("server %s failed", options.name)
        raise
    finally:
        logging.shutdown()
        sys.stdout.flush()


def _leave_parent(environ: dict[str, str]) -> None:
    """Become independent of the process that asked for the server: session, signals, descriptors, instruments."""
    os.environ.clear()
    os.environ.update(environ)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setsid"):
        with contextlib.suppress(PermissionError):
            os.setsid()
    _close_fork_server_pipes()
    Instrument._all_instruments = LabInstruments()


def _have_signals_end_children() -> None:
    """Keep the server's answer to signals from a process that a driver forks: `terminate` must end it."""
    numbers = {signal.SIGTERM, *_hangups()}

    def obey() -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)

    # Blocked meanwhile, for Python forgets what arrives between the fork and the end of `obey`.
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, numbers),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers),
        after_in_child=obey,
    )


def _hangups() -> list[int]:
    hangup = getattr(signal, "SIGHUP", None)
    return [] if hangup is None else [hangup]


def _close_fork_server_pipes() -> None:
    """Let go of the pipes that would keep the client's helper processes alive as long as this server."""
    try:
        from multiprocess import forkserver, resource_tracker
    except ImportError:
        return
    for holder, name in (
        (forkserver._forkserver, "_forkserver_alive_fd"),
        (resource_tracker._resource_tracker, "_fd"),
    ):
        handle = getattr(holder, name, None)
        if isinstance(handle, int):
            with contextlib.suppress(OSError):
                os.close(handle)
            setattr(holder, name, None)
    # A server that starts servers itself begins with a fork server of its own.
    forkserver._forkserver._forkserver_address = None
    forkserver._forkserver._forkserver_pid = None
    forkserver._forkserver._inherited_fds = None
