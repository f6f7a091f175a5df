from __future__ import annotations

from datetime import timedelta

from core.backoff import backoff

SECOND = timedelta(seconds=1)


def test_each_try_waits_twice_as_long_up_to_the_most():
    waits = [backoff(tries, first=SECOND, most=10 * SECOND) for tries in (0, 1, 2, 3, 4, 1_000)]

    assert [wait.total_seconds() for wait in waits] == [1, 2, 4, 8, 10, 10]


def test_jitter_spreads_the_waits_within_its_share():
    waits = {backoff(3, first=SECOND, most=60 * SECOND, jitter=0.25) for _ in range(200)}

    assert len(waits) > 100
    assert all(6 * SECOND <= wait <= 10 * SECOND for wait in waits)
