"""Snapshots of many remote things at once: one message for each server, all servers at the same time."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextvars import copy_context
from typing import Any

from instrumentserver.errors import ConnectFailed, InstrumentServerError, ServerLost, UnknownName
from instrumentserver.wire.failures import load_failure
from instrumentserver.wire.messages import Op

from .additions import add_local_snapshots
from .metadatable import RemoteMetadatable
from .module import RemoteNode
from .session import Session

__all__ = ["take_snapshots"]


def take_snapshots(
    proxies: Sequence[RemoteMetadatable], update: Any
) -> list[dict[str, Any] | InstrumentServerError]:
    """Return the snapshots of remote things, blocking for as long as the slowest server takes.

    Args:
        proxies: Instruments, channels or parameters, of any servers.
        update: As QCoDeS means it.

    Returns:
        One item for each proxy: the snapshot, or, for what is not there any more because its server has ended or
        somebody has closed its instrument, the error that says so.

    Raises:
        Exception: What a snapshot raised; of several errors that of the first proxy. All servers have answered.
    """
    paths: dict[Session, list[str]] = {}
    for proxy in proxies:
        paths.setdefault(proxy._link.session, []).append(proxy._path)
    answers = _ask_servers(paths, update) if paths else {}
    return [_outcome(proxy, answers[proxy._link.session], update) for proxy in proxies]


def _ask_servers(paths: Mapping[Session, list[str]], update: Any) -> dict[Session, Any]:
    """Return what each server answers, or the error that its question ended with."""
    answers: dict[Session, Any] = {}

    def ask(session: Session) -> None:
        try:
            answers[session] = session.request([Op.SNAPSHOTS, "", paths[session], update])[1]
        except Exception as error:  # noqa: BLE001  (raised by the thread that waits for it)
            answers[session] = error

    first, *others = paths
    # No executor: it would hold up Ctrl-C, and the end of Python, until the slowest server has answered.
    threads = [
        threading.Thread(target=copy_context().run, args=(ask, session), daemon=True) for session in others
    ]
    for thread in threads:
        thread.start()
    ask(first)
    for thread in threads:
        thread.join()
    return answers


def _outcome(
    proxy: RemoteMetadatable, answer: Mapping[str, list[Any]] | Exception, update: Any
) -> dict[str, Any] | InstrumentServerError:
    if isinstance(answer, ConnectFailed | ServerLost):
        return answer
    if isinstance(answer, Exception):
        raise answer
    reply = answer.get(proxy._path)
    if reply is None:
        return UnknownName(f"{proxy._link.address(proxy._path)} is not there any more: it has been closed")
    version, snapshot, *failure = reply
    if failure:
        raise load_failure(*failure)
    if version != proxy._link.version:
        proxy._link.notice(version)
    if isinstance(proxy, RemoteNode):
        add_local_snapshots(proxy, snapshot, update=update)
    return dict(snapshot)
