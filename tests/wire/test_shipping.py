from __future__ import annotations

import ast
import functools
import importlib
import math
import operator
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle.cloudpickle as tracker
import numpy as np
import pytest
from drivers import Converter, Plain
from qcodes.instrument import Instrument
from qcodes.validators import Numbers

import instrumentserver
from instrumentserver import Server
from instrumentserver.errors import NotPortable, UsageError
from instrumentserver.wire.classes import find_class
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.shipping import code_extension, dump_class, load_class, ship_code, unship_code

DRIVER = """
from qcodes.instrument import Instrument

FACTOR = 3

def scaled(value):
    return FACTOR * value

class Reading(tuple):
    pass

class Dmm(Instrument):
    def read(self, value):
        return Reading([scaled(value)])
"""


def travel(shipped: Any) -> Any:
    """Return what arrives of a shipped class, in a process that has not made it."""
    tracker._DYNAMIC_CLASS_TRACKER_BY_ID.clear()
    tracker._DYNAMIC_CLASS_TRACKER_BY_CLASS.clear()
    codec = Codec([code_extension()])
    return codec.decode(codec.encode(shipped)[0])


@pytest.fixture
def cell() -> Iterator[Callable[[str], ModuleType]]:
    """Return a function that runs code as a notebook's cell: in a module that has no file."""
    module = ModuleType("cell_of_a_notebook")
    sys.modules[module.__name__] = module

    def run(code: str) -> ModuleType:
        exec(code, vars(module))
        return module

    yield run
    sys.modules.pop(module.__name__, None)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder that modules can be imported from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("lab_"):
            del sys.modules[name]


def write_module(folder: Path, name: str, code: str = DRIVER) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(code)
    importlib.invalidate_caches()
    return importlib.import_module(name)


# By name


@pytest.mark.parametrize("cls", [Plain, Instrument, dict])
def test_a_class_of_a_module_goes_by_name(cls: type) -> None:
    assert "payload" not in dump_class(cls)


@pytest.mark.parametrize("cls", [Plain, Instrument])
def test_a_class_of_a_module_is_the_same_class(cls: type) -> None:
    assert load_class(travel(dump_class(cls))) is cls


def test_a_class_inside_a_class_goes_by_name(lab: Path) -> None:
    module = write_module(lab, "lab_inside", "class Outer:\n    class Inner:\n        pass\n")

    shipped = travel(dump_class(module.Outer.Inner))

    assert "payload" not in shipped
    assert load_class(shipped) is module.Outer.Inner


def test_a_module_is_imported_where_it_is_not_yet(lab: Path) -> None:
    shipped = travel(dump_class(write_module(lab, "lab_fresh").Dmm))
    del sys.modules["lab_fresh"]

    cls = load_class(shipped)

    assert cls is sys.modules["lab_fresh"].Dmm  # type: ignore[attr-defined]


def test_a_module_is_imported_from_the_folders_of_the_client(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = travel(dump_class(write_module(lab, "lab_folder").Dmm))
    del sys.modules["lab_folder"]
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder != str(lab)])

    assert load_class(shipped).__name__ == "Dmm"


def test_folders_of_the_client_come_after_those_of_the_server(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = travel(dump_class(write_module(lab, "lab_order").Dmm))
    monkeypatch.setattr(sys, "path", ["/the/server's"])

    load_class(shipped)

    assert sys.path[0] == "/the/server's"
    assert sys.path.count(str(lab)) == 1


def test_folders_are_sent_as_absolute_paths(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)
    monkeypatch.setattr(sys, "path", ["", *sys.path])

    assert all(os.path.isabs(folder) for folder in dump_class(Plain)["sys_path"])


def test_a_module_that_the_server_does_not_have_is_an_import_error(lab: Path) -> None:
    shipped = travel(dump_class(write_module(lab, "lab_gone").Dmm))
    del sys.modules["lab_gone"]
    (lab / "lab_gone.py").unlink()
    importlib.invalidate_caches()

    with pytest.raises(ImportError, match="lab_gone"):
        load_class(shipped)


def test_another_module_of_the_same_name_is_refused(lab: Path) -> None:
    shipped = travel(dump_class(write_module(lab, "lab_twice").Dmm))
    shipped["file"] = "/elsewhere/lab_twice.py"

    with pytest.raises(UsageError, match=r"lab_twice from .* but yours is /elsewhere"):
        load_class(shipped)


def test_a_module_that_has_changed_since_it_was_imported_is_told(lab: Path) -> None:
    shipped = travel(dump_class(write_module(lab, "lab_changed").Dmm))
    load_class(shipped)
    path = lab / "lab_changed.py"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))

    with pytest.warns(UserWarning, match="has changed since the server imported it"):
        load_class(shipped)


# By value


def test_a_class_of_a_notebook_goes_by_value(cell: Callable[[str], ModuleType]) -> None:
    assert "payload" in dump_class(cell(DRIVER).Dmm)


def test_a_class_of_the_script_goes_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    scope = {"__name__": "__main__"}
    exec(DRIVER, scope)
    monkeypatch.setattr(sys.modules["__main__"], "Dmm", scope["Dmm"], raising=False)

    assert "payload" in dump_class(scope["Dmm"])  # type: ignore[arg-type]


def test_a_module_that_only_this_process_could_import_goes_by_value(lab: Path) -> None:
    module = write_module(lab, "lab_hidden")
    (lab / "lab_hidden.py").unlink()
    importlib.invalidate_caches()

    assert "payload" in dump_class(module.Dmm)


def test_a_class_by_value_brings_what_its_functions_use(cell: Callable[[str], ModuleType]) -> None:
    shipped = travel(dump_class(cell(DRIVER).Dmm))
    del sys.modules["cell_of_a_notebook"]

    dmm: Any = load_class(shipped)("dmm_by_value")

    assert dmm.read(2) == (6,)


def test_a_class_by_value_is_of_the_base_classes_that_are_here(cell: Callable[[str], ModuleType]) -> None:
    shipped = travel(dump_class(cell(DRIVER).Dmm))

    assert load_class(shipped).__bases__ == (Instrument,)


def test_a_class_by_value_is_the_same_class_each_time(cell: Callable[[str], ModuleType]) -> None:
    shipped = travel(dump_class(cell(DRIVER).Dmm))

    assert load_class(shipped) is load_class(travel(shipped))


def test_a_class_by_value_that_has_changed_is_another_class(cell: Callable[[str], ModuleType]) -> None:
    old = load_class(travel(dump_class(cell(DRIVER).Dmm)))

    new = load_class(travel(dump_class(cell(DRIVER.replace("scaled(value)]", "-value]")).Dmm)))

    assert new is not old


def test_a_class_by_value_can_be_found_by_its_name(cell: Callable[[str], ModuleType]) -> None:
    shipped = travel(dump_class(cell(DRIVER).Dmm))
    del sys.modules["cell_of_a_notebook"]

    cls = load_class(shipped)

    assert find_class("cell_of_a_notebook", "Dmm") is cls


def test_the_classes_beside_a_class_by_value_can_be_found(cell: Callable[[str], ModuleType]) -> None:
    shipped = travel(dump_class(cell(DRIVER).Dmm))
    del sys.modules["cell_of_a_notebook"]

    load_class(shipped)

    assert find_class("cell_of_a_notebook", "Reading") is not None


def test_living_instruments_stay_behind(cell: Callable[[str], ModuleType]) -> None:
    cls = cell(DRIVER).Dmm
    living = cls("stays")
    living.handle = (line for line in ())  # A generator cannot be pickled.

    loaded: Any = load_class(travel(dump_class(cls)))

    assert loaded.instances() == []
    assert cls.instances() == [living]


def test_a_class_that_uses_what_cannot_be_pickled_is_refused_by_name(
    cell: Callable[[str], ModuleType],
) -> None:
    code = "line = (i for i in ())\nclass Dmm:\n    def read(self):\n        return next(line)\n"

    with pytest.raises(
        NotPortable, match=r"class Dmm cannot travel .*generator.*put the class into a module file"
    ):
        dump_class(cell(code).Dmm)


def test_a_refused_class_leaves_its_module_where_it_was(cell: Callable[[str], ModuleType]) -> None:
    module = cell("line = (i for i in ())\nclass Dmm:\n    def read(self):\n        return next(line)\n")

    with pytest.raises(NotPortable):
        dump_class(module.Dmm)

    assert sys.modules[module.__name__] is module


# Nothing else is pickled


def test_only_class_shipping_knows_how_to_pickle() -> None:
    root = Path(instrumentserver.__file__).parent
    picklers = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if {"pickle", "cloudpickle", "dill", "marshal", "shelve"} & set(imported(node))
    }

    assert picklers == {"wire/shipping.py"}


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    return (
        [(node.module or "").partition(".")[0]] if isinstance(node, ast.ImportFrom) and not node.level else []
    )


# Functions and classes as arguments of constructors


OFFSET = 3


def shifted(value: float, by: float = 1) -> float:
    """Return the sum with a global of this module."""
    return value + by + OFFSET


class Scaler:
    """A class with a method that may be sent by itself."""

    factor = 5

    def __init__(self, factor: float = 2) -> None:
        self.factor = factor

    def scale(self, value: float) -> float:
        """Return the product."""
        return self.factor * value

    @classmethod
    def usual(cls, value: float) -> float:
        """Return the product with the usual factor."""
        return cls.factor * value


def sent(value: Any) -> Any:
    """Return what arrives of an argument."""
    return unship_code(travel(ship_code(value)))


def closure(by: float) -> Callable[[float], float]:
    return lambda value: value + by


CODE: list[tuple[Any, tuple[Any, ...], Any]] = [
    (lambda value: value * OFFSET, (2,), 6),
    (closure(4), (2,), 6),
    (shifted, (2,), 6),
    (functools.partial(shifted, by=3), (2,), 8),
    (functools.partial(functools.partial(shifted, 2), by=5), (), 10),
    (Scaler(3).scale, (2,), 6),
    (Scaler.usual, (2,), 10),
    (math.floor, (2.5,), 2),
    (len, ([1, 2],), 2),
    ([3, 4].count, (4,), 1),
    (operator.itemgetter(1), ([1, 2],), 2),
    (operator.attrgetter("real"), (1 + 2j,), 1.0),
    (float, ("2.5",), 2.5),
    (np.sin, (0.0,), 0.0),
    (np.mean, ([1.0, 2.0],), 1.5),
    (str.upper, ("a",), "A"),
    (operator.methodcaller("upper"), ("a",), "A"),
    (functools.cache(shifted), (2,), 6),
]


@pytest.mark.parametrize(
    ("code", "arguments", "result"),
    CODE,
    ids=[getattr(code, "__name__", str(code)[:30]) for code, _, _ in CODE],
)
def test_code_arrives_and_does_what_it_did(code: Any, arguments: tuple[Any, ...], result: Any) -> None:
    assert sent(code)(*arguments) == result


def test_classes_arrive_and_make_the_same_objects() -> None:
    class Local(Scaler):
        def scale(self, value: float) -> float:
            return super().scale(value) + OFFSET

    assert sent(Local)(2).scale(2) == 7
    assert sent(Numbers) is Numbers
    assert sent(Plain) is Plain


def test_code_arrives_at_any_depth_in_the_containers_it_was_in() -> None:
    arrived = sent({"a": [1, (shifted, {"b": [[float]]})], 3: "text"})
    assert arrived["a"][0] == 1
    assert type(arrived["a"][1]) is tuple
    assert arrived["a"][1][0](0) == 4
    assert arrived["a"][1][1]["b"] == [[float]]
    assert arrived[3] == "text"


@pytest.mark.parametrize(
    "value", [{"a": [1, {"b": (2,)}]}, [np.zeros(3), {1}], (), {}, "text", None, 2.5], ids=repr
)
def test_what_holds_no_code_stays_the_same_object(value: Any) -> None:
    assert ship_code(value) is value
    assert unship_code(value) is value


def test_parts_without_code_stay_the_same_objects_beside_code() -> None:
    backend = {"volts": [1]}
    shipped = ship_code({"backend": backend, "convert": shifted})
    assert shipped["backend"] is backend
    assert unship_code(shipped)["backend"] is backend


def test_functions_of_one_argument_share_what_they_close_over() -> None:
    state: list[int] = []

    def put(value: int) -> None:
        state.append(value)

    def both(value: int) -> list[int]:
        put(value)
        return state

    arrived = sent(both)
    assert (arrived(1), arrived(2), state) == ([1, 2], [1, 2], [])


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            lambda generator=(number for number in ()): generator,
            r"<lambda>.*generator.*put it into a module file",
        ),
        (functools.partial(sum, (number for number in ())), r"partial.*put it into a module file"),
        ((number for number in ()).send, r"send.*generator.*put it into a module file"),
    ],
    ids=["default", "partial", "method"],
)
def test_code_that_cannot_travel_is_refused_with_the_remedy(code: Any, says: str) -> None:
    with pytest.raises(NotPortable, match=f"(?s){says}"):
        ship_code([{"deep": code}])


# On servers


def test_constructors_get_code_by_position_and_by_keyword_at_any_depth(server: Server) -> None:
    for number in (0, 1, 3, 5, 12):
        code, arguments, result = CODE[number]
        converter = server.create(Converter, f"c{number}", code, more={"a": [(code, 1)], "b": code})
        assert converter.use(*arguments) == result
        assert converter.use_at("more['a'][0][0]", *arguments) == result
        assert converter.use_at("more['b']", *arguments) == result
        converter.restart()
        assert converter.use(*arguments) == converter.use_at("more['a'][0][0]", *arguments) == result


def test_code_and_handles_go_together(server: Server) -> None:
    plain = server.create(Plain, "plain", offset=2)
    converter = server.create(
        Converter, "converter", lambda part: part.x() + 1, more=[lambda part: part is plain]
    )
    assert converter.use(plain) == 3


def test_a_refused_closure_leaves_nothing_on_the_server(server: Server) -> None:
    generator = (number for number in range(3))
    with pytest.raises(NotPortable, match=r"(?s)<lambda>.*generator.*module file that the server can import"):
        server.create(Converter, "converter", more={"a": lambda: generator})
    assert list(server.instruments) == []
    assert server.create(Converter, "converter", abs).use(-1) == 1


def test_code_is_taken_for_constructors_alone_and_called_here_by_methods(server: Server) -> None:
    converter = server.create(Converter, "converter", lambda function: (os.getpid(), function()))
    assert converter.use(os.getpid) == (server.pid, os.getpid())
    with pytest.raises(NotPortable, match="code stays where it is"):
        converter.setattr("anything", lambda: 1)


class NameLast(instrumentserver.Instrument):
    """An instrument whose constructor takes other arguments before the name."""

    def __init__(
        self, convert: Callable[[float], float], offset: float, name: str, gain: float = 1.0
    ) -> None:
        super().__init__(name)
        self._convert = convert
        self.settings = [offset, gain]

    def use(self, value: float) -> float:
        """Return the converted value, with offset and gain."""
        return self._convert(value) * self.settings[1] + self.settings[0]


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((abs, 1.0, "last"), {}),
    ((abs, 1.0, "last", 2.0), {}),
    ((abs, 1.0), {"name": "last"}),
    ((abs,), {"name": "last", "offset": 1.0}),
    ((), {"convert": abs, "offset": 1.0, "name": "last", "gain": 3.0}),
    ((lambda value: -value, 1.0, "last"), {"gain": 4.0}),
]


def test_a_name_need_not_be_the_first_argument(server: Server) -> None:
    for args, kwargs in CALLS:
        local = NameLast(*args, **kwargs)
        expected = local.settings, local.use(-2)
        local.close()
        last = NameLast(*args, **kwargs, server_name=server.name)
        assert last.name == "last"
        assert (last.settings, last.use(-2)) == expected
        last.restart()
        assert last.use(-2) == expected[1]
        last.close()
