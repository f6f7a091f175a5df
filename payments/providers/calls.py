"""One HTTP request to a provider and its outcome, to be recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum

from core.errors import OutcomeUnknown, ProviderNotContacted, ProviderRefused


class Outcome(StrEnum):
    """The outcome of a request."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """Final: the provider did not and will not execute it."""
    NOT_SENT = "not_sent"
    """The provider did nothing: it was not reached or rejected the request beforehand. It may be retried."""
    UNKNOWN = "unknown"
    """The provider may have executed it."""


@dataclass(slots=True)
class Call:
    """One request (redacted) and its response, which the adapter fills in.

    ``quota`` names the provider's limit that the request counts against, or is "". ``outcome`` is used unless the call
    ends with an exception: adapters that return the outcome instead of raising set it.
    """

    operation: str
    request: str
    quota: str = ""
    status: int | None = None
    answer: str = ""
    outcome: Outcome = Outcome.ACCEPTED


Record = Callable[[Call], AbstractContextManager[None]]
"""Context manager around one request and the parsing of its response; an exception that leaves it is the outcome.

Entering may raise ``ProviderNotContacted``: the request must not be sent now.
"""


@contextmanager
def unrecorded(call: Call) -> Iterator[None]:
    """Records nothing."""
    yield


def outcome_of(call: Call, error: BaseException | None) -> Outcome:
    """The outcome of ``call`` by the exception that left it; without one, the outcome set by the adapter."""
    match error:
        case None:
            return call.outcome
        case ProviderNotContacted():
            return Outcome.NOT_SENT
        case ProviderRefused():
            return Outcome.REFUSED
        case OutcomeUnknown() | _:
            return Outcome.UNKNOWN
