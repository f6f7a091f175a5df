"""Fixtures of outbound webhooks."""

from __future__ import annotations

import pytest

from core.horizon import Counter


@pytest.fixture
def visible(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The feed shows the test's own events, although its transaction never ends."""
    monkeypatch.setattr(Counter, "horizon", lambda counter: counter.last() + 1)
