"""A live server and Chromium pages for tests in a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connections
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.factories.browser import PASSWORD
from tests.web_thread import served

CHROMIUM = Path("/usr/bin/chromium")


ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def address(committed_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of this process and its database."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright keeps an event loop in this thread
    with served() as site:
        yield site


@pytest.fixture
def browser(address: str) -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing = f"{CHROMIUM} is missing: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(f"NO BROWSER TESTS: {missing}")
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()
        connections.close_all()  # while its event loop runs, this thread has connections of its own


@pytest.fixture
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page signed in as a superuser; an error on its console fails the test."""
    User.objects.create_superuser("ana", password=PASSWORD)
    size = getattr(request, "param", {"width": 1440, "height": 900})
    with browser.new_context(base_url=address, locale="es-MX", viewport=size) as context:
        context.set_default_timeout(120_000)
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.goto("/admin/")
        page.get_by_label("Nombre de usuario").fill("ana")
        page.get_by_label("Contraseña").fill(PASSWORD)
        page.get_by_role("button", name="Iniciar sesión").click()
        page.wait_for_url("**/admin/")
        yield page
        assert faults == []
