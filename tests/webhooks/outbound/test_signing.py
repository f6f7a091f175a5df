"""Signatures of webhooks, verified by the public libraries that merchants use."""

from __future__ import annotations

import base64
import json
import subprocess
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.webhooks.outbound import npm
from webhooks.outbound import signing

BODIES = [b"{}", '{"payer":"José Ñandú 🦜"}'.encode(), json.dumps({"text": "x" * 60_000}).encode(), b'{"a":"b.c.d"}\n']

VERIFY_IN_NODE = """
const { Webhook } = require("standardwebhooks");
const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const verdicts = cases.map(({ secret, headers, body }) => {
  try {
    new Webhook(secret).verify(Buffer.from(body, "base64"), headers);
    return true;
  } catch (error) {
    return error.message;
  }
});
console.log(JSON.stringify(verdicts));
"""


def deliveries():
    """(secret to verify with, headers, body, expected verdict)."""
    now = int(time.time())
    old, new, foreign = (signing.new_secret() for _ in range(3))
    for body in BODIES:
        headers = signing.headers([old, new], "evt_0123456789abcdef", now, body)
        yield from ((secret, headers, body, secret != foreign) for secret in (old, new, foreign))
        yield old, headers, body.replace(b"{", b"{ ", 1), False
        yield old, headers | {"webhook-id": "evt_another"}, body, False
        yield old, headers | {"webhook-timestamp": str(now - 1)}, body, False
        yield old, signing.headers([old], "evt_1", now - 3600, body), body, False


@pytest.mark.promise("P15", "deliveries verified by the public libraries; foreign, altered and old ones refused")
def test_the_public_python_library_verifies_our_signatures(trials):
    for secret, headers, body, genuine in deliveries():
        trials.done(unit="deliveries")
        if genuine:
            assert Webhook(secret).verify(body, headers) == json.loads(body)
        else:
            with pytest.raises(WebhookVerificationError):
                Webhook(secret).verify(body, headers)


def test_the_public_node_library_verifies_our_signatures(tmp_path):
    folder = npm.install(tmp_path)
    cases = list(deliveries())
    told = [{"secret": s, "headers": h, "body": base64.b64encode(b).decode()} for s, h, b, _ in cases]

    done = subprocess.run(
        ["node", "-e", VERIFY_IN_NODE], cwd=folder, input=json.dumps(told).encode(), capture_output=True, check=True
    )

    assert [verdict is True for verdict in json.loads(done.stdout)] == [genuine for *_, genuine in cases]


def test_the_signature_is_that_of_the_specification():
    headers = signing.headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_new_secret_is_random_and_valid():
    secrets = {signing.new_secret() for _ in range(100)}

    assert len(secrets) == 100
    for secret in secrets:
        signing.check_secret(secret)
        assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        ("", "begins with whsec_"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begins with whsec_"),
        ("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begins with whsec_"),
        (" whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begins with whsec_"),
        ("whsec_", "not 0"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==", "24 to 64 bytes, not 22"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "not 23"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "not 65"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS_", "base64"),
        ("whsec_MfKQ9r8GKYqrTwjU PD8ILPZIo2LaLaSw", "base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", "base64"),
        ("whsec_ÑfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64"),
    ],
)
def test_a_malformed_secret_is_refused_without_being_quoted(secret, told):
    with pytest.raises(ValueError, match=told) as refused:
        signing.check_secret(secret)

    assert "MfKQ9r8G" not in str(refused.value)
    with pytest.raises(ValueError, match=told):
        signing.headers([signing.new_secret(), secret], "evt_1", 1, b"{}")


@pytest.mark.parametrize("message_id", ["", "evt.1", "evt_1\n", "evt 1", "evt_ñ", "e" * 129])
def test_an_ambiguous_id_is_not_signed(message_id):
    with pytest.raises(ValueError, match="id"):
        signing.headers([signing.new_secret()], message_id, 1, b"{}")


def test_nothing_leaves_unsigned():
    with pytest.raises(ValueError, match="without a secret"):
        signing.headers([], "evt_1", 1, b"{}")
