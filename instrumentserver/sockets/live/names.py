"""Names of hosts and codenames as Python and QCoDeS can write them: identifiers."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Container

__all__ = ["identifier"]


def identifier(name: str, prefix: str, taken: Container[str]) -> str:
    """Return the identifier that stands for a name; the same name always has the same one.

    What an identifier cannot have becomes ``_``: ``lab-pc1.example.org`` is ``lab_pc1_example_org``. One that would
    begin with a digit or an underscore gets the prefix: ``10.0.0.5`` is ``host_10_0_0_5``. One that is a word of
    Python, or taken, gets an underscore at its end: ``class_``, ``name_``.

    Args:
        name: The name.
        prefix: What stands before a name that cannot begin an identifier, without the underscore.
        taken: Names that mean something else already.
    """
    text = unicodedata.normalize("NFKC", name)
    text = "".join(character if f"a{character}".isidentifier() else "_" for character in text)
    if not text[:1].isidentifier() or text.startswith("_"):
        text = f"{prefix}_{text}"
    while keyword.iskeyword(text) or text in taken:
        text += "_"
    return text
