"""The core of the device client: what to send next."""

from simulators.device.sender import Sender, SendLimits

LIMITS = SendLimits(window=4, ack_timeout_ms=100, ack_timeout_max_ms=400, puback_timeout_ms=1_000, unheard_retry_ms=80)


def sender(newest: int = 10, acked: int = 0, connected: bool = True) -> Sender:
    made = Sender(LIMITS, acked, newest)
    if connected:
        made.connected(receive_maximum=100, now_ms=0)
    return made


def send(core: Sender, now: int, take: bool = True) -> list[int]:
    """Publish what is due, and what the PUBACKs of that make due, until nothing is; without `take`, no PUBACK comes."""
    sent: list[int] = []
    while True:
        fresh = []
        for seq in core.due(now):
            core.published(seq, now)
            fresh.append(seq)
        sent += fresh
        if not fresh or not take:
            return sent
        for seq in fresh:
            core.taken(seq)


def send_first(core: Sender, now: int) -> None:
    """Publish the pack that a new connection begins with; a subscriber gets it."""
    (first,) = send(core, now, take=False)
    core.taken(first)


def test_no_more_than_the_window_is_unacknowledged() -> None:
    core = sender()
    assert send(core, 0) == [1, 2, 3, 4]
    assert send(core, 1) == []
    core.acknowledged(2, 2)
    assert send(core, 3) == [5, 6]


def test_nothing_goes_without_a_connection() -> None:
    assert send(sender(connected=False), 0) == []


def test_the_brokers_receive_maximum_bounds_what_is_in_flight() -> None:
    core = sender(connected=False)
    core.connected(receive_maximum=2, now_ms=0)
    send_first(core, 0)
    assert send(core, 0, take=False) == [2, 3]
    core.taken(2)
    assert send(core, 1, take=False) == [4]


def test_all_unacknowledged_goes_again_from_the_oldest_after_the_timeout() -> None:
    core = sender()
    send(core, 0)
    core.acknowledged(1, 50)
    send(core, 60)
    assert send(core, 149) == []
    assert send(core, 150) == [2, 3, 4, 5]
    assert core.resent == 4


def test_the_timeout_doubles_while_nothing_helps_and_starts_anew_with_progress() -> None:
    core = sender()
    send(core, 0)
    again = [now for now in range(1, 1_600) if send(core, now)]
    assert again == [100, 300, 700, 1_100, 1_500]
    core.acknowledged(1, 1_600)
    assert send(core, 1_600) == [5]
    assert send(core, 1_699) == []
    assert send(core, 1_700) == [2, 3, 4, 5]


def test_the_timeout_counts_from_the_first_pack_after_idleness() -> None:
    core = sender(newest=0)
    core.committed(1)
    assert send(core, 5_000) == [1]
    assert send(core, 5_099) == []
    assert send(core, 5_100) == [1]


def test_a_new_connection_begins_behind_what_is_acknowledged_whatever_the_broker_took() -> None:
    """The broker may have been killed, and be back with what it had saved some moments before."""
    core = sender()
    send(core, 0)
    core.acknowledged(1, 5)
    core.disconnected()
    core.connected(receive_maximum=100, now_ms=10)
    assert send(core, 10) == [2, 3, 4, 5]


def test_a_new_connection_begins_with_one_pack() -> None:
    """Did the bridge subscribe amid a burst, the packs before that would come after those behind it."""
    core = sender()
    assert send(core, 0, take=False) == [1]
    core.taken(1)
    assert send(core, 1, take=False) == [2, 3, 4]


def test_a_process_that_has_just_started_sends_everything_again() -> None:
    core = sender(connected=False, acked=3)
    core.connected(receive_maximum=100, now_ms=0)
    assert send(core, 0) == [4, 5, 6, 7]


def test_what_is_on_its_way_is_not_sent_again_on_the_same_connection() -> None:
    core = sender()
    send_first(core, 0)
    assert send(core, 0, take=False) == [2, 3, 4]
    assert send(core, 100) == [1]


def test_a_refused_pack_goes_again_after_the_timeout() -> None:
    core = sender(newest=2)
    send_first(core, 0)
    send(core, 0, take=False)
    core.refused(2)
    assert send(core, 99) == []
    assert send(core, 100) == [1, 2]


def test_an_overdue_puback_asks_for_another_connection() -> None:
    core = sender()
    send_first(core, 0)
    send(core, 0, take=False)
    assert not core.stuck(999)
    assert core.stuck(1_000)
    core.disconnected()
    assert not core.stuck(2_000)


def test_acks_that_are_old_or_of_nothing_change_nothing() -> None:
    core = sender(newest=3)
    send(core, 0)
    assert core.acknowledged(2, 1)
    assert not core.acknowledged(2, 2)
    assert not core.acknowledged(1, 2)
    assert core.acknowledged(99, 3)
    assert core.acked == 3
    assert core.idle


def test_an_ack_beyond_what_this_connection_sent_skips_it() -> None:
    core = sender(connected=False)
    core.connected(receive_maximum=100, now_ms=0)
    core.acknowledged(5, 1)
    assert send(core, 1) == [6, 7, 8, 9]


def test_a_puback_of_an_earlier_connection_means_nothing() -> None:
    core = sender()
    send(core, 0, take=False)
    core.disconnected()
    core.connected(receive_maximum=100, now_ms=10)
    core.taken(1)
    assert send(core, 10, take=False) == [1]


def test_without_a_subscriber_one_pack_asks_now_and_then() -> None:
    core = sender()
    assert send(core, 0, take=False) == [1]
    core.unheard(1, 1)
    assert send(core, 50, take=False) == []
    assert send(core, 81, take=False) == [1]
    core.unheard(1, 82)
    assert send(core, 162, take=False) == [1]
    core.taken(1)
    assert send(core, 163) == [2, 3, 4]


def test_a_bridge_that_is_forgotten_amid_a_connection_is_asked_for_too() -> None:
    core = sender()
    send_first(core, 0)
    assert send(core, 0, take=False) == [2, 3, 4]
    for seq in (2, 3, 4):
        core.unheard(seq, 1)
    assert send(core, 80, take=False) == []
    assert send(core, 81, take=False) == [1]
    core.taken(1)
    assert send(core, 82) == [2, 3, 4]


def test_a_new_connection_does_not_wait_for_a_subscriber_of_the_old_one() -> None:
    core = sender()
    send(core, 0, take=False)
    core.unheard(1, 1)
    core.disconnected()
    core.connected(receive_maximum=100, now_ms=2)
    assert send(core, 2) == [1, 2, 3, 4]
