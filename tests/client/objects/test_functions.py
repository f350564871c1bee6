"""Which functions of this process are kept for a server, and how long."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from instrumentserver import Server
from instrumentserver.client.objects.functions import _Functions
from instrumentserver.errors import ServerLost


class Doing:
    """Can be called."""

    def __call__(self) -> None:
        """Do nothing."""


@pytest.fixture
def functions(sdk: Any, server: Server) -> _Functions:
    """Return the functions of a session that a server is told of."""
    return _Functions(sdk._session)


def test_a_function_is_kept_until_it_was_forgotten_as_often_as_it_was_sent(functions: _Functions) -> None:
    doing = Doing()
    gone = weakref.ref(doing)
    number = functions.ship(doing).number
    assert functions.ship(doing).number == number
    del doing
    functions.forget(number, 1)
    gc.collect()
    assert functions.function(number) is gone()
    functions.forget(number, 1)
    gc.collect()
    assert gone() is None
    with pytest.raises(ServerLost):
        functions.function(number)


def test_a_function_that_is_on_its_way_back_is_kept_until_it_has_come(functions: _Functions) -> None:
    doing = Doing()
    number = functions.ship(doing).number
    functions.forget(number, 1, 1)
    assert functions.come_back(number) is doing
    with pytest.raises(ServerLost):
        functions.function(number)


def test_a_function_that_has_come_back_is_kept_until_it_is_forgotten(functions: _Functions) -> None:
    doing = Doing()
    number = functions.ship(doing).number
    assert functions.come_back(number) is doing
    assert functions.function(number) is doing
    functions.forget(number, 1, 1)
    with pytest.raises(ServerLost):
        functions.function(number)


def test_bound_methods_of_one_object_are_one_function(functions: _Functions) -> None:
    doing = Doing()
    assert functions.ship(doing.__call__).number == functions.ship(doing.__call__).number
    assert functions.ship(doing.__call__).number != functions.ship(Doing().__call__).number


def test_what_nobody_sent_is_not_forgotten(functions: _Functions) -> None:
    functions.forget(99, 1)
    number = functions.ship(Doing()).number
    functions.forget(number, 1)
    functions.forget(number, 1)
