from __future__ import annotations

import pytest

from webhooks.inbound.admin import readable_body


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"cuentaBeneficiario":"646180157000000017"}', '"cuentaBeneficiario": "646180********0017"'),
        (b'{"cuentaBeneficiario":646180157000000017}', '"cuentaBeneficiario": 646180********0017'),
        (b'{"cuentaOrdenante": "5512345678"}', '"cuentaOrdenante": "******5678"'),
        (b'{"x": "4000001234567899"}', '"x": "************7899"'),
        (b'{"monto":1250.50}', '"monto": 1250.50'),
        (b'{"monto":12345678901234567.10}', '"monto": 12345678901234567.10'),
        (b"<script>646180157000000017", "<script>646180********0017"),
        (b"\xff\xfea", "\ufffd\ufffda"),
        (b'{"CuentaOrdenante": "5512345678"}', '"CuentaOrdenante": "******5678"'),
        (b'{"cuenta_ordenante": "5512345678"}', '"cuenta_ordenante": "******5678"'),
        ('{"a": "José 646180157000000017"}'.encode("cp1252"), '"a": "José 646180********0017"'),
        ('{"cuenta": "646180157000000017"}'.encode("utf-16"), '"cuenta": "646180********0017"'),
        (b'\xef\xbb\xbf{"monto":1250.50}', '{\n  "monto": 1250.50'),
        (b'{"a": "b\n\tc"}', '"a": "b\\n\\tc"'),
        (b'{"a": "b\\ud800"}', '"a": "b\ufffd"'),
        ("ñandú".encode(), "ñandú"),
    ],
)
def test_a_body_is_readable_and_every_account_in_it_masked(body: bytes, shown: str) -> None:
    assert shown in readable_body(body)
    assert "646180157000000017" not in readable_body(body)
    readable_body(body).encode()  # a page can hold it


def test_a_body_nested_too_deeply_is_shown_as_it_came() -> None:
    body = b"[" * 30_000

    assert readable_body(body) == body.decode()
