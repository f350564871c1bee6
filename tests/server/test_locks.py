"""Locks of instruments, shared where instruments hold one another."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from instrumentserver.server.caller import Caller
from instrumentserver.server.locks import InstrumentLock, acquire_lock, share_lock


class Owner:
    def __init__(self) -> None:
        self.lock = InstrumentLock("server")


def test_sharing_makes_one_lock_of_all_that_were_connected() -> None:
    owners = [Owner() for _ in range(5)]
    share_lock(owners[:2], owners)
    share_lock(owners[2:4], owners)
    share_lock([owners[0], owners[3]], owners)
    assert len({owner.lock for owner in owners[:4]}) == 1
    assert owners[4].lock is not owners[0].lock


def test_sharing_waits_for_a_call_that_is_under_way() -> None:
    one, two = Owner(), Owner()
    lock = one.lock
    lock.acquire()
    shared = threading.Event()

    def share() -> None:
        share_lock([one, two], [one, two])
        shared.set()

    thread = threading.Thread(target=share)
    thread.start()
    assert not shared.wait(0.05)
    lock.release()
    thread.join(10)
    assert shared.is_set()
    assert one.lock is two.lock


def test_who_waited_for_a_lock_that_was_exchanged_gets_the_new_one() -> None:
    one, two = Owner(), Owner()
    assert acquire_lock(one)
    one.lock.release()
    old = two.lock
    share_lock([one, two], [one, two])
    assert acquire_lock(two, timeout=1)
    assert two.lock is not old or one.lock is old
    two.lock.release()


def test_a_timeout_is_kept() -> None:
    owner = Owner()
    thread = threading.Thread(target=owner.lock.acquire)
    thread.start()
    thread.join()
    assert not acquire_lock(owner, timeout=0.01)


def test_who_has_a_lock_gets_it_again_before_those_who_wait_and_they_in_the_order_of_their_coming() -> None:
    lock = Owner().lock
    got: list[int] = []

    def work(number: int) -> None:
        lock.acquire()
        got.append(number)
        lock.release()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    assert lock.acquire_now()
    for count, thread in enumerate(threads, 1):
        thread.start()
        give_up = time.monotonic() + 10
        while len(lock.places) < count and time.monotonic() < give_up:
            time.sleep(0.001)
    assert lock.acquire_now()
    lock.release()
    got.append(-1)
    lock.release()
    for thread in threads:
        thread.join(10)
    assert got == [-1, 0, 1, 2, 3, 4]


def test_keys_tell_locks_apart() -> None:
    assert len({Owner().lock.key for _ in range(10)}) == 10


@pytest.mark.slow
def test_a_search_for_cycles_that_fails_leaves_no_place_behind() -> None:
    class Instrument(Owner):
        name = "dac"
        is_closed = False

    def search() -> Any:
        raise RuntimeError("no directory")

    dac: Any = Instrument()
    lock = dac.lock
    lock.acquire()
    errors: list[str] = []

    def call() -> None:
        caller = Caller("unix:here", {}, [], search, "server 'here'")
        caller.incoming = [["elsewhere:1", "unix:there/meter"]]
        try:
            caller.begin(dac, "get", "dac.v")
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(10)
    assert errors == ["no directory"]
    assert not lock.places
    lock.release()
    assert lock.acquire(timeout=0)
