"""The page of names has them all."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Final

import instrumentserver
from instrumentserver import Server, errors

PAGE: Final = (Path(__file__).parents[2] / "docs" / "reference" / "names.md").read_text("utf-8")


def test_every_public_name_is_on_the_page() -> None:
    assert [name for name in instrumentserver.__all__ if not re.search(rf"\b{name}\b", PAGE)] == []


def test_every_part_of_a_server_handle_on_the_page_is_there(server: Server) -> None:
    table = PAGE.partition("| of a `Server` | |")[2].partition("\n\n")[0]
    cells = "".join(re.findall(r"^\| (.+?) \|", table, re.MULTILINE))
    names = re.findall(r"`(\w+)", cells)
    assert len(names) >= 9
    assert [name for name in names if not hasattr(server, name)] == []


def test_the_tree_of_errors_is_that_of_the_module() -> None:
    assert errors.__doc__ is not None
    tree = errors.__doc__.partition("::\n\n")[2].partition("\n\nErrors")[0]
    assert textwrap.dedent(tree).strip() in PAGE


def test_every_key_of_the_status_is_on_the_page(server: Server) -> None:
    status = server.status()
    table = PAGE.partition("## What a server says of itself")[2]
    keys = [*status, *status["clients"][0]]
    assert [key for key in keys if f"`{key}`" not in table] == []
