"""Helpers for tests in a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.models import Permission, User
from playwright.sync_api import Browser, Page

PASSWORD = "una clave larga de prueba"


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def shot(page: Page, name: str) -> None:
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@contextmanager
def signed_in(browser: Browser, address: str, name: str, *codenames: str, width: int = 1440) -> Iterator[Page]:
    """A page of a user who may view everything and has these permissions; an error on its console fails the test."""
    user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
    views = Permission.objects.filter(codename__startswith="view_")
    user.user_permissions.set([*views, *Permission.objects.filter(codename__in=codenames)])
    with browser.new_context(base_url=address, locale="es-MX", viewport={"width": width, "height": 900}) as context:
        context.set_default_timeout(120_000)
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.goto("/admin/")
        page.get_by_label("Nombre de usuario").fill(name)
        page.get_by_label("Contraseña").fill(PASSWORD)
        page.get_by_role("button", name="Iniciar sesión").click()
        page.wait_for_url("**/admin/")
        yield page
        assert faults == []
