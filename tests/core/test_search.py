"""Identifiers as people write them: which texts have a joined form, and what it is."""

from __future__ import annotations

import pytest

from core import ids
from core.search import joined, public_id, spellings


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("6461 8015 7000 0035 77", "646180157000003577"),
        ("6461  8015\u00a07000\u202f0035\u200b77", "646180157000003577"),
        ("\ufeff646180157000003577\u200b", "646180157000003577"),
        ("6461-8015\u20107000\u20130035\u221277", "646180157000003577"),
        ("６４６１　８０１５", "64618015"),
        ("9350 7299 1044 32", "93507299104432"),
        ("+52 (55) 1234-5678", "525512345678"),
        ("MBAN 0100 ABC", "MBAN0100ABC"),
        ("ord_ 2x7hP 9", "ord_2x7hP9"),
        ("2026-11-000123", "20261100 0123".replace(" ", "")),
    ],
)
def test_separators_leave_an_identifier(written: str, meant: str) -> None:
    assert joined(written) == meant
    assert spellings(written) == [written, meant]


@pytest.mark.parametrize(
    "written",
    ["646180157000003577", " 646180157000003577 ", "María Peña", "A-17", "1 2 3", "mp_@tienda.mx 123", "", " ",
     "\u200b", "calle ñandú 123456", "100% de 5000"],
)  # fmt: skip
def test_other_texts_have_one_spelling(written: str) -> None:
    assert joined(written) is None
    assert spellings(written) == [written]


def test_a_public_id_is_known_in_groups_and_in_capitals() -> None:
    found = ids.new_id("payment")

    for written in (found, found.capitalize(), found.upper(), f" {found[:10]} {found[10:]}\u200b", f"\u00a0{found}"):
        assert public_id(written) == found
    assert public_id(found[:-1]) is None
    assert public_id("646180157000003577") is None
