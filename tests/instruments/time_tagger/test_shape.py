"""The simulated SDK has the names, parameters and numbers of the real one, where that is installed."""

from __future__ import annotations

import inspect
import warnings
from enum import Enum
from types import ModuleType
from typing import Any

import pytest

from instruments import time_tagger as TT

CLASSES = [name for name in TT.__all__ if inspect.isclass(getattr(TT, name))]
FUNCTIONS = [name for name in TT.__all__ if inspect.isfunction(getattr(TT, name))]


@pytest.fixture(scope="module")
def real() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found: ModuleType = pytest.importorskip("Swabian.TimeTagger", reason="the real SDK is not installed")
    return found


def parameters(function: Any) -> list[tuple[str, object]] | None:
    """Names and defaults of the parameters, None where the real SDK hides them behind overloads."""
    found = list(inspect.signature(function).parameters.values())
    if any(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in found):
        return None
    return [(each.name, each.default) for each in found]


def test_classes_have_the_methods_of_the_real_ones(real: ModuleType) -> None:
    for name in CLASSES:
        mine, theirs = getattr(TT, name), getattr(real, name)
        for member in (each for each in dir(mine) if not each.startswith("_") and not issubclass(mine, Enum)):
            assert hasattr(theirs, member), f"{name}.{member}"
            wanted = parameters(getattr(theirs, member))
            assert wanted is None or parameters(getattr(mine, member)) == wanted, f"{name}.{member}"


def test_enums_have_the_values_of_the_real_ones(real: ModuleType) -> None:
    for name in (each for each in CLASSES if issubclass(getattr(TT, each), Enum)):
        for member, value in getattr(TT, name).__members__.items():
            theirs = getattr(real, f"{name}_{member}", None)
            assert int(getattr(getattr(real, name), member) if theirs is None else theirs) == int(value)


def test_functions_have_the_parameters_of_the_real_ones(real: ModuleType) -> None:
    for name in FUNCTIONS:
        wanted = parameters(getattr(real, name))
        assert wanted is None or parameters(getattr(TT, name)) == wanted, name


def test_constants_have_the_values_of_the_real_ones(real: ModuleType) -> None:
    for name in ("CHANNEL_UNUSED", "LOGGER_ERROR", "LOGGER_INFO", "LOGGER_WARNING"):
        assert getattr(TT, name) == getattr(real, name)
