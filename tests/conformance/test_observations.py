"""A proxy looks and acts like the instrument, in everything that QCoDeS lets a user see and do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from conformance.cases import CASES, VISA, Case
from conformance.looking import ASPECTS

pytestmark = pytest.mark.slow
_MOST_SHOWN = 20


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_proxy_shows_is_what_the_instrument_shows(
    case: Case, aspect: str, differing: Callable[[Case], Mapping[str, list[str]]]
) -> None:
    found = differing(case)[aspect]
    assert not found, "\n".join([f"{len(found)} differences:", *found[:_MOST_SHOWN]])


def test_drivers_with_a_simulated_instrument_are_many_and_different() -> None:
    assert len({case.cls for case in VISA}) >= 20
