"""Which names of a module are its own: never what it imported."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import sdk_sample

from instrumentserver.server.objects.own_names import is_public, own_names

Write = Callable[..., ModuleType]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Return what writes a package ``lab`` from the sources of its modules, and imports one of them."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(wanted: str, **sources: str) -> ModuleType:
        package = tmp_path / "lab"
        package.mkdir(exist_ok=True)
        for name, source in {"__init__": "", **sources}.items():
            (package / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        return importlib.import_module(wanted)

    yield make
    for name in [name for name in sys.modules if name.partition(".")[0] == "lab"]:
        del sys.modules[name]


def test_a_module_offers_its_functions_classes_enums_and_values() -> None:
    assert own_names(sdk_sample) >= {
        *("createDevice", "Device", "Resolution", "Edge", "CHANNEL_UNUSED", "settings", "opened", "Span"),
        *("DeviceError", "DEFAULT_RANGES"),
    }


@pytest.mark.parametrize(
    "name",
    [
        *("os", "subprocess", "np", "json", "threading", "pi", "sqrt", "glue", "partial", "OrderedDict"),
        *("Any", "NamedTuple", "annotations", "Callable", "array", "e", "inf", "newaxis"),
    ],
)
def test_what_a_module_imported_is_not_its_own(name: str) -> None:
    assert name in vars(sdk_sample)
    assert name not in own_names(sdk_sample)


@pytest.mark.parametrize("name", ["shell", "run", "quick", "log"])
def test_a_name_for_something_of_another_package_is_not_its_own(name: str) -> None:
    assert name not in own_names(sdk_sample)


@pytest.mark.parametrize("name", ["_secret", "_hidden", "__name__", "__builtins__", "__file__"])
def test_names_with_an_underscore_are_nobody_s(name: str) -> None:
    assert name not in own_names(sdk_sample)


def test_all_takes_names_away(write: Write) -> None:
    module = write("lab.sdk", sdk="__all__ = ['f']\ndef f(): pass\ndef g(): pass\n")
    assert own_names(module) == {"f"}


def test_all_adds_no_names(write: Write) -> None:
    imports = "import os\nfrom math import sqrt\nfrom subprocess import run\n"
    exported = "__all__ = ['os', 'sqrt', 'run', '_f', 'f']\n"
    module = write("lab.sdk", sdk=f"{imports}{exported}def f(): pass\ndef _f(): pass\n")
    assert own_names(module) == {"f"}


def test_a_package_offers_what_it_imports_from_below(write: Write) -> None:
    module = write(
        "lab",
        __init__="from .parts import f, VALUE\nfrom . import parts\n",
        parts="VALUE = 3\ndef f(): pass\n",
    )
    assert own_names(module) == {"f", "VALUE"}


def test_a_module_does_not_offer_what_it_merely_uses_of_its_package(write: Write) -> None:
    module = write("lab.sdk", sdk="from .secrets import token, KEY\n", secrets="KEY = 1\ndef token(): pass\n")
    assert own_names(module) == set()


@pytest.mark.parametrize(
    "source",
    ["from .parts import *\n", "from .parts import f as f\n", "from .parts import f\n__all__ = ['f']\n"],
)
def test_a_module_offers_what_it_passes_on_of_its_package(write: Write, source: str) -> None:
    module = write("lab.sdk", sdk=source, parts="import os\nfrom math import pi\ndef f(): pass\n")
    assert own_names(module) == {"f"}


def test_a_star_import_of_a_star_import_is_followed(write: Write) -> None:
    module = write(
        "lab.sdk",
        sdk="from .a import *\n",
        a="from .b import *\n",
        b="from os import *\nLIMIT = 1\ndef f(): pass\n",
    )
    assert own_names(module) == {"f", "LIMIT"}


def test_modules_that_import_each_other_entirely_are_not_followed_for_ever(write: Write) -> None:
    module = write("lab.a", a="def f(): pass\nfrom .b import *\n", b="from .a import *\ndef g(): pass\n")
    assert own_names(module) == {"f", "g"}


def test_a_value_made_anew_in_place_of_an_import_counts_as_imported(write: Write) -> None:
    module = write("lab.sdk", sdk="try:\n    from math import pi\nexcept ImportError:\n    pi = 3\n")
    assert own_names(module) == set()


def test_a_function_that_stands_in_for_an_import_is_own(write: Write) -> None:
    module = write(
        "lab.sdk",
        sdk="try:\n    from nothing_of_this_name import f\nexcept ImportError:\n    def f(): pass\n",
    )
    assert own_names(module) == {"f"}


def test_a_decorated_function_is_own_whatever_the_decorator_makes_of_it(write: Write) -> None:
    imports = "from functools import lru_cache\nimport json\n"
    module = write(
        "lab.sdk", sdk=f"{imports}@lru_cache\ndef f(): pass\n@lambda f: json.dumps\ndef g(): pass\n"
    )
    assert own_names(module) == {"f", "g"}


def test_names_of_loops_and_conditions_are_own_and_those_of_comprehensions_are_not(write: Write) -> None:
    module = write("lab.sdk", sdk="for x in (1, 2): y = x\nif y: z = [a for a in (1,)]\n")
    assert own_names(module) == {"x", "y", "z"}


def test_a_module_without_source_offers_functions_by_their_module_and_values() -> None:
    import math

    assert own_names(math) >= {"sqrt", "pi", "inf"}


def test_a_module_without_source_offers_nothing_of_others(write: Write) -> None:
    import os

    module = write("lab.sdk", sdk="def f(): pass\nVALUE = 1\n")
    bare = ModuleType("lab.native")
    vars(bare).update(f=module.f, system=os.system, Popen=os.popen, path=os.path, VALUE=1, lock=object())
    assert own_names(bare) == {"f", "VALUE"}


@pytest.mark.parametrize(
    "name", ["a.b", "a[0]", "_a", "__class__", "", "a b", "1a", "a()", None, 3, b"a", ["a"]]
)
def test_only_one_plain_word_is_a_public_name(name: object) -> None:
    assert not is_public(name)
