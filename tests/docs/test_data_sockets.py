"""The page of data sockets has all names, and their signatures as they are."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Final

import pytest

from instrumentserver import sockets

PAGE: Final = (Path(__file__).parents[2] / "docs" / "reference" / "data-sockets.md").read_text("utf-8")
CALLS: Final = [
    text
    for text in re.findall(r"`(\w+\([^`]*\))`", PAGE)
    if text.partition("(")[0] in sockets.__all__ and "..." not in text and "(host, port)" not in text
]


def test_every_public_name_is_on_the_page() -> None:
    assert [name for name in sockets.__all__ if not re.search(rf"\b{name}\b", PAGE)] == []


@pytest.mark.parametrize("text", CALLS, ids=lambda text: text.partition("(")[0])
def test_a_signature_on_the_page_is_the_signature(text: str) -> None:
    [definition] = ast.parse(f"def {text}: pass").body
    assert isinstance(definition, ast.FunctionDef)
    names = [argument.arg for argument in definition.args.args]
    values = [ast.literal_eval(value) for value in definition.args.defaults]
    told = [*[inspect.Parameter.empty] * (len(names) - len(values)), *values]
    found = getattr(sockets, definition.name)
    # The signature of a class may be its metaclass's.
    parameters = list(
        inspect.signature(found.__init__ if isinstance(found, type) else found).parameters.values()
    )
    positional = [
        each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD and each.name != "self"
    ]
    assert [
        (each.name, each.default) for each in positional if each.name != "host" or "host" in names
    ] == list(zip(names, told, strict=True))
