"""Who sends for which host is remembered, within bounds."""

from __future__ import annotations

from instrumentserver.sockets.live.senders import Senders


def test_sender_stands_for_the_host_that_it_named_last() -> None:
    senders = Senders()
    senders.note(("1.1.1.1", 5), "a")
    senders.note(("1.1.1.1", 6), "b")
    assert senders.hosts(("1.1.1.1", 5)) == {"a"}
    senders.note(("1.1.1.1", 5), "c")
    assert senders.hosts(("1.1.1.1", 5)) == {"c"}


def test_unknown_port_stands_for_all_hosts_of_its_address() -> None:
    senders = Senders()
    senders.note(("1.1.1.1", 5), "a")
    senders.note(("1.1.1.1", 6), "b")
    senders.note(("2.2.2.2", 7), "c")
    assert senders.hosts(("1.1.1.1", 7)) == {"a", "b"}
    assert senders.hosts(("3.3.3.3", 5)) == set()


def test_of_very_many_the_oldest_are_forgotten() -> None:
    senders = Senders()
    for port in range(100):
        senders.note(("1.1.1.1", port), f"h{port}")
    assert len(senders.hosts(("1.1.1.1", 1000))) == 64
    assert senders.hosts(("1.1.1.1", 99)) == {"h99"}
    for number in range(1024):
        senders.note((f"10.0.{number >> 8}.{number & 255}", 5), "h")
    assert senders.hosts(("1.1.1.1", 99)) == set()
    assert senders.hosts(("10.0.0.0", 5)) == {"h"}
