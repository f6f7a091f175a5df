"""The process that delivers: one thread talks to the database, a pool of threads talks to receivers.

The loop fans out the feed, writes the results that have come in, claims as many deliveries as there are free threads,
and keeps endpoints in order. Threads hold no database connection. An endpoint that is known to answer fast gets several
deliveries by one claim, so that a single endpoint is not slowed down by round trips to the database; they are sent
within a fraction of a second, or given back. Endpoints that are known to be slow share half of the threads, those of
unknown latency a quarter, so that the last quarter is always there for those that are quick.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from core import clock
from webhooks.outbound import exchange, signing
from webhooks.outbound.exchange import Answer
from webhooks.outbound.services import care, claim, feed, result
from webhooks.outbound.services.claim import Job, Pace, Share, Turn
from webhooks.outbound.services.isolation import isolated
from webhooks.outbound.services.result import Outcome

logger = logging.getLogger(__name__)

Post = Callable[..., Answer]

_UNAVAILABLE = (OperationalError, InterfaceError)

BUSY_POLL, IDLE_POLL = 0.1, 0.5
"""Seconds between two looks into the feed and for due deliveries: after one that found something, and otherwise."""
_TOGETHER = 0.01
"""Seconds in which results are collected, to be written together."""
_CARE_EVERY = 1.0
_AGAIN_AFTER = 1.0
"""Seconds until the loop starts again after it lost the database, or tries again to fan out after an error."""
_AHEAD = 0.25
"""Seconds of work that are claimed for an endpoint at once, by its latency."""
_MOST_AHEAD, _MOST_WAITING = 40, 200
"""Deliveries that one claim takes of an endpoint; that wait in this process in all."""
_SLOW = 2.0
"""Seconds of latency from which an endpoint counts as slow."""
_KNOWN = 5_000
"""Endpoints whose latency is remembered."""


def attempt(job: Job, post: Post = exchange.post) -> Outcome:
    """Send one delivery; it is given back unsent if its lease would not outlive the request."""
    at = clock.now()
    if at - job.claimed_at > claim.START_WITHIN:
        return Outcome(job, at, None)
    try:
        headers = signing.headers(job.secrets, job.message_id, int(at.timestamp()), job.body)
        headers |= {"Content-Type": "application/json", "User-Agent": "Pagos-MX-Webhooks/1"}
        answer = post(job.url, headers, job.body, deadline=claim.DEADLINE)
    except Exception:
        logger.exception("an attempt to deliver failed inside", extra={"attempt": job.attempt})
        answer = Answer(status=None, headers={}, excerpt=b"", error="internal", latency_ms=0)
    return Outcome(job, at, answer)


def deliver_due(post: Post = exchange.post) -> int:
    """Fan out and deliver everything that is due now, one after the other, in this thread; returns the attempts.

    For tests and commands; the worker runs a ``Sender``.
    """
    made = 0
    while True:
        while feed.fan_out():
            pass
        while care.step():
            pass
        turns = claim.take(100)
        if not turns:
            return made
        outcomes = [attempt(job, post) for turn in turns for job in turn.jobs]
        result.write(outcomes)
        made += len(outcomes)


@dataclass(slots=True)
class _Line:
    """The deliveries of one endpoint that this process holds."""

    jobs: deque[Job] = field(default_factory=deque)
    slots: int = 0
    active: int = 0
    """Threads that work on it."""
    held: int = 0
    """Leases of this process whose results are not written yet."""
    latency: float | None = None
    """Seconds, smoothed."""

    @property
    def pace(self) -> Pace:
        if self.latency is None:
            return Pace.UNKNOWN
        return Pace.SLOW if self.latency >= _SLOW else Pace.QUICK

    @property
    def size(self) -> int:
        """How many deliveries to claim at once: what is sent within ``_AHEAD`` seconds."""
        latency = 1.0 if self.latency is None else max(self.latency, 0.001)
        return min(max(int(claim.IN_FLIGHT * _AHEAD / latency), claim.IN_FLIGHT), _MOST_AHEAD)

    @property
    def wants_more(self) -> bool:
        """True if a thread may soon have nothing to send."""
        return self.held < claim.IN_FLIGHT or (self.size > claim.IN_FLIGHT and len(self.jobs) < self.size // 2)


class Sender:
    """Delivers until it is stopped. ``threads``: requests in flight at most."""

    def __init__(self, *, threads: int | None = None, post: Post = exchange.post) -> None:
        self._post = post
        self._threads = threads or settings.WEBHOOK_SENDERS
        self._lines: dict[int, _Line] = {}
        self._lock = threading.Lock()
        self._outcomes: list[Outcome] = []
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._feed_at = self._care_at = 0.0
        self._shares = {pace: Share(0) for pace in Pace}

    def stop(self) -> None:
        """Claim nothing more; ``run`` returns once the requests in flight have ended and their results are written."""
        self._stop.set()
        self._wake.set()

    def wait(self, seconds: float) -> bool:
        """Wait for ``run`` to return, at most this long; True if it has."""
        return self._ended.wait(seconds)

    def run(self) -> None:
        """Deliver until ``stop``. A lost database is waited for."""
        try:
            self._run()
        finally:
            connection.close()
            self._ended.set()

    def _run(self) -> None:
        with ThreadPoolExecutor(self._threads, thread_name_prefix="send") as pool:
            self._pool = pool
            while not self._stop.is_set():
                try:
                    pause = self._step()
                except Exception:
                    logger.warning("webhook deliveries were interrupted", exc_info=True)
                    connection.close()
                    pause = _AGAIN_AFTER
                    self._stop.wait(pause)
                self._wake.wait(pause)
                self._stop.wait(_TOGETHER)
                self._wake.clear()
            self._give_back()
        self._finish()

    def _step(self) -> float:
        """Do what is due; returns the seconds after which to look again."""
        now = time.monotonic()
        self._write()
        if now >= self._feed_at:
            more = isolated(feed.fan_out)
            self._feed_at = now + (_AGAIN_AFTER if more is None else 0 if more else BUSY_POLL)
        if now >= self._care_at:
            self._care_at = now + (0 if isolated(care.step) else _CARE_EVERY)
        found = self._claim()
        connection.close_if_unusable_or_obsolete()
        busy = found or self._feed_at <= now
        return 0.0 if self._feed_at <= now or self._care_at <= now else (BUSY_POLL if busy else IDLE_POLL)

    def _write(self) -> None:
        with self._lock:
            outcomes, self._outcomes = self._outcomes, []
        if not outcomes:
            return
        done = 0
        try:
            result.write(outcomes)
            done = len(outcomes)
        except _UNAVAILABLE:
            raise
        except Exception:
            logger.exception("results of webhook deliveries could not be written together")
            for outcome in outcomes:
                _write_alone(outcome)
                done += 1
        finally:
            with self._lock:
                for outcome in outcomes[:done]:
                    self._lines[outcome.job.endpoint_id].held -= 1
                self._outcomes = outcomes[done:] + self._outcomes

    def _claim(self) -> bool:
        """Claim for the free threads and start what was claimed; True if something was."""
        with self._lock:
            busy = {pk: line for pk, line in self._lines.items() if line.held}
            active = Counter[Pace]()
            for line in busy.values():
                active[line.pace] += line.active
            free = self._threads - active.total()
            waiting = sum(len(line.jobs) for line in busy.values())
            without = {pk for pk, line in busy.items() if not line.wants_more}
            paces = {pk: line.pace for pk, line in self._lines.items() if line.pace}
            mine = {pk: line.held for pk, line in busy.items()}
            roomy = waiting < _MOST_WAITING
            sizes = {pk: line.size for pk, line in self._lines.items() if roomy}
        if free < 1:
            return False
        most = max(1, free // claim.IN_FLIGHT)
        for pace, threads in ((Pace.UNKNOWN, self._threads // 4), (Pace.SLOW, self._threads // 2)):
            room = max(threads - active[pace], 0) // claim.IN_FLIGHT
            self._shares[pace].most = room if active[pace] else max(room, 1)
        self._shares[Pace.QUICK].most = most
        turns = claim.take(most, size=sizes, mine=mine, without=without, paces=paces, shares=self._shares)
        for turn in turns:
            self._start(turn)
        self._forget()
        return bool(turns)

    def _start(self, turn: Turn) -> None:
        with self._lock:
            line = self._lines.setdefault(turn.endpoint_id, _Line())
            line.jobs.extend(turn.jobs)
            line.held += len(turn.jobs)
            line.slots = turn.slots
            begin = min(line.slots - line.active, len(line.jobs))
            line.active += max(begin, 0)
        for _ in range(begin):
            self._pool.submit(self._work, turn.endpoint_id)

    def _work(self, endpoint_id: int) -> None:
        """Send the deliveries of one endpoint until none is left."""
        line = self._lines[endpoint_id]
        while True:
            with self._lock:
                if not line.jobs or line.active > line.slots:
                    line.active -= 1
                    return
                job = line.jobs.popleft()
            outcome = attempt(job, self._post)
            with self._lock:
                if outcome.answer is not None:
                    seconds = outcome.answer.latency_ms / 1000
                    line.latency = seconds if line.latency is None else 0.7 * line.latency + 0.3 * seconds
                self._outcomes.append(outcome)
            self._wake.set()

    def _give_back(self) -> None:
        """Return what was claimed and not begun."""
        with self._lock:
            for line in self._lines.values():
                self._outcomes += [Outcome(job, clock.now(), None) for job in line.jobs]
                line.jobs.clear()

    def _finish(self) -> None:
        try:
            self._write()
        except _UNAVAILABLE:
            logger.warning("results of webhook deliveries were lost: they are delivered again", exc_info=True)

    def _forget(self) -> None:
        """Bound the memory for endpoints that are idle."""
        if len(self._lines) > _KNOWN:
            with self._lock:
                self._lines = {pk: line for pk, line in self._lines.items() if line.held}


def _write_alone(outcome: Outcome) -> None:
    """Write one outcome; one that cannot be written counts as a failure, so that its delivery follows the schedule.

    If that fails too, it is dropped, and the delivery sent again when its lease ends.
    """
    failure = Answer(status=None, headers={}, excerpt=b"", error="internal", latency_ms=0)
    for written in (outcome, replace(outcome, answer=failure)):
        try:
            result.write([written])
        except _UNAVAILABLE:
            raise
        except Exception:
            logger.exception("the result of an attempt could not be written", extra={"attempt": outcome.job.attempt})
        else:
            return
