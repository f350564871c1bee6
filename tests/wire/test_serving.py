"""What is to be served, on its way to the server."""

from __future__ import annotations

import statistics
import sys
from types import ModuleType
from typing import Any

import pytest

from instrumentserver.errors import NotPortable, UsageError
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.serving import (
    digest_of,
    dump_function,
    dump_thing,
    find_import,
    load_function,
    load_thing,
)
from instrumentserver.wire.shipping import code_extension


def sent(value: Any) -> Any:
    """Return what arrives of a value."""
    message, buffers = Codec([code_extension()]).encode(value)
    return Codec([code_extension()]).decode(message, buffers)


class Local:
    """A class of this test."""

    def __init__(self, value: int = 1) -> None:
        self.value = value


@pytest.mark.parametrize(
    ("thing", "shown"),
    [
        ("statistics", "statistics"),
        (statistics, "module statistics"),
        ("collections:OrderedDict.fromkeys", "collections:OrderedDict.fromkeys"),
        (Local, "class tests.wire.test_serving.Local"),
    ],
)
def test_modules_classes_and_paths_arrive_as_themselves(thing: Any, shown: str) -> None:
    shipped = sent(dump_thing(thing))

    loaded = load_thing(shipped)

    assert shipped["shown"].rpartition(".")[2] == shown.rpartition(".")[2]
    assert loaded == (find_import(thing) if isinstance(thing, str) else thing)


def test_an_object_arrives_as_a_copy() -> None:
    local = Local(5)

    loaded = load_thing(sent(dump_thing(local)))

    assert (type(loaded).__name__, loaded.value) == ("Local", 5)
    assert loaded is not local


def test_a_module_that_nobody_can_import_arrives_by_value() -> None:
    module = ModuleType("made_here")
    exec("def double(x):\n    return 2 * x", vars(module))

    assert load_thing(sent(dump_thing(module))).double(3) == 6


def test_what_cannot_be_pickled_says_so() -> None:
    with pytest.raises(NotPortable, match="cannot travel to a server"):
        dump_thing(iter([sys._getframe()]))


def test_functions_arrive_by_value_or_by_path() -> None:
    assert load_function(sent(dump_function(lambda x: x + 1)))(1) == 2
    assert load_function(sent(dump_function("math:floor")))(1.5) == 1
    assert load_function(dump_function(None)) is None
    with pytest.raises(UsageError, match="cannot be called"):
        load_function(sent(dump_function("math:pi")))


@pytest.mark.parametrize(
    ("path", "error", "text"),
    [
        ("no.such.module", ImportError, "No module"),
        ("math:nothing", UsageError, "math has no 'nothing'"),
        ("collections:OrderedDict.nothing", UsageError, "has no 'OrderedDict.nothing'"),
    ],
)
def test_a_path_that_leads_nowhere_says_so(path: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        find_import(path)


def test_the_same_is_known_again_and_something_else_is_not() -> None:
    options = {"lock": "one", "arguments": [[1], {}]}
    first = digest_of(dump_thing(Local), options, Codec([code_extension()]))

    assert digest_of(dump_thing(Local), dict(options), Codec([code_extension()])) == first
    assert digest_of(dump_thing(Local), {**options, "lock": "each"}, Codec([code_extension()])) != first
    assert digest_of(dump_thing("math"), options, Codec([code_extension()])) != first
