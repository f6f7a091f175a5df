"""A colleague's account in a real browser: added, given rights, and made an approver by two people."""

from __future__ import annotations

from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect

from staff.models import AccountChange, AccountProposal
from tests.factories.browser import PASSWORD, fits, signed_in


def test_a_colleague_is_added_and_becomes_an_approver_by_two(page: Page, browser: Browser, address: str) -> None:
    page.goto("/admin/auth/user/add/")
    page.get_by_label("Nombre de usuario").fill("eva")
    page.locator("[name=first_name]").fill("Eva")
    page.locator("[name=last_name]").fill("Ríos")
    page.locator("[name=email]").fill("eva@example.mx")
    page.locator("[name=password1]").fill(PASSWORD)
    page.locator("[name=password2]").fill(PASSWORD)
    assert page.get_by_label("Es staff").is_checked()
    assert fits(page)
    page.get_by_role("button", name="Guardar", exact=True).click()
    page.wait_for_url("**/change/")
    eva = User.objects.get(username="eva")
    assert (eva.get_full_name(), eva.is_staff, eva.check_password(PASSWORD)) == ("Eva Ríos", True, True)

    page.locator("[name=is_superuser]").check()
    page.get_by_role("button", name="Guardar y continuar").click()
    expect(page.get_by_text("debe aprobarlo una segunda persona")).to_be_visible()
    expect(page.locator("[name=is_superuser]")).not_to_be_checked()
    page.goto(f"/admin/auth/user/{eva.pk}/password/")
    expect(page.locator("[name=password1]")).to_be_visible()

    proposed = AccountProposal.objects.get()
    with signed_in(browser, address, "berta", "decide_approval") as other:
        other.goto("/admin/staff/approval/?status__exact=pending")
        expect(other.get_by_text("cuenta eva: superusuario").first).to_be_visible()
        other.get_by_role("link", name=proposed.public_id).click()
        other.get_by_role("link", name="Aprobar").click()
        other.get_by_label("Comentario").fill("Eva es la nueva tesorera.")
        other.get_by_role("button", name="Aprobar cambio de cuenta").click()
        expect(other.get_by_text("Eva es la nueva tesorera.")).to_be_visible()
        assert fits(other)
        other.goto("/admin/staff/accountchange/")
        expect(other.get_by_text("superusuario").first).to_be_visible()
    assert User.objects.get(pk=eva.pk).is_superuser
    assert list(AccountChange.objects.filter(user=eva).values_list("actor__username", flat=True)) == ["ana", "ana"]
