"""Every page reads an index, and no more rows than it shows or its filter finds, at any depth: by PostgreSQL's plans.

One merchant of 20,000 payments among others. Nothing here looks at a clock.
"""

from __future__ import annotations

import json
from datetime import timedelta

import psycopg
import pytest
from django.db import connection as application
from psycopg.types.numeric import Int8

from core.api.cursor import to_moment
from payments.services import payment_list
from payments.services.payment_list import Filters
from tests import cluster
from tests.factories.many_payments import HOT, OLDEST, SEED
from tests.problems import assert_problem

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def seeded(merchant, other_merchant, stp, owner):
    owner.execute(SEED, {"hot": merchant.pk, "other": other_merchant.pk, "account": stp.account.pk, "oldest": OLDEST})
    owner.execute(
        "UPDATE payments_payment SET status = 'cancelled', cancelled_at = now() WHERE id IN ("
        "SELECT id FROM payments_payment WHERE merchant_id = %s ORDER BY created_at LIMIT 3)",
        [merchant.pk],
    )
    owner.commit()
    owner.autocommit = True
    owner.execute("VACUUM ANALYZE payments_payment")


@pytest.fixture
def explain(seeded, merchant):
    def plan(filters=Filters(), *, depth=None):  # noqa: B008 - frozen
        """``(indexes, rows read)`` of a page of 50, ``depth`` rows behind the newest."""
        given = filters.given()
        parameters = ['"x"', Int8(merchant.pk), False]
        parameters += [
            Int8(value) if isinstance(value, int) else value for values in given.values() for value in values
        ]
        names = tuple(given)
        if depth is not None:
            names += ("after",)
            parameters += [OLDEST + timedelta(minutes=HOT + 1 - depth), Int8(2**62)]
        return walk(explained(payment_list.statement(names), [*parameters, Int8(51)]))

    return plan


def explained(statement, parameters):
    with (
        psycopg.connect(cluster.url("payments_app"), autocommit=True, prepare_threshold=None) as connection,
        psycopg.RawCursor(connection) as cursor,
    ):
        found = cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", parameters).fetchone()[0]
    return (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]


def walk(node):
    """Index names and rows read from the table below a plan's node; a scan of the whole table has the name "seq"."""
    indexes, rows = set(), 0
    if node["Node Type"] == "Seq Scan":
        indexes.add("seq")
    if "Index Name" in node and node.get("Relation Name") != "payments_clabe":  # looked up only for rows that have one
        indexes.add(node["Index Name"])
    if node.get("Relation Name") == "payments_payment":
        removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        rows += node["Actual Rows"] + removed
    for child in node.get("Plans", ()):
        below = walk(child)
        indexes |= below[0]
        rows += below[1]
    return indexes, rows


def cheap(plan):
    """By an index, and no more than twice the rows of a page."""
    indexes, rows = plan
    return "seq" not in indexes and rows <= 102


def test_no_page_reads_the_whole_table_nor_more_with_depth(explain):
    assert explain() == ({"payment_newest"}, 51)
    assert explain(depth=1) == explain(depth=10_000) == ({"payment_newest"}, 51)
    # Where little is left, its few rows may be sorted.
    assert all(cheap(explain(depth=depth)) for depth in (19_000, 19_900, 19_990, 20_000))
    day = Filters(created_from=OLDEST, created_before=OLDEST + timedelta(minutes=100))
    assert cheap(explain(day))
    assert cheap(explain(day, depth=19_950))

    # A few among many, and none.
    assert explain(Filters(status="cancelled")) == ({"payment_by_status"}, 3)
    assert explain(Filters(status="failed")) == ({"payment_by_status"}, 0)
    assert explain(Filters(method="oxxo")) == ({"payment_by_method"}, 1)
    assert explain(Filters(amount_from=10_000 + HOT - 4, amount_to=10_000 + HOT)) == ({"payment_by_amount"}, 5)
    assert explain(Filters(amount_from=10**9)) == ({"payment_by_amount"}, 0)
    assert explain(Filters(external_id="ord-c4ca4238a0")) == ({"payment_external_id_unique"}, 1)

    # Many: the first page of them.
    assert cheap(explain(Filters(status="pending"), depth=10_000))
    assert cheap(explain(Filters(amount_from=1)))
    assert cheap(explain(Filters(external_id_prefix="ord-"), depth=15_000))


def test_a_rare_text_is_found_by_index_and_a_frequent_one_by_scan(explain):
    indexes, rows = explain(Filters(external_id_prefix="ord-c4c"))
    assert (indexes, rows < 30) == ({"payment_external_id_unique"}, True)

    indexes, rows = explain(Filters(q="c4ca4238a0"))
    assert (indexes, 1 <= rows < 30) == ({"payment_search"}, True)
    assert explain(Filters(q="nowhere at all")) == ({"payment_search"}, 0)
    assert explain(Filters(q="zz")) == ({"payment_search"}, 0)
    assert explain(Filters(q="00000007"))[0] == {"payment_search"}
    assert cheap(explain(Filters(q="Cliente")))

    # In groups: the index is asked for both spellings.
    for clabe in ("6461 8015 7000 0000 07", "6461-8015-7000-0000-07", "6461\u00a08015\u00a07000\u00a00000\u00a007"):
        assert explain(Filters(q=clabe)) == explain(Filters(q="646180157000000007"))
    assert explain(Filters(q="zzz 9999 qqq")) == ({"payment_search"}, 0)


def few(merchant, prefix):
    """What the first page of a prefix reads if only a few have it: ``(indexes, rows)``."""
    parameters = ['"x"', Int8(merchant.pk), False, prefix, prefix + "\U0010ffff" * 100, Int8(51)]
    return walk(explained(payment_list.statement_of_few(), parameters))


def test_a_prefix_reads_and_counts_no_more_than_a_few(seeded, merchant):
    index = {"payment_external_id_unique"}

    assert few(merchant, "ord-c4") == (index, 2 * 83)  # counted in the index, then read
    assert few(merchant, "ord-c4ca4238a0") == (index, 2)
    assert few(merchant, "zzz") == (index, 0)
    # Too many: counted up to the limit, and none is read.
    assert few(merchant, "ord-c") == (index, payment_list.FEW + 1)
    assert few(merchant, "ord-") == (index, payment_list.FEW + 1)


def test_a_prefix_finds_the_same_however_many_have_it(seeded, merchant, owner):
    for prefix in ("ord-", "ord-c", "ord-c4", "ord-c4c", "zzz"):
        wanted = owner.execute(
            "SELECT public_id FROM payments_payment WHERE merchant_id = %s AND starts_with(external_id, %s)"
            " ORDER BY created_at DESC, id DESC LIMIT 300",
            [merchant.pk, prefix],
        ).fetchall()
        filters = Filters(external_id_prefix=prefix)

        found, after, more = [], None, True
        while more and len(found) < 300:
            page = payment_list.page(merchant, livemode=False, filters=filters, after=after, limit=60)
            found += [(one["id"],) for one in json.loads(f"[{page.data}]")]
            more = page.last is not None
            after = (to_moment(page.last[0]), page.last[1]) if more else None

        assert found == wanted


def test_lists_by_place_and_by_external_id_are_planned_once_for_a_connection(seeded, merchant):
    application.close()

    for number in range(30):
        for limit, filters, after in (
            (5 + number, Filters(), (OLDEST + timedelta(minutes=600 * number + 500), 1)),
            (50, Filters(external_id_prefix=f"ord-{number:02}"), None),
            (50, Filters(external_id=f"ord-{number}"), None),
        ):
            payment_list.page(merchant, livemode=False, filters=filters, after=after, limit=limit)

    with application.cursor() as cursor:
        cursor.execute(
            "SELECT custom_plans, generic_plans > 20 FROM pg_prepared_statements"
            " WHERE statement LIKE '%%payments_payment p%%'"
        )
        assert cursor.fetchall() == [(5, True)] * 3


def test_a_search_without_end_is_refused_and_says_what_to_do(api, stp):
    assert api.get("/v1/payments?q=luna").status_code == 200
    with application.cursor() as cursor:
        cursor.execute("SET statement_timeout = '200ms'")
    with psycopg.connect(cluster.url("payments_owner")) as owner:
        owner.execute("LOCK TABLE payments_payment IN ACCESS EXCLUSIVE MODE")

        assert_problem(api.get("/v1/payments?q=luna"), 422, "search_too_broad")
        # A list that no filter makes slow is not the caller's fault.
        assert_problem(api.get("/v1/payments"), 503, "database_unavailable")
    with application.cursor() as cursor:
        cursor.execute("RESET statement_timeout")

    assert api.get("/v1/payments?q=luna").status_code == 200
