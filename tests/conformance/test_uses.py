"""What users, tools and QCoDeS itself do to instruments now and then comes to the same, here and on a server."""

from __future__ import annotations

import pytest
from conformance.cases import CASES
from conformance.looking import differences, look_at
from conformance.using import look_at_uses

from instrumentserver import Server


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kinds", "acting"])
def test_odd_uses_come_to_the_same(home: Server, name: str) -> None:
    case = next(case for case in CASES if case.name == name)
    local, remote = look_at(case, home, {"uses": look_at_uses})["uses"]
    found = differences("uses", local, remote)
    assert not found, "\n".join([f"{len(found)} differences:", *found])
