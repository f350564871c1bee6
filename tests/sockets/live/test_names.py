"""Names of hosts and codenames become identifiers."""

from __future__ import annotations

import pytest

from instrumentserver.sockets.live.names import identifier


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("temperature", "temperature"),
        ("lab-pc1.example.org", "lab_pc1_example_org"),
        ("giant laser (moon)", "giant_laser__moon_"),
        ("10.0.0.5", "host_10_0_0_5"),
        ("1st", "host_1st"),
        ("_private", "host__private"),
        ("#", "host__"),
        ("class", "class_"),
        ("None", "None_"),
        ("name", "name_"),
        ("Größe", "Größe"),
        ("温度", "温度"),
        ("ﬁeld", "field"),
        ("²", "host_2"),
        ("a²", "a2"),
    ],
)
def test_name_is_an_identifier(name: str, expected: str) -> None:
    found = identifier(name, "host", {"name"})
    assert found == expected
    assert found.isidentifier()


def test_name_evades_as_often_as_it_has_to() -> None:
    assert identifier("name", "host", {"name", "name_"}) == "name__"
