"""Translations of the stored reasons of notices."""

from __future__ import annotations

import pytest
from django.utils.translation import override

from webhooks.inbound.admin.reason import reason_text
from webhooks.inbound.services import inbox, sweeper


@pytest.mark.parametrize(
    ("kept", "read"),
    [
        ("credited", "abonado"),
        ("duplicate", "el mismo dinero otra vez: ya estaba registrado"),
        (inbox.ANOTHER, "otro aviso con este ID decía otra cosa"),
        (sweeper.DROPPED, "su contenido se borró al vencer su plazo de conservación"),
        ("suspended:late", "por identificar: pagado después de vencer o cancelarse el pago"),
        ("conflict: it reports USD, the books hold MXN only", "informa USD, los libros solo llevan MXN"),
        ("conflict: order.refunded, which nobody here asked for", "order.refunded sin que lo hayamos solicitado"),
        ("sent again ← ZeroDivisionError", "enviado otra vez ← ZeroDivisionError"),
        ("STP lo corrigió", "STP lo corrigió"),
        ("", ""),
    ],
)
def test_the_inboxs_words_are_spanish_and_a_persons_stay(kept, read):
    with override("es-mx"):
        assert str(reason_text(kept)) == read
