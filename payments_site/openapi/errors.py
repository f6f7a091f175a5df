"""Every error code of the merchant API: its status, what it means, what to do about it.

The page ``/v1/docs`` shows them under ``#error-<code>``, where the ``type`` of each problem points.
tests/architecture/test_openapi.py names each code of the sources that is missing here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code: the status it comes with, its meaning, and what the caller does about it."""

    status: int
    meaning: str
    remedy: str


ERRORS = {
    "invalid_request": ErrorCode(
        400,
        "The body, a header or a query parameter is not valid.",
        "Read `errors`: each entry names a field and its fault. Nothing was done; correct the request and send it "
        "again. A malformed request leaves its Idempotency-Key free.",
    ),
    "unknown_field": ErrorCode(
        400,
        "The request names a field or a filter that does not exist.",
        "Look for a typing error in the field that `errors` names, or remove it.",
    ),
    "invalid_amount": ErrorCode(
        400,
        "The amount is not a whole number of centavos, or outside what the method takes.",
        "Send a JSON integer: `125050` is $1,250.50. OXXO takes 1000 to 1000000.",
    ),
    "invalid_clabe": ErrorCode(
        400,
        "This is not a CLABE: 18 digits whose last one checks the others.",
        "Ask for the number again; a digit was mistyped.",
    ),
    "idempotency_key_required": ErrorCode(
        400,
        "A request that moves or reserves money came without `Idempotency-Key`.",
        "Send one value for each thing you want done, for example your order's number, and the same one when you "
        "repeat the request.",
    ),
    "invalid_cursor": ErrorCode(
        400,
        "The cursor does not belong to this list.",
        "Use `next_cursor` of the page before, with the same filters, or begin without a cursor.",
    ),
    "search_too_broad": ErrorCode(
        400,
        "Looking through the payments that the filters leave took longer than 5 seconds and was stopped.",
        "Narrow by `created_at`, give more characters of `q`, or use `external_id`. Nothing was shown or left out "
        "silently: a list is whole or refused.",
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
    "merchant_suspended": ErrorCode(403, "The merchant is suspended.", "Talk to us: nothing else helps."),
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
        "There is no such object or address for this key.",
        "Check the id and the mode: a test key never sees live objects, nor another merchant's.",
    ),
    "idempotency_in_progress": ErrorCode(
        409,
        "The first request with this Idempotency-Key is still being carried out.",
        "Repeat it after `Retry-After` seconds; you will get its answer.",
    ),
    "illegal_transition": ErrorCode(
        409,
        "The object's present state does not allow this.",
        "Read the object again; somebody or something was faster.",
    ),
    "idempotency_key_reused": ErrorCode(
        422,
        "This Idempotency-Key was used for a different request.",
        "Use a fresh key for each thing you want done, and repeat a request unchanged.",
    ),
    "duplicate_external_id": ErrorCode(
        422,
        "You already have an object with this `external_id` in this mode.",
        "Look for it with the filter `external_id`: the earlier request may have succeeded.",
    ),
    "insufficient_funds": ErrorCode(
        422, "The available balance does not cover this.", "Read the balance; wait for deposits or ask for less."
    ),
    "limit_exceeded": ErrorCode(
        422, "This would exceed a limit of your account.", "Ask for less, wait for the next period, or talk to us."
    ),
    "amount_exceeds_refundable": ErrorCode(
        422,
        "More than what is left of the payment cannot go back.",
        "Read `amount_received` and `amount_refunded` of the payment.",
    ),
    "rate_limited": ErrorCode(
        429,
        "Too many requests with this key.",
        "Wait `Retry-After` seconds. `RateLimit-Remaining` says how many are left before it happens.",
    ),
    "internal_error": ErrorCode(
        500,
        "Something went wrong on our side.",
        "Nothing was half done. Repeat the request with the same Idempotency-Key, and name `request_id` if it stays.",
    ),
    "database_unavailable": ErrorCode(
        503,
        "We are overloaded or our database is away.",
        "Nothing was done. Repeat the request after `Retry-After` seconds with the same Idempotency-Key.",
    ),
    "provider_unavailable": ErrorCode(
        503,
        "The payment provider cannot be reached, and was certainly not asked to do anything.",
        "Repeat the request after `Retry-After` seconds with the same Idempotency-Key.",
    ),
    "release_pending": ErrorCode(
        503, "A new version is being released.", "Repeat the request after `Retry-After` seconds."
    ),
}

PROVIDER_ERRORS = {
    "invalid_signature": ErrorCode(
        401, "A provider's notice is not authentic.", "Check the credentials or the key that the provider was given."
    ),
    "invalid_notice": ErrorCode(400, "A provider's notice has no body.", "Send the notice as the body."),
    "unsupported_media_type": ErrorCode(
        415, "A provider's notice calls itself something else than JSON.", "Send it as application/json."
    ),
}
"""What only the addresses of provider webhooks answer."""

INTERNAL = {"provider_error", "provider_refused"}
"""Codes that no caller ever sees."""
