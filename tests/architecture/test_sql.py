"""No text of SQL is ever built from input: every statement is text of ours, every value a parameter.

An own rule and not semgrep's: semgrep brings 60 packages with pins of its own and takes longer than all other checks
together, and its patterns cannot follow a name to the constant behind it. This one reads the syntax tree: what reaches
``execute`` and its relatives is a literal, a constant (a name in capitals), or put together from such.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT

ROOMS = ["core", "merchants", "ledger", "kyc", "payments", "webhooks", "staff", "backoffice", "reconciliation"]
TAKES_SQL = {
    "execute",
    "executemany",
    "mogrify",
    "copy",
    "raw",
    "extra",
    "RawSQL",
    "SQL",
    "fetch",
    "rows",
    "Sql",
    "send",
}
BUILDERS = {
    "core/writes.py": {"text", "batch_statement_text"},  # core.write_text: names of models; values are $1, $2, …
    "core/statements.py": {"text"},  # its callers are looked at
    "core/write_guard.py": {"sql"},  # passes Django's own statement on
    "merchants/services/api_key.py": {"_by_secrets"},  # names of columns
    "payments/services/payment.py": {"payment_and_merchant"},  # names of columns
    "payments/services/notices/payment_target.py": {"_lock_query"},  # of _KEYS, and names of columns
    "payments/services/payout_lock.py": {"payout_and_merchant"},  # names of columns
    "payments/services/payout_sending.py": {"order_of"},  # the provider's client sends an order, no SQL
    "payments/services/payout_limit.py": {"column_names"},
    "payments/services/notices/order_state_changed.py": {"_lock_query"},  # names of columns
    "payments/services/notices/target.py": {"numbered"},  # its callers are looked at
    "webhooks/inbound/services/store.py": {
        "_find_or_lock_sql",
        "_lock_all_sql",
        "_insert_all_sql",
        "_body_insert",
    },
    "webhooks/outbound/exchange.py": {"_unsent"},  # a socket sends bytes, no SQL
    "webhooks/outbound/services/retention.py": {"statement"},  # constants of its own
    "staff/services/sign_in_limit.py": {"table"},  # a model's own table
    "payments/services/payment_list.py": {"query"},  # statement(): names of CONDITIONS
    "ledger/services/stream.py": {"query"},  # its callers are looked at
    "ledger/services/invariant.py": {"query"},
    "ledger/services/audit.py": {"query"},
    "ledger/services/export.py": {"_transactions"},
    "core/horizon.py": {"query"},  # a counter's own table and columns
}
"""File -> names that hold SQL there although they are no constants. Each was read by a person: keep it short."""


def statements(path: Path) -> Iterator[ast.expr]:
    """The first argument of every call that takes SQL."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            given = [*node.args[:1], *(word.value for word in node.keywords if word.arg in ("sql", "query", "text"))]
            if name in TAKES_SQL and given:
                yield given[0]


def is_ours(node: ast.expr, known: set[str]) -> bool:
    """Whether an expression can only be text that we wrote."""
    match node:
        case ast.Constant():
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.isupper() or name in known
        case ast.JoinedStr(values=values):
            return all(is_ours(v.value if isinstance(v, ast.FormattedValue) else v, known) for v in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return is_ours(left, known) and is_ours(right, known)
        case ast.IfExp(body=body, orelse=orelse):
            return is_ours(body, known) and is_ours(orelse, known)
        case ast.Call(func=ast.Attribute(value=value, attr="encode"), args=[]):
            return is_ours(value, known)
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Attribute(attr="SQL"), args=[text]), attr="format")):
            return is_ours(text, known)  # psycopg.sql quotes what it puts in
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
            return name in known
        case ast.Starred(value=value):
            return is_ours(value, known)
    return False


def constants(path: Path) -> set[str]:
    """Names that only ever stand for text of ours in this file."""
    given: dict[str, bool] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    given[target.id] = given.get(target.id, True) and is_ours(node.value, set())
        elif isinstance(node, ast.arg | ast.For | ast.comprehension | ast.AugAssign):
            target = node if isinstance(node, ast.arg) else node.target
            names = (
                [target.arg]
                if isinstance(target, ast.arg)
                else [inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name)]
            )
            given |= dict.fromkeys(names, False)
    return {name for name, ours in given.items() if ours}


def faults(path: Path, known: set[str]) -> list[str]:
    known = known | constants(path)
    return [f"{path.name}:{found.lineno}" for found in statements(path) if not is_ours(found, known)]


def test_every_statement_is_text_of_ours() -> None:
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "migrations" not in path.parts]

    found = [fault for path in files for fault in faults(path, BUILDERS.get(str(path.relative_to(ROOT)), set()))]

    assert len(files) > 100
    assert found == []


def test_every_exemption_is_needed() -> None:
    needless = [
        f"{file}: {name}"
        for file, names in BUILDERS.items()
        for name in names
        if not faults(ROOT / file, names - {name})
    ]

    assert needless == []


@pytest.mark.parametrize(
    "code",
    [
        'cursor.execute(f"SELECT {name}")',
        'cursor.execute("SELECT " + name)',
        'cursor.execute("SELECT %s" % name)',
        'cursor.execute("SELECT {}".format(name))',
        "cursor.execute(name)",
        "cursor.execute(request.GET['q'])",
        "Payment.objects.raw(build(name))",
        'Payment.objects.extra(where=["x"], select=name) if 0 else cursor.executemany(name, [])',
        'RawSQL(f"lower({name})", [])',
        'sql.SQL(name).format()',
        'fetch(f"SELECT {q}", [])',
    ],
)  # fmt: skip
def test_the_rule_sees_every_way_of_building_one(code: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(code)

    assert faults(path, set()) != []


@pytest.mark.parametrize(
    "code", ['cursor.execute("SELECT %s", [name])', "cursor.execute(_QUERY, [name])", 'fetch(f"{_A} x", [name])']
)
def test_the_rule_lets_parameters_pass(code: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(code)

    assert faults(path, set()) == []
