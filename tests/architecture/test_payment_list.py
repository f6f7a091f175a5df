"""A payment's JSON has two writers, Python and PostgreSQL: what one gains, the other needs."""

from __future__ import annotations

import ast
import inspect

from payments.resources import payment, payment_list


def test_both_writers_of_a_payment_write_the_same_members() -> None:
    (function,) = (
        node
        for node in ast.parse(inspect.getsource(payment)).body
        if isinstance(node, ast.FunctionDef) and node.name == "payment"
    )
    written = next(node.value for node in function.body if isinstance(node, ast.Return))
    assert isinstance(written, ast.Dict)
    members = [key.value for key in written.keys if isinstance(key, ast.Constant)]

    assert members == list(payment_list.members()), "add it to payments/resources/payment_list.py too"
