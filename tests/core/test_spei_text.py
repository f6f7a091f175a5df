"""What a concept or a name becomes in a SPEI order, and what no order can carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.mx.spei_text import MAX_LENGTH, UnsendableText, fold

FOLDED = [
    ("Renta de noviembre", "Renta de noviembre"),
    ("Comercializadora Peña Sánchez, S.A. de C.V.", "Comercializadora Pena Sanchez, S.A. de C"),
    ("  María   José ", "Maria Jose"),
    ("Ｐａｇｏ １２", "Pago 12"),
    ("Pago\u00a0No. 5", "Pago No. 5"),
    ("D\u2019Angelo \u2014 \u201cflete\u201d\u2026", 'D\'Angelo - "flete"...'),
    ("e\u0301xito", "exito"),
    ("Straße Ørsted", "Strasse Orsted"),
    ("x" * 39 + " y", "x" * 39),
    ("ñ" * 41, "n" * 40),
]
UNSENDABLE = [
    ("", "blank"),
    (" \u00a0 ", "blank"),
    ("\u0301", "blank"),
    ("a|b", "separator"),
    ("a\uff5cb", "separator"),
    ("a\nb", "control_character"),
    ("a\r\nb", "control_character"),
    ("a\tb", "control_character"),
    ("a\x00b", "control_character"),
    ("a\u2028b", "control_character"),
    ("a\ud800b", "control_character"),
    ("Renta \U0001f3e0", "unsupported_character"),
    ("支付", "unsupported_character"),
    ("Оплата", "unsupported_character"),
    ("a\u200bb", "unsupported_character"),
]


@pytest.mark.parametrize(("text", "folded"), FOLDED)
def test_a_name_is_folded_to_ascii_and_cut(text, folded):
    assert fold(text, cut=True) == folded
    assert fold(folded) == folded


@pytest.mark.parametrize(("text", "code"), UNSENDABLE)
def test_a_text_that_would_break_an_order_is_refused_with_its_reason(text, code):
    for cut in (False, True):
        with pytest.raises(UnsendableText) as refused:
            fold(text, cut=cut)
        assert refused.value.code == code


def test_a_concept_is_measured_after_folding_and_never_cut():
    assert fold("é" * MAX_LENGTH) == "e" * MAX_LENGTH
    assert fold("…" * 13) == "." * 39

    for text in ("a" * 41, "…" * 14, "ﬁ" * 21):
        with pytest.raises(UnsendableText) as refused:
            fold(text)
        assert refused.value.code == "too_long"


@given(st.text(max_size=60), st.booleans())
def test_whatever_is_typed_becomes_sendable_text_or_is_refused(text, cut):
    try:
        folded = fold(text, cut=cut)
    except UnsendableText:
        return

    assert 1 <= len(folded) <= MAX_LENGTH
    assert folded.isascii() and folded.isprintable() and "|" not in folded
    assert folded == folded.strip() and "  " not in folded
    assert fold(folded) == folded
