from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from context.lab import Lab, Responses
from received import eventually

from instrumentserver import Server, start_server
from instrumentserver.client.session import Session
from instrumentserver.context import Batch, ChannelType, Context, ReadNotifyResponse, WriteNotifyResponse
from instrumentserver.errors import UsageError
from instrumentserver.wire.messages import Op


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect the requests about channels that are sent."""
    requests: list[Any] = []
    request = Session.request

    def watched(self: Session, message: list[Any]) -> list[Any]:
        if message[0] in (Op.READ_CHANNELS, Op.WRITE_CHANNELS):
            requests.append((self.address, message[0], len(message[2])))
        return request(self, message)

    monkeypatch.setattr(Session, "request", watched)
    return requests


def test_each_callback_is_called_once(context: Context, lab: Lab, responses: Responses) -> None:
    x, n = context.get_pvs("lab:x", "lab:n")
    for each in (x, n):
        each.wait_for_connection()
    # The callbacks of one channel come in order; two channels' may come at the same time.
    written, of_n = Responses(), Responses()
    with Batch() as batch:
        batch.write(x, 1.5, written.take)
        batch.write(n, 7)
        batch.read(x, responses.take)
        batch.read(n, of_n.take, data_type=ChannelType.STRING)
    (first,) = responses.wait_for_number(1)
    (second,) = of_n.wait_for_number(1)
    assert isinstance(first, ReadNotifyResponse)
    assert (list(first.data), second.data) == ([1.5], [b"7"])
    (confirmed,) = written.wait_for_number(1)
    assert isinstance(confirmed, WriteNotifyResponse)
    assert lab.n() == 7


def test_one_message_goes_to_each_server(
    context: Context,
    server: Server,
    lab: Lab,
    new_name: Callable[[], str],
    responses: Responses,
    sent: list[Any],
) -> None:
    other = start_server(new_name(), linger=5)
    other.create(Lab, "second")
    names = ["x", "n", "on", "mode", "text"]
    pvs = context.get_pvs(*(f"{lab}:{name}" for lab in ("lab", "second") for name in names))
    for pv in pvs:
        pv.wait_for_connection()
    with Batch() as batch:
        for pv in pvs:
            batch.read(pv, lambda response: responses.take(response))
        assert sent == []
    responses.wait_for_number(10)
    assert sorted(sent) == sorted((each.address, Op.READ_CHANNELS, 5) for each in (server, other))


def test_what_fails_is_logged_and_concerns_itself_alone(
    context: Context, lab: Lab, responses: Responses, caplog: pytest.LogCaptureFixture
) -> None:
    broken, x, mode = context.get_pvs("lab:broken", "lab:x", "lab:mode")
    for each in (broken, x, mode):
        each.wait_for_connection()
    with Batch() as batch:
        batch.read(broken, responses.take)
        batch.read(x, responses.take)
        batch.write(mode, "fm", responses.take)
        batch.write(x, 99, responses.take)
        batch.write(x, 2, responses.take)
    responses.wait_for_number(2)
    eventually(lambda: len(caplog.records) == 3)
    assert ["dead" in caplog.text, "'fm' is none" in caplog.text, "99.0 is invalid" in caplog.text] == [
        True
    ] * 3
    assert lab.x() == 2.0


def test_what_is_not_connected_yet_is_waited_for(
    context: Context, server: Server, responses: Responses, caplog: pytest.LogCaptureFixture
) -> None:
    x, nothing = context.get_pvs("lab:x", "lab:nothing")
    with Batch(timeout=20.0) as batch:
        batch.read(x, responses.take)
    server.create(Lab, "lab")
    responses.wait_for_number(1)
    x.go_idle()
    begin = time.monotonic()
    with Batch(timeout=0.2) as batch:
        batch.read(x, responses.take)
        batch.read(nothing, responses.take)
    assert time.monotonic() - begin < 0.2
    responses.wait_for_number(2)
    eventually(lambda: "lab:nothing: not connected within 0.2 s" in caplog.text)
    assert len(responses.items) == 2


def test_the_order_is_kept_beside_other_operations(context: Context, lab: Lab, responses: Responses) -> None:
    (n,) = context.get_pvs("lab:n")
    n.wait_for_connection()
    for number in range(20):
        n.write(3 * number, wait=False)
        with Batch() as batch:
            batch.read(n, responses.take)
            batch.write(n, 3 * number + 1)
        n.read(wait=False, callback=responses.take)
        assert n.read().data[0] == 3 * number + 1  # type: ignore[union-attr]
    responses.wait_for_number(40)
    assert responses.values == [3 * number + step for number in range(20) for step in (0, 1)]


def test_nothing_is_sent_when_the_block_fails(context: Context, lab: Lab, responses: Responses) -> None:
    (x,) = context.get_pvs("lab:x")
    x.wait_for_connection()
    with pytest.raises(RuntimeError), Batch() as batch:
        batch.write(x, 3, responses.take)
        raise RuntimeError("mine")
    assert x.read().data[0] == 0.0  # type: ignore[union-attr]
    assert responses.items == []


def test_a_batch_is_for_one_use(context: Context) -> None:
    (x,) = context.get_pvs("lab:x")
    with Batch() as batch:
        pass
    with pytest.raises(UsageError, match="make another one"):
        batch.read(x, print)


def test_a_type_that_does_not_exist_raises_at_once(context: Context) -> None:
    (x,) = context.get_pvs("lab:x")
    with Batch() as batch, pytest.raises(KeyError):
        batch.read(x, print, data_type="ctrl")
    with Batch() as batch, pytest.raises(KeyError):
        batch.write(x, 1, data_type="ctrl")
