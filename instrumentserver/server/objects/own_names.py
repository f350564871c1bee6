"""Which names of a module are its own: what it defines, or its package for it, and nothing that it imported."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final, NamedTuple

from instrumentserver.wire.codec import Codec

__all__ = ["is_public", "is_value", "own_names", "top_package"]

_DEEPEST: Final = 8
"""Star imports that lead through more modules than this are not followed."""


class _Bound(NamedTuple):
    """What the statements of a module's source bind.

    Attributes:
        defined: Names of functions and classes.
        assigned: Names of everything else.
        imported: Names from other modules, and of which module; "" for modules.
        passed_on: Imported names that the source marks as its own, ``from x import y as y``.
        stars: Modules from which everything is imported.
    """

    defined: set[str]
    assigned: set[str]
    imported: dict[str, str]
    passed_on: set[str]
    stars: list[str]


def is_public(name: object) -> bool:
    """Return whether a name is one public name: no text with dots or indices, and no underscore at its beginning."""
    return type(name) is str and name.isidentifier() and not name.startswith("_")


def top_package(module_name: str) -> str:
    """Return the first part of a module's name."""
    return module_name.partition(".")[0]


def own_names(module: ModuleType) -> frozenset[str]:
    """Return the public names that a module offers as its own.

    That is what it defines: functions, classes, and values that travel or are of classes of its package. What it
    imports counts if it comes from below the module, where it is a package, or if it comes from the same top package
    and is passed on: by ``__all__``, by a star import, or by ``import y as y``. Modules never count. ``__all__``
    takes names away and adds none. Where there is no source, as in extension modules, functions and classes
    count by their ``__module__``, and plain values always.
    """
    return frozenset(_own_names(module, 0))


def _own_names(module: ModuleType, depth: int) -> Iterator[str]:
    exported = _exported(module)
    bound = _bound_names(module)
    from_stars = {} if bound is None else _from_stars(module, bound, depth)
    for name, value in vars(module).items():
        if not is_public(name) or isinstance(value, ModuleType):
            continue
        if exported is not None and name not in exported:
            continue
        if bound is None:
            is_own = _is_own_value(module, value)
        elif name in bound.imported:
            source = bound.imported[name]
            is_passed_on = name in bound.passed_on or exported is not None
            is_own = _is_near(module, source, is_passed_on=is_passed_on) and _is_own_value(module, value)
            # As in ``try: from fast import f`` and ``except ImportError: def f()``.
            is_own = is_own or getattr(value, "__module__", None) == module.__name__
        elif name in bound.defined:
            is_own = True
        elif name in from_stars and name not in bound.assigned:
            is_own = from_stars[name] and _is_own_value(module, value)
        else:
            is_own = _is_own_value(module, value)
        if is_own:
            yield name


def _exported(module: ModuleType) -> frozenset[str] | None:
    exported = vars(module).get("__all__")
    return None if exported is None else frozenset(name for name in exported if isinstance(name, str))


def _from_stars(module: ModuleType, bound: _Bound, depth: int) -> dict[str, bool]:
    """Return the names that came by star imports, and whether they are own names of a module of the same package."""
    found: dict[str, bool] = {}
    for name in bound.stars:
        source = sys.modules.get(name)
        if source is None:
            continue
        is_near = _is_near(module, name, is_passed_on=True) and depth < _DEEPEST
        own = frozenset(_own_names(source, depth + 1)) if is_near else frozenset()
        exported = _exported(source)
        names = vars(source).keys() if exported is None else exported
        found.update({each: each in own for each in names if is_public(each)})
    return found


def _is_near(module: ModuleType, source: str, *, is_passed_on: bool) -> bool:
    """Return whether what comes from a module counts as this one's own."""
    name = module.__name__
    if hasattr(module, "__path__") and source.startswith(f"{name}."):
        return True
    return is_passed_on and top_package(source) == top_package(name)


def _is_own_value(module: ModuleType, value: Any) -> bool:
    top = top_package(module.__name__)
    if isinstance(value, functools.partial):
        return _is_own_value(module, value.func)
    if isinstance(value, type) or inspect.isroutine(value):
        return top_package(getattr(value, "__module__", None) or "") == top
    return top_package(type(value).__module__) == top or is_value(value)


def is_value(value: Any) -> bool:
    """Return whether something travels as a value."""
    try:
        Codec().encode(value)
    except Exception:  # noqa: BLE001  (some objects of native modules answer every question with an error)
        return False
    return True


def _bound_names(module: ModuleType) -> _Bound | None:
    """Return what the source of a module binds, None if there is no source."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    bound = _Bound(set(), set(), {}, set(), [])
    package = module.__name__ if hasattr(module, "__path__") else module.__name__.rpartition(".")[0]
    _Binder(bound, package).visit(tree)
    return bound


class _Binder(ast.NodeVisitor):
    """Finds what a module's own statements bind; the bodies of functions and classes bind nothing there."""

    def __init__(self, bound: _Bound, package: str) -> None:
        self._bound = bound
        self._package = package

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Note a function."""
        self._bound.defined.add(node.name)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """Note an async function."""
        self._bound.defined.add(node.name)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Note a class."""
        self._bound.defined.add(node.name)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Pass over a lambda."""

    def visit_ListComp(self, node: ast.expr) -> None:
        """Pass over a comprehension, whose names are its own."""

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def visit_Name(self, node: ast.Name) -> None:
        """Note what is assigned."""
        if isinstance(node.ctx, ast.Store):
            self._bound.assigned.add(node.id)

    def visit_Import(self, node: ast.Import) -> None:
        """Note imported modules."""
        for alias in node.names:
            self._bound.imported[alias.asname or top_package(alias.name)] = ""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Note what is imported from a module."""
        source = node.module or ""
        if node.level:
            above = self._package.split(".")
            above = above[: len(above) - node.level + 1]
            source = ".".join([*above, source] if source else above)
        for alias in node.names:
            if alias.name == "*":
                self._bound.stars.append(source)
                continue
            self._bound.imported[alias.asname or alias.name] = source
            if alias.asname == alias.name:
                self._bound.passed_on.add(alias.name)
