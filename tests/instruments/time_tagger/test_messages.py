import logging
from collections.abc import Iterator

import pytest

from instruments import time_tagger as TT
from instruments.time_tagger.simulation import Bench


@pytest.fixture(autouse=True)
def nobody_listens_later() -> Iterator[None]:
    yield
    TT.setLogger(None)


def test_callback_hears_of_the_devices(bench: Bench) -> None:
    heard: list[tuple[int, str]] = []
    TT.setLogger(lambda level, text: heard.append((level, text)))
    TT.freeTimeTagger(TT.createTimeTagger())
    TT.setLogger(None)
    TT.freeTimeTagger(TT.createTimeTagger())
    assert heard == [
        (TT.LOGGER_INFO, "Time Tagger 1740000JG2 connected"),
        (TT.LOGGER_INFO, "TimeTagger 1740000JG2 freed"),
    ]


def test_callback_may_use_the_library(bench: Bench) -> None:
    heard: list[tuple[str, ...]] = []
    TT.setLogger(lambda level, text: heard.append(TT.scanTimeTagger()))
    tagger = TT.createTimeTagger()
    assert heard == [("2138000XH7",)]
    assert tagger.getSerial() == "1740000JG2"


def test_failing_callback_does_not_cost_the_device(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def fail(level: int, text: str) -> None:
        raise OSError("no paper")

    TT.setLogger(fail)
    assert TT.createTimeTagger().getSerial() == "1740000JG2"
    assert "no paper" in caplog.text


def test_without_a_callback_messages_are_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        TT.createTimeTagger()
    assert "Time Tagger 1740000JG2 connected" in caplog.text


def test_callback_must_be_callable() -> None:
    with pytest.raises(TypeError, match="callback is 5, which cannot be called"):
        TT.setLogger(5)  # type: ignore[arg-type]
