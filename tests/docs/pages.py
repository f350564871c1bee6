"""Markdown pages whose Python blocks run: found, made into a script, and what they print compared.

A block is fenced with three backticks. The words behind ``python`` say how it runs; code hosts do not show them:

``python``
    runs, after those above it on the page.
``python raises``
    runs and raises; the error's class and message count as printed.
``python interrupt``
    is interrupted with Ctrl-C while a server works for it; only on pages that run in a kernel.
``python notebook=NAME``
    runs in another notebook, with a kernel of its own; only on pages that run in a kernel.
``python no-run: REASON``
    does not run, because it needs hardware or the like.

A ``text`` block that is the next fenced block after a ``python`` one is what that one prints; ``...`` in it
matches anything, and in a block ``text about`` each number may be up to twice or half as large.
A comment ``<!-- kernel: restart -->`` restarts the kernel at that place. A page with
``<!-- runs in: kernel -->`` runs in a Jupyter kernel, every other one as a script.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

__all__ = ["Block", "Page", "PageFailed", "compare", "read_page"]

MARK: Final = "\x1e"
"""Printed by a script at the end of each block."""

_FENCE: Final = re.compile(r"^(?P<indent> *)```(?P<info>.*)$")
_RESTART: Final = "<!-- kernel: restart -->"
_IN_KERNEL: Final = "<!-- runs in: kernel -->"
_NUMBER: Final = r"\d+(?:\.\d+)?"
_ESCAPED_NUMBER: Final = r"\d+(?:\\\.\d+)?"
_FLAGS: Final = re.compile(r"(raises|interrupt|notebook=\w+)?|no-run: .+")


class PageFailed(AssertionError):
    """A page does not do what it says; the message begins with page and line."""


@dataclass(frozen=True)
class Block:
    """One block of Python.

    Attributes:
        line: Line of the page on which its code begins, from 1.
        code: Its code, without the indentation of the fence.
        flag: The word behind ``python``; "restart" for a restart of the kernel, which has no code.
        expected: What it prints, None for anything.
        about: Whether the numbers in it are only about right.
    """

    line: int
    code: str
    flag: str = ""
    expected: str | None = None
    about: bool = False

    @property
    def runs(self) -> bool:
        """Whether it is code to run."""
        return self.flag != "restart" and not self.flag.startswith("no-run")


@dataclass(frozen=True)
class Page:
    """A page and its blocks, in order.

    Attributes:
        name: Path below the folder of the project, for messages.
        blocks: Its blocks of Python, restarts of the kernel among them.
        in_kernel: Whether it runs in a Jupyter kernel, not as a script.
    """

    name: str
    blocks: list[Block]
    in_kernel: bool

    @property
    def runs(self) -> bool:
        """Whether there is anything to run."""
        return any(block.runs for block in self.blocks)

    def script(self) -> str:
        """Return the page as a script in which every line of code has the number that it has on the page.

        A mark is printed at the end of each block that runs.
        """
        lines: dict[int, str] = {}
        for block in filter(lambda block: block.runs, self.blocks):
            indent, after = "", [f"print({MARK!r}, flush=True)"]
            if block.flag == "raises":
                indent = "    "
                told = "*__import__('traceback').format_exception_only(error), sep='', end=''"
                after = [
                    f"except Exception as error: print({told}); {after[0]}",
                    "else: raise SystemExit('nothing was raised')",
                ]
                lines[block.line - 1] = "try:"
            code = [indent + line if line else "" for line in block.code.splitlines()]
            for number, line in enumerate([*code, *after], block.line):
                assert number not in lines, f"{self.name}:{number}: leave an empty line before the next block"
                lines[number] = line
        return "\n".join(lines.get(number, "") for number in range(1, max(lines) + 1)) + "\n"


def read_page(path: Path, name: str) -> Page:
    """Return the page in a Markdown file.

    Args:
        path: The file.
        name: What messages call it.

    Raises:
        PageFailed: A fence is not closed, or says what the runner does not know.
    """
    lines = path.read_text("utf-8").splitlines()
    blocks: list[Block] = []
    follows_python = False
    number = 0
    while number < len(lines):
        number += 1
        line = lines[number - 1]
        if line.strip() == _RESTART:
            blocks.append(Block(number, "", "restart"))
        fence = _FENCE.match(line)
        if fence is None:
            continue
        body, begin = [], number + 1
        while number < len(lines) and lines[number].strip() != "```":
            body.append(lines[number])
            number += 1
        if number == len(lines):
            raise PageFailed(f"{name}:{begin - 1}: this fence is not closed")
        number += 1
        language, _, flag = fence["info"].strip().partition(" ")
        text = textwrap.dedent("\n".join(body))
        if language == "python":
            if not _FLAGS.fullmatch(flag):
                raise PageFailed(
                    f"{name}:{begin - 1}: {flag!r} says nothing to the runner; see tests/docs/pages.py"
                )
            blocks.append(Block(begin, text, flag))
        elif language == "text" and follows_python and blocks[-1].runs:
            blocks[-1] = replace(blocks[-1], expected=text, about=flag == "about")
        follows_python = language == "python"
    return Page(name, blocks, any(line.strip() == _IN_KERNEL for line in lines))


def compare(page: Page, block: Block, printed: str) -> None:
    """Make sure that a block printed what the page says.

    Raises:
        PageFailed: It did not.
    """
    if block.expected is None:
        return
    expected, got = _tidy(block.expected), _tidy(printed)
    pattern = ".*?".join(re.escape(part) for part in expected.split("..."))
    numbers = re.findall(_NUMBER, expected) if block.about else []
    if numbers:
        pattern = re.sub(_ESCAPED_NUMBER, lambda _: f"({_NUMBER})", pattern)
    found = re.fullmatch(pattern, got, re.DOTALL)
    if found is None or not all(_is_about(*pair) for pair in zip(numbers, found.groups(), strict=True)):
        raise PageFailed(
            f"{page.name}:{block.line}: this block printed\n{textwrap.indent(got, '    ')}\n"
            f"and the page says\n{textwrap.indent(expected, '    ')}"
        )


def _is_about(expected: str, got: str) -> bool:
    return 0.5 * float(expected) <= float(got) <= 2 * float(expected)


def _tidy(text: str) -> str:
    """Return a text without blanks at the ends of its lines and without empty lines around it."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")
