"""shared_kwargs: the same objects for all, also after instruments among them were made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from drivers import Plain, Sharing

from instrumentserver import Server, UnknownName, UsageError, start_server
from instrumentserver.server.shared import SharedArguments
from instrumentserver.wire.codec import Codec, Extension


class Lent:
    """A class that takes shared arguments."""

    shared_kwargs = ("backend", "instruments")


class Nothing:
    """A class that takes none."""


@pytest.fixture
def plain() -> Iterator[Plain]:
    plain = Plain("here")
    yield plain
    plain.close()


@pytest.fixture
def hosted(plain: Plain) -> Any:
    """Return what stands for a hosted instrument; another one may be put into its place."""
    return SimpleNamespace(name="here", instrument=plain)


@pytest.fixture
def shared(hosted: Any) -> SharedArguments:
    def find(name: str) -> Any:
        if hosted.instrument is None:
            raise UnknownName(f"instrument {name!r} was closed by somebody")
        return hosted

    handles = Extension(
        32, lambda value: "here" if value is hosted.instrument else None, lambda plain: hosted.instrument
    )
    return SharedArguments("lab", lambda: Codec([handles]), find)


def lend(shared: SharedArguments, hosted: list[Any] | None = None, **kwargs: Any) -> dict[str, Any]:
    with shared.lent(Lent, kwargs, hosted or []) as (lent, _):
        return lent


# By itself


def test_the_first_one_fixes_a_value_and_all_get_that_object(shared: SharedArguments) -> None:
    backend = {"volts": [1, 2]}
    assert lend(shared, backend=backend, other=3) == {"backend": backend, "other": 3}
    for given in ({}, {"backend": None}, {"backend": {}}, {"backend": {"volts": [1, 2]}}):
        assert lend(shared, **given)["backend"] is backend
    assert shared.values() == {"backend": backend}


def test_a_class_that_names_none_gets_none(shared: SharedArguments) -> None:
    lend(shared, backend=1)
    with shared.lent(Nothing, {"backend": 2, "a": 3}, []) as (lent, beside):
        assert (lent, beside) == ({"backend": 2, "a": 3}, [])
    assert shared.values() == {"backend": 1}


SAME: list[tuple[Any, Any, bool]] = [
    (np.arange(3), np.arange(3), True),
    (np.arange(3), np.arange(4), False),
    ({"a": [np.zeros(2)]}, {"a": [np.zeros(2)]}, True),
    ({"a": [np.zeros(2)]}, {"a": [np.ones(2)]}, False),
    ((1, 2), (1, 2, 3), False),
    ({"a": 1}, {"b": 1}, False),
    (1, 1.0, True),
    ("a", "b", False),
]


@pytest.mark.parametrize(("one", "other", "is_same"), SAME, ids=repr)
def test_another_value_is_refused_and_the_first_stays(
    shared: SharedArguments, one: Any, other: Any, is_same: bool
) -> None:
    lend(shared, backend=one)
    if is_same:
        assert lend(shared, backend=other)["backend"] is one
        return
    with pytest.raises(UsageError, match=r"'lab' already exists but with different shared_kwargs"):
        lend(shared, backend=other, instruments=[5])
    assert lend(shared)["backend"] is one
    assert "instruments" not in shared.values()


def test_what_a_failed_constructor_brought_is_not_kept(shared: SharedArguments) -> None:
    lend(shared, backend=1)
    with pytest.raises(RuntimeError), shared.lent(Lent, {"instruments": [2]}, []):
        raise RuntimeError
    assert shared.values() == {"backend": 1}
    assert lend(shared, instruments=[3])["instruments"] == [3]


def test_an_instrument_that_was_made_again_takes_the_place_of_the_old_one(
    shared: SharedArguments, hosted: Any, plain: Plain
) -> None:
    backend = {"volts": 1}
    lend(shared, [hosted], instruments=[{"deep": plain}], backend=backend)
    assert lend(shared)["instruments"][0]["deep"] is plain
    again = hosted.instrument = Plain("again")
    lent = lend(shared)
    assert lent["instruments"][0]["deep"] is again
    assert lent["backend"] is backend
    assert lend(shared, [hosted], instruments=[{"deep": again}]) == lent
    again.close()


def test_an_instrument_that_is_gone_is_named_with_the_remedy(
    shared: SharedArguments, hosted: Any, plain: Plain
) -> None:
    lend(shared, [hosted], instruments=[plain])
    hosted.instrument = None
    with pytest.raises(
        UsageError, match=r"instruments of server 'lab'.*'here' was closed by.*create it again"
    ):
        lend(shared)
    hosted.instrument = plain
    assert lend(shared)["instruments"] == [plain]


def test_the_instruments_among_them_are_those_beside_which_one_is_made(
    shared: SharedArguments, hosted: Any, plain: Plain
) -> None:
    with shared.lent(Lent, {"instruments": [plain]}, [hosted]) as (_, beside):
        assert set(map(id, beside)) == {id(hosted)}
    with shared.lent(Lent, {}, []) as (_, beside):
        assert beside == [hosted]


# Through servers


@pytest.mark.parametrize("where", ["the same server", "another server"])
def test_after_restart_close_and_making_again_all_hold_the_living_instrument(
    server: Server, new_name: Callable[[], str], where: str
) -> None:
    home = server if where == "the same server" else start_server(new_name())
    base = home.create(Plain, "base")
    first = server.create(Sharing, "first", instruments=[base, base.ch1], backend={"volts": [1]})
    identity = first.backend_id()
    base.restart()
    second = server.create(Sharing, "second")
    base.close()
    base = home.create(Plain, "base", offset=3)
    third = server.create(Sharing, "third", instruments=[base, base.ch1])
    for sharing in (second, third) if home is not server else (third,):
        assert sharing.getattr("instruments[0].x").get() == 3
        assert sharing.getattr("instruments[0]") is base
        assert sharing.getattr("instruments[1]") is base.ch1
    assert second.backend_id() == third.backend_id() == identity


def test_instruments_that_are_made_again_themselves_keep_what_is_shared(server: Server) -> None:
    base = server.create(Plain, "base", offset=1)
    sharing = server.create(Sharing, "sharing", instruments=[base])
    base.x(4)
    sharing.restart()
    assert sharing.getattr("instruments[0].x").get() == 4
    base.restart()
    sharing.restart()
    assert sharing.getattr("instruments[0]") is base
    assert sharing.getattr("instruments[0].x").get() == 1
    sharing.close()
    assert server.create(Sharing, "sharing").getattr("instruments[0]") is base


def test_a_server_tells_what_it_shares(server: Server) -> None:
    base = server.create(Plain, "base")
    server.create(Sharing, "sharing", instruments=[base], backend={"volts": [1]})
    assert server.status()["shared_kwargs"] == {"backend": "{'volts': [1]}", "instruments": "[<Plain: base>]"}
