"""The code of the documentation runs, prints what the pages say, and the links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from .pages import Page, PageFailed, read_page
from .running import run_page, run_together

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted((ROOT / "docs").rglob("*.md"))
READMES: Final = [ROOT / "README.md", ROOT / "meta" / "README.md"]


def name_of(path: Path) -> str:
    """Return the path of a page below the folder of the project."""
    return path.relative_to(ROOT).as_posix()


# The lines of the first README are run by tests/test_public.py.
RUNNING: Final = [page for path in [READMES[1], *PAGES] if (page := read_page(path, name_of(path))).runs]
ALONE: Final = [page for page in RUNNING if page.name.startswith(("docs/tutorials/", "meta/"))]
OTHERS: Final = [page for page in RUNNING if page not in ALONE]


@pytest.mark.parametrize("path", [*PAGES, *READMES], ids=name_of)
def test_blocks_that_do_not_run_are_python(path: Path) -> None:
    for block in read_page(path, name_of(path)).blocks:
        compile(block.code, f"{path}:{block.line}", "exec")


@pytest.mark.slow
@pytest.mark.parametrize("page", ALONE, ids=lambda page: page.name)
def test_page_does_what_it_says_in_a_fresh_process(page: Page, tmp_path: Path) -> None:
    failure = ""
    try:
        run_page(page, tmp_path)
    except PageFailed as error:
        failure = str(error)
    if failure:
        pytest.fail(failure, pytrace=False)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, own_directory: str) -> dict[str, str]:
    """Return what is wrong with each page of how-to, reference and explanation; one process saves six starts."""
    return run_together(OTHERS, tmp_path_factory.mktemp("pages"))


@pytest.mark.slow
@pytest.mark.parametrize("page", OTHERS, ids=lambda page: page.name)
def test_page_does_what_it_says(page: Page, outcomes: dict[str, str]) -> None:
    if outcomes[page.name]:
        pytest.fail(outcomes[page.name], pytrace=False)


@pytest.mark.parametrize("path", [*PAGES, *READMES], ids=name_of)
def test_links_lead_to_files_and_headings(path: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, heading = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), f"{name_of(path)} links to {target}, and there is no such file"
        if heading:
            assert heading in _anchors(found), (
                f"{name_of(path)} links to {target}, and there is no such heading"
            )


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {
        (index.parent / target).resolve()
        for target in re.findall(r"\]\(([^)#\s]+)", index.read_text("utf-8"))
    }
    assert [name_of(path) for path in PAGES if path not in linked and path != index] == []


def _anchors(path: Path) -> set[str]:
    """Return the anchors that code hosts give to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
