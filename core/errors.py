"""The exception hierarchy of this project.

PaymentsError
├── RequestRefused            the caller's request is refused; 4xx; nothing was written
│   ├── InvalidRequest        400  input that the API's schema refuses, with the fields at fault
│   │   └── UnusableValue     422  input that the schema allows and that is refused all the same
│   ├── BodyTimeout           408  the body did not arrive in time
│   ├── AuthenticationRequired, InvalidApiKey                    401
│   ├── KeyScopeInsufficient, IpNotAllowed, MerchantSuspended, KycRequired   403
│   ├── NotFound              404
│   ├── IdempotencyInProgress, IllegalTransition                 409
│   ├── IdempotencyKeyReused, DuplicateExternalId, InsufficientFunds, LimitExceeded, AmountExceedsRefundable   422
│   └── RateLimited           429
├── ServiceUnavailable        503; try again later
│   └── DatabaseUnavailable (└── Overloaded), ProviderUnavailable, ReleasePending
├── ProviderError             outcome of a call to a provider
│   ├── ProviderNotContacted  the request was not sent: safe to retry
│   ├── ProviderRefused       the provider refused: final
│   │   └── UnknownToProvider it has no object with the requested id
│   └── OutcomeUnknown        it may have been carried out: query its state before a retry
├── NoticeRejected            a provider's notice is not authentic or cannot be parsed
└── InvariantBroken           500; books or states are inconsistent: needs investigation

A class's docstring is its default message; ``code`` is its stable code in the merchant API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error in one input field: its name, a stable code, and a message with ``%(name)s`` for each of ``params``."""

    field: str
    code: str
    message: str
    params: Mapping[str, object] | None = None


class PaymentsError(Exception):
    """Something went wrong."""

    code = "internal_error"
    http_status = 500
    retry_after: int | None = None
    """Seconds after which a retry makes sense; sent as Retry-After."""

    errors: tuple[FieldError, ...] = ()

    def __init__(self, message: str | None = None, *, params: Mapping[str, object] | None = None) -> None:
        self.template = message or (type(self).__doc__ or "").strip().split("\n")[0]
        """The translatable message, with ``%(name)s`` for each of ``params``."""
        self.params = params
        self.message = self.template % params if params else self.template
        super().__init__(self.message)


class RequestRefused(PaymentsError):
    """The request cannot be carried out."""

    code = "invalid_request"
    http_status = 400


class InvalidRequest(RequestRefused):
    """The request is not valid."""

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        params: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, params=params)
        self.code = code or self.code
        self.errors = tuple(errors)


class UnusableValue(InvalidRequest):
    """This value cannot be used.

    What no schema can express: a time in the past, a minimum above the maximum, a wrong check digit.
    """

    http_status = 422

    @classmethod
    def of(cls, field: str, message: str, *, code: str = "invalid") -> UnusableValue:
        """The error for one field."""
        return cls(message, errors=[FieldError(field, code, message)])


class BodyTimeout(RequestRefused):
    """The body did not arrive in time."""

    code = "request_timeout"
    http_status = 408


class AuthenticationRequired(RequestRefused):
    """Send your API key as a bearer token: Authorization: Bearer sk_test_…"""

    code = "authentication_required"
    http_status = 401


class InvalidApiKey(RequestRefused):
    """This API key does not exist, has expired or was revoked."""

    code = "invalid_api_key"
    http_status = 401


class KeyScopeInsufficient(RequestRefused):
    """This API key lacks the scope for this request."""

    code = "key_scope_insufficient"
    http_status = 403


class IpNotAllowed(RequestRefused):
    """This API key may not be used from your address."""

    code = "ip_not_allowed"
    http_status = 403


class MerchantSuspended(RequestRefused):
    """This merchant is suspended."""

    code = "merchant_suspended"
    http_status = 403


class KycRequired(RequestRefused):
    """Live payments open when your verification (KYC) is approved; until then use a test key."""

    code = "kyc_required"
    http_status = 403


class NotFound(RequestRefused):
    """There is no such object."""

    code = "not_found"
    http_status = 404


class IdempotencyInProgress(RequestRefused):
    """A request with this Idempotency-Key is still in progress."""

    code = "idempotency_in_progress"
    http_status = 409
    retry_after = 1


class IllegalTransition(RequestRefused):
    """The object's current state does not allow this."""

    code = "illegal_transition"
    http_status = 409


class IdempotencyKeyReused(RequestRefused):
    """This Idempotency-Key was used for a different request."""

    code = "idempotency_key_reused"
    http_status = 422

    def __init__(self, message: str | None = None, *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class DuplicateExternalId(RequestRefused):
    """You already have an object with this external_id."""

    code = "duplicate_external_id"
    http_status = 422


class InsufficientFunds(RequestRefused):
    """The available balance does not cover this."""

    code = "insufficient_funds"
    http_status = 422


class LimitExceeded(RequestRefused):
    """This would exceed a limit of your account."""

    code = "limit_exceeded"
    http_status = 422


class AmountExceedsRefundable(RequestRefused):
    """The amount exceeds what can still be refunded."""

    code = "amount_exceeds_refundable"
    http_status = 422


class SearchTooBroad(RequestRefused):
    """The search took too long and was stopped: narrow it by created_at, or search for a longer text."""

    code = "search_too_broad"
    http_status = 422


class RateLimited(RequestRefused):
    """Too many requests."""

    code = "rate_limited"
    http_status = 429

    def __init__(self, message: str | None = None, *, retry_after: int = 60) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ServiceUnavailable(PaymentsError):
    """The service is not available right now."""

    code = "provider_unavailable"
    http_status = 503
    retry_after = 5


class DatabaseUnavailable(ServiceUnavailable):
    """The service is not available right now."""

    code = "database_unavailable"


class Overloaded(DatabaseUnavailable):
    """The service is overloaded; try again in a moment."""

    retry_after = 2


class ProviderUnavailable(ServiceUnavailable):
    """The payment provider cannot be reached right now."""

    code = "provider_unavailable"
    retry_after = 30


class ReleasePending(ServiceUnavailable):
    """A new version is being deployed; try again in a moment."""

    code = "release_pending"


class ProviderError(PaymentsError):
    """A payment provider did not carry out a request."""


class ProviderNotContacted(ProviderError):
    """The provider did not receive the request."""


class ProviderRefused(ProviderError):
    """The provider refused the request."""

    def __init__(self, message: str | None = None, *, provider_code: str = "") -> None:
        super().__init__(message)
        self.provider_code = provider_code


class UnknownToProvider(ProviderRefused):
    """The provider has no such object."""


class OutcomeUnknown(ProviderError):
    """The provider may have carried out the request: query its state before a retry."""


class NoticeRejected(PaymentsError):
    """This notification is not authentic."""

    code = "invalid_signature"
    http_status = 401


class InvariantBroken(PaymentsError):
    """Books and states are inconsistent."""
