"""The tree of errors."""

from __future__ import annotations

import builtins
import copy
import pickle
import re

import pytest

from instrumentserver import errors
from instrumentserver.errors import InstrumentServerError, RemoteError

DRAWN = re.findall(r"^[ │├└─]+(\w+)(?: \((\w+)\))?(?: {2}.*)?$", errors.__doc__ or "", re.MULTILINE)
NAMES = [name for name in errors.__all__ if name != "InstrumentServerError"]


def test_the_drawing_has_every_class() -> None:
    assert sorted(name for name, _ in DRAWN) == sorted(errors.__all__)


@pytest.mark.parametrize(("name", "built_in"), [drawn for drawn in DRAWN if drawn[1]])
def test_a_class_is_of_the_built_in_class_that_is_drawn(name: str, built_in: str) -> None:
    assert issubclass(getattr(errors, name), getattr(builtins, built_in))


@pytest.mark.parametrize("name", NAMES)
def test_one_class_catches_all(name: str) -> None:
    assert issubclass(getattr(errors, name), InstrumentServerError)


def test_what_the_user_did_and_what_the_peer_did_are_different_classes() -> None:
    assert not issubclass(errors.UsageError, errors.ProtocolError)
    assert not issubclass(errors.ProtocolError, errors.UsageError | errors.RemoteError)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RemoteError("no answer", "vendor.sdk.Error"), "vendor.sdk.Error: no answer"),
        (RemoteError("no answer"), "no answer"),
        (RemoteError(), ""),
    ],
)
def test_a_remote_error_says_its_class(error: RemoteError, text: str) -> None:
    assert str(error) == text


def test_a_remote_error_that_qcodes_has_extended_says_the_same() -> None:
    error = RemoteError("no answer", "vendor.Error")
    error.args = (*error.args, "getting dac_v")

    assert str(error) == "vendor.Error: no answer"


@pytest.mark.parametrize(
    "again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"]
)
@pytest.mark.parametrize("name", NAMES)
def test_an_error_can_go_to_a_worker_and_back(name: str, again: object) -> None:
    error = getattr(errors, name)("text")

    assert callable(again)
    assert (type(again(error)), str(again(error))) == (type(error), "text")
