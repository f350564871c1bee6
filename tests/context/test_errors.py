from __future__ import annotations

import pytest

from instrumentserver import context
from instrumentserver.context import ChannelTimeout, ContextDisconnectedError, DisconnectedError
from instrumentserver.errors import CallTimeout, InstrumentServerError, ServerLost


def test_a_timeout_is_a_timeout_of_python_and_of_ours() -> None:
    assert issubclass(ChannelTimeout, TimeoutError)
    assert issubclass(ChannelTimeout, CallTimeout)
    assert issubclass(ChannelTimeout, InstrumentServerError)


def test_one_class_catches_all() -> None:
    assert issubclass(ContextDisconnectedError, InstrumentServerError)
    assert DisconnectedError is ServerLost


@pytest.mark.parametrize("name", context.__all__)
def test_public_names_are_there_and_say_what_they_are(name: str) -> None:
    found = getattr(context, name)
    assert not isinstance(found, type) or found.__doc__
