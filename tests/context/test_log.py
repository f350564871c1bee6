from __future__ import annotations

import logging

import pytest

from instrumentserver.context.log import OwnLevel

SHARED = logging.getLogger("instrumentserver.test_log")


@pytest.fixture
def one() -> OwnLevel:
    return OwnLevel(SHARED, {"pv": "one", "role": "CLIENT"})


@pytest.fixture
def other() -> OwnLevel:
    return OwnLevel(SHARED, {"pv": "other", "role": "CLIENT"})


def test_a_level_concerns_the_one_that_it_was_set_on(
    one: OwnLevel, other: OwnLevel, caplog: pytest.LogCaptureFixture
) -> None:
    one.setLevel("DEBUG")
    one.debug("heard %d", 1)
    other.debug("not heard")
    other.warning("heard %d", 2)
    assert [record.getMessage() for record in caplog.records] == ["heard 1", "heard 2"]
    assert SHARED.level == logging.NOTSET
    assert (one.getEffectiveLevel(), other.getEffectiveLevel()) == (logging.DEBUG, logging.WARNING)


def test_a_level_can_be_higher_than_that_of_all(one: OwnLevel, caplog: pytest.LogCaptureFixture) -> None:
    one.setLevel(logging.ERROR)
    one.warning("not heard")
    one.setLevel(logging.NOTSET)
    one.warning("heard")
    assert [record.getMessage() for record in caplog.records] == ["heard"]
    assert one.level == logging.NOTSET


def test_the_shared_level_counts_for_those_without_their_own(
    one: OwnLevel, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, SHARED.name):
        one.debug("heard")
    one.debug("not heard")
    assert [record.getMessage() for record in caplog.records] == ["heard"]


def test_records_know_whose_they_are_and_where_they_come_from(
    one: OwnLevel, caplog: pytest.LogCaptureFixture
) -> None:
    one.warning("heard", extra={"direction": "--->>>"})
    (record,) = caplog.records
    assert (record.pv, record.role, record.direction) == ("one", "CLIENT", "--->>>")  # type: ignore[attr-defined]
    assert (record.name, record.funcName) == (
        SHARED.name,
        "test_records_know_whose_they_are_and_where_they_come_from",
    )


def test_what_is_disabled_for_all_stays_so(one: OwnLevel, caplog: pytest.LogCaptureFixture) -> None:
    one.setLevel("DEBUG")
    logging.disable(logging.INFO)
    try:
        one.debug("not heard")
        one.warning("heard")
    finally:
        logging.disable(logging.NOTSET)
    assert [record.getMessage() for record in caplog.records] == ["heard"]


def test_a_level_that_does_not_exist_is_refused(one: OwnLevel) -> None:
    with pytest.raises(ValueError, match="'LOUD' is no level; choose one of"):
        one.setLevel("LOUD")
