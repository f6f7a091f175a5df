"""Numbers of CLABEs: fetched in batches and used once."""

from __future__ import annotations

import os

from core.writes import fetch
from payments.services import clabe_number


def test_a_handful_costs_one_statement(stp, django_assert_num_queries):
    clabe_number.forget()
    with django_assert_num_queries(2):
        numbers = [clabe_number.take(stp.account) for _ in range(clabe_number.BATCH_SIZE + 1)]

    assert len(set(numbers)) == clabe_number.BATCH_SIZE + 1
    assert fetch("SELECT nextval('payments_clabe_1')", [])[0][0] > max(numbers)


def test_a_number_that_was_given_back_is_handed_out_again_once(stp):
    number = clabe_number.take(stp.account)
    clabe_number.give_back(stp.account, number)

    again = [clabe_number.take(stp.account) for _ in range(2 * clabe_number.BATCH_SIZE)]

    assert again.count(number) == 1


def test_a_child_process_has_none_of_its_parents_numbers(stp):
    clabe_number.take(stp.account)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str(sum(map(len, clabe_number._left.values()))).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reading, 10) == b"0"
    assert sum(map(len, clabe_number._left.values())) > 0
