from __future__ import annotations

import socket
import sys

import pytest

from instrumentserver.transport.keepalive import watch_line


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the options are those of Linux")
@pytest.mark.parametrize(("silence", "pause"), [(2, 1), (5, 1), (60, 12)])
def test_a_line_is_watched(silence: float, pause: int) -> None:
    with socket.socket() as sock:
        watch_line(sock, silence)

        def told(option: int) -> int:
            return sock.getsockopt(socket.IPPROTO_TCP, option)

        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert told(socket.TCP_KEEPIDLE) == told(socket.TCP_KEEPINTVL) == pause
        # It is looked at when a question is due, so at most one pause later.
        assert told(socket.TCP_USER_TIMEOUT) / 1000 + pause <= silence
        assert told(socket.TCP_USER_TIMEOUT) > 0
