"""Catalogue of the API's error codes: status, meaning and remedy.

``/v1/docs`` shows them under ``#error-<code>``, the ``type`` of each problem. tests/architecture/test_openapi.py fails
if a code used in the sources is missing here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """HTTP status, meaning and remedy of an error code."""

    status: int
    meaning: str
    remedy: str
    second_status: int | None = None

    @property
    def statuses(self) -> tuple[int, ...]:
        """Every status that the code comes with."""
        return (self.status,) if self.second_status is None else (self.status, self.second_status)


ERRORS = {
    "invalid_request": ErrorCode(
        400,
        "The body, a header or a query parameter is not valid. 400: this document's schema refuses it. 422: the schema "
        "allows it, but the value cannot be used, for example a time in the past or a wrong check digit.",
        "Read `errors`: each entry names a field and its fault. Nothing was done; correct the request and send it "
        "again. An invalid request leaves its Idempotency-Key free.",
        second_status=422,
    ),
    "unknown_field": ErrorCode(
        400,
        "The request names a field or a filter that does not exist.",
        "Check the spelling of the field that `errors` names, or remove it.",
    ),
    "invalid_amount": ErrorCode(
        400,
        "The amount is not an integer number of centavos, or outside the limits of the method.",
        "Send a JSON integer: `125050` is $1,250.50. OXXO takes 1000 to 1000000.",
    ),
    "invalid_clabe": ErrorCode(
        400,
        "A CLABE has 18 digits. A wrong check digit is 422 `invalid_request`.",
        "Send 18 digits without separators.",
    ),
    "idempotency_key_required": ErrorCode(
        400,
        "A request that moves or reserves money came without `Idempotency-Key`.",
        "Send one value for each thing you want done, for example your order's number, and the same one when you "
        "repeat the request.",
    ),
    "invalid_cursor": ErrorCode(
        400,
        "This is not a cursor. One of another list or of other filters is 422 `invalid_request`.",
        "Use `next_cursor` of the previous page with the same filters, or start without a cursor.",
    ),
    "search_too_broad": ErrorCode(
        422,
        "Searching the payments that match the filters took longer than 5 seconds and was stopped.",
        "Narrow by `created_at`, give more characters of `q`, or use `external_id`. Lists are complete or refused, "
        "never silently cut.",
    ),
    "request_timeout": ErrorCode(
        408,
        "The body did not arrive within 10 seconds.",
        "Nothing was done. Repeat the request with the same Idempotency-Key.",
    ),
    "authentication_required": ErrorCode(
        401, "The request carries no API key.", "Send `Authorization: Bearer sk_test_…`."
    ),
    "invalid_api_key": ErrorCode(
        401,
        "This API key does not exist, has expired or was revoked.",
        "Check that the whole key was copied. Create another one in the back office if it was revoked.",
    ),
    "key_scope_insufficient": ErrorCode(
        403,
        "The key lacks the scope that this operation needs.",
        "Use a key with the scope that the operation names.",
    ),
    "merchant_suspended": ErrorCode(403, "The merchant is suspended.", "Contact us."),
    "kyc_required": ErrorCode(
        403,
        "Live money needs an approved verification (KYC).",
        "Finish your verification; until then use a test key.",
    ),
    "ip_not_allowed": ErrorCode(
        403,
        "The key may not be used from this address.",
        "Call from an address on the key's list, or have the list changed.",
    ),
    "not_found": ErrorCode(
        404,
        "This object or address does not exist, or not for this key.",
        "Check the id and the mode: a key sees only objects of its own merchant and mode.",
    ),
    "idempotency_in_progress": ErrorCode(
        409,
        "The first request with this Idempotency-Key is still in flight.",
        "Retry after `Retry-After` seconds; you will get its answer.",
    ),
    "illegal_transition": ErrorCode(
        409,
        "The object's current state does not allow this.",
        "Read the object again: a concurrent change came first.",
    ),
    "idempotency_key_reused": ErrorCode(
        422,
        "This Idempotency-Key was used for a different request.",
        "Use a new key for each operation, and retry requests unchanged.",
    ),
    "duplicate_external_id": ErrorCode(
        422,
        "You already have an object with this `external_id` in this mode.",
        "Find it with the filter `external_id`: an earlier request may have succeeded.",
    ),
    "insufficient_funds": ErrorCode(
        422, "The available balance does not cover this.", "Read the balance; wait for deposits or ask for less."
    ),
    "limit_exceeded": ErrorCode(
        422, "This would exceed a limit of your account.", "Lower the amount, wait for the next period, or contact us."
    ),
    "destination_not_allowed": ErrorCode(
        422, "Money cannot be sent to this account.", "It is one of ours: choose the beneficiary's own CLABE."
    ),
    "bank_not_available": ErrorCode(
        422, "This bank takes no transfers by SPEI.", "Ask the beneficiary for a CLABE at a bank of `GET /v1/banks`."
    ),
    "amount_exceeds_refundable": ErrorCode(
        422,
        "The amount exceeds what is left to refund of the payment.",
        "Read `amount_refundable` of the payment: open refunds count too.",
    ),
    "rate_limited": ErrorCode(
        429,
        "Too many requests with this key.",
        "Wait `Retry-After` seconds. `RateLimit-Remaining` shows how many requests are left.",
    ),
    "internal_error": ErrorCode(
        500,
        "An internal error occurred.",
        "Nothing was partially done. Retry with the same Idempotency-Key; if it fails again, send us the `request_id`.",
    ),
    "database_unavailable": ErrorCode(
        503,
        "We are overloaded or our database is unavailable.",
        "Nothing was done. Retry after `Retry-After` seconds with the same Idempotency-Key.",
    ),
    "provider_unavailable": ErrorCode(
        503,
        "The payment provider could not be reached and did nothing.",
        "Retry after `Retry-After` seconds with the same Idempotency-Key.",
    ),
    "release_pending": ErrorCode(503, "A new version is being released.", "Retry after `Retry-After` seconds."),
}

PROVIDER_ERRORS = {
    "invalid_signature": ErrorCode(
        401, "A provider's notice is not authentic.", "Check the credentials or the key that the provider uses."
    ),
    "invalid_notice": ErrorCode(400, "A provider's notice has no body.", "Send the notice as the body."),
    "unsupported_media_type": ErrorCode(
        415, "The content type of a provider's notice is not JSON.", "Send it as application/json."
    ),
}
"""Returned by provider webhooks only."""

INTERNAL = {"provider_error", "provider_refused"}
"""Codes that are never returned to callers."""
