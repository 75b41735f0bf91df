"""When a notification is tried again."""

from collections.abc import Sequence

from connectors.kit.backoff import Random

JITTER = 0.2
"""Each delay is drawn from [delay, 1.2 delay), so that what failed together doesn't return together."""

LONGEST_RETRY_AFTER_S = 86_400.0
"""A receiver may ask for a day; more would be a way to silence alerts for good."""


def next_due_ms(
    attempts: int, now_ms: int, delays_s: Sequence[float], random: Random, retry_after_s: float = 0.0
) -> int | None:
    """Return when to try again after `attempts` attempts; None when the schedule is spent.

    Parameters
    ----------
    delays_s
        Seconds before the second attempt, the third, and so on.
    retry_after_s
        What the receiver asked for; it lengthens a delay, never shortens it.

    Examples
    --------
    >>> next_due_ms(1, 0, [5, 300], lambda: 0.5), next_due_ms(1, 0, [5, 300], lambda: 0.5, 60)
    (5500, 60000)
    >>> next_due_ms(3, 0, [5, 300], lambda: 0.5) is None
    True
    """
    if attempts > len(delays_s):
        return None
    delay_s = delays_s[attempts - 1] * (1 + JITTER * random())
    return now_ms + int(max(delay_s, min(retry_after_s, LONGEST_RETRY_AFTER_S)) * 1000)
