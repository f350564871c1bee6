from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from instrumentserver.errors import NotAllowed
from instrumentserver.server.roles import LOCAL, ROLE_OF, limited_table
from instrumentserver.transport.keys import ROLES
from instrumentserver.wire.messages import Op

OPERATIONS = sorted(value for name, value in vars(Op).items() if name.isupper())


def answered(caller: Any, path: str, *arguments: Any) -> list[Any]:
    return [0, arguments]


TABLE = dict.fromkeys(OPERATIONS, answered)
CALLER: Any = SimpleNamespace(
    allowed=SimpleNamespace(find_instrument=lambda name: name, check_parameter=lambda name: None)
)
ARGUMENTS: dict[str, list[Any]] = {
    Op.CREATE: [{"name": "a:B"}, [], {}, "error"],
    Op.ADD_PARAMETER: ["y", "a:B", {}],
    Op.EACH: [[["get", "x"]]],
    Op.CALL: ["name", [], {}],
    Op.STEP: ["next", []],
    Op.GET_ATTRIBUTE: ["name"],
    Op.SET_ATTRIBUTE: ["name", 1],
    Op.DELETE_ATTRIBUTE: ["name"],
    Op.OBJECT_FREE: [False],
}


def test_every_operation_has_a_role() -> None:
    """One that is forgotten is refused to everybody on a network; and this test says so."""
    assert sorted(ROLE_OF) == OPERATIONS
    assert set(ROLE_OF.values()) == {*ROLES, LOCAL}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_role_may_do_what_the_table_says(operation: str, role: str) -> None:
    handler = limited_table(TABLE, {}, role)[operation]
    least = ROLE_OF[operation]
    if least in ROLES[: ROLES.index(role) + 1]:
        assert handler(CALLER, "x", *ARGUMENTS.get(operation, []))[0] == 0
    else:
        with pytest.raises(NotAllowed, match=least if least != LOCAL else "on its own computer"):
            handler(CALLER, "x", *ARGUMENTS.get(operation, []))


def test_what_is_in_no_table_is_refused() -> None:
    for role in ROLES:
        with pytest.raises(NotAllowed):
            limited_table({"new": answered}, {}, role)["new"](CALLER, "x")


def test_a_role_that_is_none_may_do_nothing() -> None:
    for handler in limited_table(TABLE, {}, "nobody").values():
        with pytest.raises(NotAllowed):
            handler(CALLER, "x")


def test_viewers_have_operations_of_their_own() -> None:
    def limited(caller: Any, *arguments: Any) -> list[Any]:
        return [0, "limited"]

    assert limited_table(TABLE, {Op.OBJECT_CALL: limited}, "viewer")[Op.OBJECT_CALL] is limited
    assert limited_table(TABLE, {Op.OBJECT_CALL: limited}, "operator")[Op.OBJECT_CALL] is answered


def test_freeing_by_force_is_for_admins() -> None:
    with pytest.raises(NotAllowed, match="by force"):
        limited_table(TABLE, {}, "operator")[Op.OBJECT_FREE](CALLER, "x", True)
    assert limited_table(TABLE, {}, "admin")[Op.OBJECT_FREE](CALLER, "x", True)[0] == 0
