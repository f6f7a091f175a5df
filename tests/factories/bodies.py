"""Hostile bodies for parsers."""

from __future__ import annotations

HOSTILE_BODIES = {
    "empty": b"",
    "not JSON": b"monto=10",
    "cut short": b'{"monto": 10',
    "two objects": b"{}{}",
    "an array": b"[]",
    "a text": b'"abono"',
    "null": b"null",
    "not UTF-8, not JSON": b'{"a": \xff}',
    "UTF-16, cut short": '{"a": 1}'.encode("utf-16")[:-1],
    "half of a surrogate pair in UTF-16": b'\xff\xfe{\0"\0\x00\xd8"\0:\x001\0}\0',
    "NUL between tokens": b'{"a": 1\0}',
    "a raw line break in a number": b'{"a": 1\n2}',
    "deep lists": b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep objects": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
}
