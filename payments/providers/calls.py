"""What becomes known of one HTTP request to a provider, for its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum

from core.errors import OutcomeUnknown, ProviderNotContacted, ProviderRefused


class Outcome(StrEnum):
    """What is known of a request after it was made."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """Final: the provider did not and will not do it."""
    NOT_SENT = "not_sent"
    """The provider did nothing: it was not reached, or turned the request away. It may be tried again."""
    UNKNOWN = "unknown"
    """The provider may have done it."""


@dataclass(slots=True)
class Call:
    """One request: what is sent, redacted, and what the adapter learns of the answer while it is recorded.

    ``quota`` names the limit of the provider that the request counts against, or is "". ``outcome`` counts unless an
    exception leaves the call: an adapter sets it where it returns what came of the request.
    """

    operation: str
    request: str
    quota: str = ""
    status: int | None = None
    answer: str = ""
    outcome: Outcome = Outcome.ACCEPTED


Record = Callable[[Call], AbstractContextManager[None]]
"""Entered before the request is sent, left when its answer is understood; the exception that leaves it is the outcome.

Entering may raise ``ProviderNotContacted``: the request must not be sent now.
"""


@contextmanager
def unrecorded(call: Call) -> Iterator[None]:
    """Records nothing."""
    yield


def outcome_of(call: Call, error: BaseException | None) -> Outcome:
    """What the exception that left ``call`` says of it; without one, what the adapter said."""
    match error:
        case None:
            return call.outcome
        case ProviderNotContacted():
            return Outcome.NOT_SENT
        case ProviderRefused():
            return Outcome.REFUSED
        case OutcomeUnknown() | _:
            return Outcome.UNKNOWN
