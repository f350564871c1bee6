"""The runner of the documentation finds what is wrong with a page, and says where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from .pages import Page, PageFailed, read_page
from .running import run_page, run_together

Make = Callable[[str], Page]


@pytest.fixture
def page_of(tmp_path: Path) -> Make:
    """Return what makes a page of a text in which ``~~~`` stands for a fence."""

    def make(text: str) -> Page:
        path = tmp_path / "page.md"
        path.write_text(text.replace("~~~", "```"), "utf-8")
        return read_page(path, "docs/page.md")

    return make


def test_blocks_have_code_flag_line_and_what_they_print(page_of: Make) -> None:
    page = page_of(
        "# Page\n\n~~~python\nx = 1\n~~~\n\n~~~python raises\nx.y\n~~~\nIt says:\n~~~text\nno\n~~~\n"
    )
    assert [(block.line, block.code, block.flag, block.expected) for block in page.blocks] == [
        (4, "x = 1", "", None),
        (8, "x.y", "raises", "no"),
    ]


def test_a_script_has_every_line_where_the_page_has_it(page_of: Make) -> None:
    page = page_of("# Page\n\n- item\n\n  ~~~python\n  x = 1\n  ~~~\n\n~~~python\ny = 2\n~~~\n")
    lines = page.script().splitlines()
    assert (lines[5], lines[9]) == ("x = 1", "y = 2")


def test_a_text_block_that_does_not_follow_a_python_block_is_not_compared(page_of: Make) -> None:
    page = page_of("~~~python\nx = 1\n~~~\n\n~~~sh\nls\n~~~\n\n~~~text\nfile\n~~~\n")
    assert page.blocks[0].expected is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("~~~python\nx = 1\n", r"docs/page.md:1: this fence is not closed"),
        ("\n~~~python loudly\nx = 1\n~~~\n", r"docs/page.md:2: 'loudly' says nothing to the runner"),
        ("~~~python no-run:\nx = 1\n~~~\n", r"docs/page.md:1: 'no-run:' says nothing"),
    ],
)
def test_a_malformed_page_is_refused_with_its_line(page_of: Make, text: str, message: str) -> None:
    with pytest.raises(PageFailed, match=message):
        page_of(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "~~~python\nprint(1)\n~~~\n~~~text\n2\n~~~\n",
            r"docs/page.md:2: this block printed\n    1\n.*\n    2$",
        ),
        (
            "\n\n~~~python\nx = 1\n1 / 0\n~~~\n",
            r"(?s)docs/page.md:4: this block failed.*line 5.*ZeroDivisionError",
        ),
        ("~~~python raises\nx = 1\n~~~\n", r"docs/page.md:2: this block failed\nnothing was raised"),
        (
            "~~~python\nimport atexit, os\natexit.register(os._exit, 3)\n~~~\n",
            r"docs/page.md: .* exit code 3",
        ),
    ],
)
def test_a_page_that_does_something_else_fails_with_its_line(
    page_of: Make, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(PageFailed, match=message):
        run_page(page_of(text), tmp_path)


ABOUT = "~~~python\nprint('took {} s 3 times')\n~~~\n~~~text about\ntook 0.2 s...\n~~~\n"


@pytest.mark.parametrize("number", ["0.1", "0.2", "0.4"])
def test_numbers_that_are_about_right_pass(page_of: Make, tmp_path: Path, number: str) -> None:
    run_page(page_of(ABOUT.format(number)), tmp_path)


@pytest.mark.parametrize("number", ["0.09", "0.41", "long"])
def test_numbers_that_are_far_off_fail(page_of: Make, tmp_path: Path, number: str) -> None:
    with pytest.raises(PageFailed, match=f"took {number} s"):
        run_page(page_of(ABOUT.format(number)), tmp_path)


def test_a_page_that_does_what_it_says_passes(page_of: Make, tmp_path: Path) -> None:
    page = page_of(
        "~~~python\nprint('  one  ')\nprint('took 3 s')\n~~~\n~~~text\n  one\ntook ... s\n~~~\n"
        "~~~python no-run: needs hardware\n1 / 0\n~~~\n\n"
        "~~~python raises\nprint('so far')\nint('x')\n~~~\n~~~text\nso far\nValueError: ...\n~~~\n"
    )
    run_page(page, tmp_path)


def test_pages_run_together_and_each_is_told_what_is_wrong(page_of: Make, tmp_path: Path) -> None:
    right = page_of("~~~python\nx = 1\nprint(x, __name__)\n~~~\n~~~text\n1 __main__\n~~~\n")
    wrong = page_of("~~~python\nprint(x)\n~~~\n")
    pages = [replace(page, name=name) for page, name in ((right, "a.md"), (wrong, "b.md"), (right, "c.md"))]
    outcomes = run_together(pages, tmp_path)
    assert outcomes["a.md"] == ""
    assert outcomes["b.md"].startswith("b.md:2: this block failed")
    assert "NameError" in outcomes["b.md"]
    assert outcomes["c.md"] == "c.md: a page before this one failed"
