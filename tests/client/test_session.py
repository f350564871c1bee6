"""Time limits of calls."""

from __future__ import annotations

from typing import Any

import pytest

from instrumentserver import time_limit
from instrumentserver.client import session


class Interrupted:
    """A context variable that Ctrl-C reaches when it has just been set for the first time."""

    def __init__(self, variable: Any) -> None:
        self.get = variable.get
        self._variable = variable
        self._is_interrupted = False

    def set(self, value: Any) -> Any:
        token = self._variable.set(value)
        if not self._is_interrupted:
            self._is_interrupted = True
            raise KeyboardInterrupt
        return token

    def reset(self, token: Any) -> None:
        self._variable.reset(token)


def test_time_limit_that_is_interrupted_at_its_beginning_does_not_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variable = session._time_limit
    monkeypatch.setattr(session, "_time_limit", Interrupted(variable))
    with pytest.raises(KeyboardInterrupt), time_limit(0.001):
        pass
    left = variable.get()
    variable.set(None)
    assert left is None


def test_time_limits_may_be_inside_one_another() -> None:
    with time_limit(2.0):
        with time_limit(None):
            assert session._time_limit.get() is None
        with pytest.raises(ZeroDivisionError), time_limit(1.0):
            assert session._time_limit.get() == 1.0
            raise ZeroDivisionError
        assert session._time_limit.get() == 2.0
    assert session._time_limit.get() is None
