"""Every validator of QCoDeS says the same of every value, here and on a server."""

from __future__ import annotations

from typing import Any

import pytest
from conformance.cases import CASES
from conformance.checking import VALIDATORS, look_at_validators
from conformance.looking import differences, look_at
from qcodes import validators

from instrumentserver import Server


@pytest.mark.slow
def test_every_validator_says_the_same(home: Server) -> None:
    case = next(case for case in CASES if case.name == "checking")
    local, remote = look_at(case, home, {"validators": look_at_validators})["validators"]
    found = differences("validators", local, remote)
    assert not found, "\n".join([f"{len(found)} differences:", *found])
    assert len(local) > 2000


def test_every_validator_of_qcodes_is_there() -> None:
    classes: set[Any] = {type(validator) for validator in VALIDATORS.values()}
    missing = set(validators.__all__) - {cls.__name__ for cls in classes}
    assert missing == {"Validator", "validate_all"}
