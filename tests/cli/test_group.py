"""What commands have in common."""

from __future__ import annotations

import signal

import pytest

from instrumentserver.cli.group import told_to_end


def test_command_that_fails_leaves_signals_as_they_were() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(ZeroDivisionError), told_to_end():
        assert [signal.getsignal(number) for number in numbers] != before
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in numbers] == before


def test_signal_is_heard() -> None:
    with told_to_end() as is_ended:
        assert not is_ended.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert is_ended.wait(10)
