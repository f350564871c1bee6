"""Handles that go out and are counted, whether or not they arrive."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import holding_sdk
import pytest

from instrumentserver.server.caller import Caller
from instrumentserver.server.handles import RemoteHandles, ServerHandles
from instrumentserver.server.instruments import Instruments
from instrumentserver.server.objects import Objects
from instrumentserver.server.objects.served import Family, ServingOptions
from instrumentserver.wire.codec import Codec


class Line:
    """One connection of a client of a server with one root, as far as objects are concerned."""

    def __init__(
        self, objects: Objects, instruments: Instruments, remote: RemoteHandles, session: str
    ) -> None:
        self.handles = ServerHandles("unix:foo", instruments, remote)
        self.codec = Codec([self.handles.extension()])
        introduction = {"session": session, "pid": 1, "program": session}
        self.caller = Caller("unix:foo", introduction, self.handles.met, list, "here")
        objects.meet(self.caller, self.handles, self.codec)
        self.references = self.caller.references

    def send(self, value: Any, family: Family) -> list[Any]:
        """Encode a reply, and return the handles in it: path and serial number of each."""
        handles: list[Any] = []
        reader = Codec(loaders={40: lambda plain: handles.append([plain[0][1:], [plain[2]]])})
        self.references.begin(family)
        reader.decode(*self.codec.encode([0, value]))
        return handles

    def finish(self) -> None:
        """Get ready for the next request."""
        self.handles.met.clear()
        self.references.end()


@pytest.fixture
def foo() -> SimpleNamespace:
    """Return the objects of a server, a family, and what makes connections."""
    remote = RemoteHandles(lambda thing: None, lambda address: None, list, lambda asked, known: False)
    instruments = Instruments("foo", Codec)
    objects = Objects("foo", instruments, remote, lambda value: True)
    family = Family("sdk", ServingOptions(lock="none"), holding_sdk, "id")
    objects.table.add_root("sdk", holding_sdk, family)
    return SimpleNamespace(
        objects=objects,
        table=objects.table,
        family=family,
        line=lambda session="one": Line(objects, instruments, remote, session),
    )


def counts(foo: SimpleNamespace) -> list[dict[str, int]]:
    """Return for each object how many handles each session has had."""
    return [
        {holder["session"]: holder["count"] for holder in entry["holders"]}
        for entry in foo.table.proxies()
        if entry["path"] != "sdk"
    ]


def test_what_arrives_is_held_until_it_is_released(foo: SimpleNamespace) -> None:
    line, thing = foo.line(), holding_sdk.Thing("a")

    (first, second) = line.send([thing, {"x": (thing,)}], foo.family)
    line.finish()

    assert counts(foo) == [{"one": 2}]
    foo.table.release("one", [first])
    foo.table.release("one", [first])
    assert counts(foo) == [{"one": 1}]
    foo.table.release("one", [second])
    assert counts(foo) == []


def test_a_release_that_crosses_a_new_handle_takes_nothing(foo: SimpleNamespace) -> None:
    line, thing = foo.line(), holding_sdk.Thing("a")
    (before,) = line.send(thing, foo.family)
    line.finish()
    (after,) = line.send(thing, foo.family)

    foo.table.release("one", [before])

    assert counts(foo) == [{"one": 1}]
    foo.table.release("one", [after])
    assert counts(foo) == []


def test_handles_may_arrive_in_another_order(foo: SimpleNamespace) -> None:
    one, other, thing = foo.line(), foo.line(), holding_sdk.Thing("a")
    (early,) = one.send(thing, foo.family)
    (late,) = other.send(thing, foo.family)

    foo.table.release("one", [late])

    assert counts(foo) == [{"one": 1}]
    foo.table.release("one", [early])
    assert counts(foo) == []


@pytest.mark.parametrize("finished", [False, True], ids=["while it is sent", "afterwards"])
def test_a_reply_that_is_given_up_counts_nothing(foo: SimpleNamespace, finished: bool) -> None:
    line, thing = foo.line(), holding_sdk.Thing("a")
    (known,) = line.send(thing, foo.family)
    line.finish()

    line.send([thing, holding_sdk.Thing("b")], foo.family)
    if finished:
        line.finish()
    line.references.give_up(known[1][0])

    assert counts(foo) == [{"one": 1}]
    foo.table.release("one", [known])
    assert counts(foo) == []


def test_a_reply_that_is_given_up_before_it_is_sent_counts_nothing(foo: SimpleNamespace) -> None:
    line, thing = foo.line(), holding_sdk.Thing("a")
    (known,) = line.send(thing, foo.family)
    line.finish()

    line.references.give_up(known[1][0])
    line.send([thing, holding_sdk.Thing("b")], foo.family)
    line.finish()

    assert counts(foo) == [{"one": 1}]


def test_what_was_received_of_a_reply_that_was_given_up_is_held(foo: SimpleNamespace) -> None:
    line = foo.line()
    first, _ = line.send([holding_sdk.Thing("a"), holding_sdk.Thing("b")], foo.family)
    line.finish()

    line.references.give_up(first[1][0])

    assert counts(foo) == [{"one": 1}]
    foo.table.release("one", [first])
    assert counts(foo) == []


def test_a_connection_may_be_given_up_after_it_has_ended(foo: SimpleNamespace) -> None:
    line, other = foo.line(), foo.line("two")
    line.send(holding_sdk.Thing("a"), foo.family)
    line.finish()
    foo.objects.connection_ended(line.caller, 7)

    foo.objects.give_up(other.caller, 7, 0)
    foo.objects.give_up(line.caller, 8, 0)
    assert counts(foo) == [{"one": 1}]
    foo.objects.give_up(line.caller, 7, 0)
    assert counts(foo) == []


def test_a_reply_that_cannot_be_encoded_is_taken_back(foo: SimpleNamespace) -> None:
    line = foo.line()
    deep: Any = holding_sdk.Thing("a")
    for _ in range(40):
        deep = (deep,)

    with pytest.raises(ValueError, match="deep"):
        line.send([holding_sdk.Thing("b"), deep], foo.family)
    line.references.take_back()
    line.finish()

    assert counts(foo) == []


def test_an_error_of_another_request_takes_nothing_back(foo: SimpleNamespace) -> None:
    line = foo.line()
    line.send(holding_sdk.Thing("a"), foo.family)
    line.finish()

    line.references.take_back()

    assert counts(foo) == [{"one": 1}]


def test_the_end_of_a_session_takes_what_it_alone_had(foo: SimpleNamespace) -> None:
    one, two = foo.line(), foo.line("two")
    shared = holding_sdk.Thing("shared")
    one.send([shared, holding_sdk.Thing("alone")], foo.family)
    two.send(shared, foo.family)

    foo.objects.session_ended("one")

    assert counts(foo) == [{"two": 1}]


def test_outside_of_object_calls_only_what_is_served_already_goes_by_reference(foo: SimpleNamespace) -> None:
    line, thing = foo.line(), holding_sdk.Thing("a")
    line.send(thing, foo.family)
    line.finish()

    assert line.codec.encode([0, thing])
    with pytest.raises(ValueError, match="cannot travel"):
        line.codec.encode([0, holding_sdk.Thing("b")])


def test_a_function_s_description_goes_with_it(foo: SimpleNamespace) -> None:
    line = foo.line()
    (handle,) = line.send(lambda: 1, foo.family)
    line.finish()
    number = foo.table.entries[handle[0]].class_number

    assert foo.table.schema(number).kind == "function"
    foo.table.release("one", [handle])
    with pytest.raises(LookupError, match="knows no class number"):
        foo.table.schema(number)
