"""What becomes known of one HTTP request to a provider, for its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from core.errors import OutcomeUnknown, ProviderNotContacted, ProviderRefused


@dataclass(slots=True)
class Call:
    """One request: what is sent, redacted, and what the adapter learns of the answer while it is recorded.

    ``quota`` names the limit of the provider that the request counts against, or is "".
    """

    operation: str
    request: str
    quota: str = ""
    status: int | None = None
    answer: str = ""


Record = Callable[[Call], AbstractContextManager[None]]
"""Entered before the request is sent, left when its answer is understood; the exception that leaves it is the outcome.

Entering may raise ``ProviderNotContacted``: the request must not be sent now.
"""


@contextmanager
def unrecorded(call: Call) -> Iterator[None]:
    """Records nothing."""
    yield


def outcome_of(error: BaseException | None) -> str:
    """``accepted``, ``refused``, ``not_sent`` or ``unknown``: what the exception that left a call says of it."""
    match error:
        case None:
            return "accepted"
        case ProviderNotContacted():
            return "not_sent"
        case ProviderRefused():
            return "refused"
        case OutcomeUnknown() | _:
            return "unknown"
