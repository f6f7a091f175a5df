"""A person's data and secrets of ours, pushed through every door that takes any: the log must hold none of them."""

from __future__ import annotations

import json
import re
from importlib import import_module
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from core import clock
from kyc.models import Case
from merchants.models import Merchant
from payments.models import ProviderAccount, Report, ReviewCase
from payments.services import report
from tests.conftest import Api
from tests.web_process import Answer, Web
from webhooks.models import ProviderEvent

CLABE = "012180015025335996"
EMAIL = "canary.person@example.mx"
KEY = "sk_test_" + "Canary0" * 6 + "x"
NAME = "Canaria Zopilote"
PHONE = "5512349876"

_CSRF = "c" * 32


class Staff:
    """A superuser's browser; ``sent`` are the statuses of what it asked."""

    def __init__(self, web: Web) -> None:
        self.web, self.sent = web, []  # type: tuple[Web, list[int]]
        user = User.objects.create_superuser("canaria", EMAIL)
        session = import_module(settings.SESSION_ENGINE).SessionStore()
        session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        self.cookies = f"{settings.SESSION_COOKIE_NAME}={session.session_key}; {settings.CSRF_COOKIE_NAME}={_CSRF}"
        self.secrets = [session.session_key]

    def get(self, path: str) -> Answer:
        answer = self.web.get(path, Cookie=self.cookies)
        self.sent.append(answer.status)
        return answer

    def post(self, path: str, **fields: Any) -> Answer:
        raw = encode_multipart(BOUNDARY, {"csrfmiddlewaretoken": _CSRF, **fields})
        answer = self.web.post(path, raw, **{"Content-Type": MULTIPART_CONTENT, "Cookie": self.cookies})
        self.sent.append(answer.status)
        return answer


def of_clabes_and_reports(web: Web, api: Api) -> tuple[list[int], list[str]]:
    """Reusable CLABEs of this person and a report of her payments; statuses, and the secrets that came back."""
    key = {"Authorization": f"Bearer {api.secret}"}
    sent: list[int] = []

    def ask(path: str, body: Any = None, name: str = "") -> Answer:
        again = {"Idempotency-Key": name} if name else {}
        raw = json.dumps(body).encode()
        answer = web.get(path, **key) if body is None else web.post(path, raw, **again, **key)
        sent.append(answer.status)
        return answer

    person = {"label": f"{NAME} {CLABE}", "customer": {"name": NAME, "email": EMAIL, "phone": PHONE}}
    made = json.loads(ask("/v1/clabes", {**person, "metadata": {NAME: EMAIL}}, "canary-clabe").body)
    ask("/v1/clabes", {**person, "min_amount": NAME, EMAIL: CLABE}, "canary-bad")
    ask(f"/v1/clabes?{urlencode({'label': NAME, 'cursor': KEY})}")
    ask(f"/v1/clabes/{made['id']}")
    ask(f"/v1/clabes/{quote(NAME)}/close", {}, "canary-none")
    ask(f"/v1/clabes/{made['id']}/close", {}, "canary-close")
    ask("/v1/reports", {"type": NAME, "start_date": EMAIL, "end_date": CLABE}, "canary-wrong")
    today = clock.mexico_city_date(clock.now()).isoformat()
    for kind in ("payments", "balance_transactions"):
        days = {"type": kind, "start_date": "2026-01-01", "end_date": today}
        written = json.loads(ask("/v1/reports", days, f"canary-{kind}").body)["id"]
        report.write(Report.objects.get(public_id=written).pk)
        link = urlsplit(json.loads(ask(f"/v1/reports/{written}").body)["file"]["download_url"])
        for address in (f"{link.path}?{link.query}", f"{link.path}?token={KEY}"):
            sent.append(web.get(address).status)
    assert {200, 201, 202, 400, 404} <= set(sent)
    return sent, [link.query.removeprefix("token=")]


def of_staff(web: Web, merchant: Merchant) -> tuple[list[int], list[str]]:
    """Every form of the admin that takes a person's data or makes a secret; statuses, and the secrets it showed."""
    staff = Staff(web)
    staff.post("/admin/merchants/merchant/add/", name=NAME, legal_name=f"{NAME} {EMAIL}")
    staff.post("/admin/merchants/merchant/add/", name="", legal_name=f"{NAME}\0")
    staff.post(f"/admin/merchants/merchant/{merchant.public_id}/change/", name=NAME, legal_name=NAME, status=EMAIL)
    scopes = {"scopes": ["payments:read"], "networks": "", "last_day": ""}
    made = staff.post(f"/admin/merchants/merchant/{merchant.public_id}/new-test-key/", name=NAME, **scopes)
    staff.post(f"/admin/merchants/merchant/{merchant.public_id}/new-test-key/", name=NAME, networks=EMAIL)
    staff.secrets += re.findall(r"sk_test_[\w-]{43}", made.body.decode())
    for page in (
        "payments/payment",
        "payments/deposit",
        "payments/reviewcase",
        "payments/clabe",
        "backoffice/transfer",
    ):
        for text in (NAME, CLABE, EMAIL, KEY):
            staff.get(f"/admin/{page}/?{urlencode({'q': text})}")
        staff.get(f"/admin/{page}/{quote(NAME)}/change/")
    _verify(staff, merchant)
    for case in ReviewCase.objects.all():
        url = f"/admin/payments/reviewcase/{case.public_id}/"
        staff.get(f"{url}change/")
        staff.post(f"{url}assign/", target=NAME, reason=f"{NAME} {EMAIL} {CLABE}", confirmed="yes")
        staff.post(f"{url}assign/", target=merchant.public_id, reason=f"{NAME} {EMAIL} {CLABE}", confirmed="yes")
    for account in ProviderAccount.objects.all():
        url = f"/admin/payments/provideraccount/{account.public_id}/"
        shown = staff.post(f"{url}new-secret/").body.decode() if account.provider == "stp" else ""
        staff.secrets += re.findall(rf"{account.webhook_username}:([\w-]{{20,}})@", shown)
        staff.post(f"{url}add-key/", pem=f"-----BEGIN PUBLIC KEY-----\n{KEY}\n-----END PUBLIC KEY-----")
        staff.post(f"{url}networks/", networks=NAME)
    for event in ProviderEvent.objects.all()[:5]:
        staff.get(f"/admin/webhooks/providerevent/{event.public_id}/change/")
        staff.post(f"/admin/webhooks/providerevent/{event.public_id}/replay/", reason=f"{NAME} {CLABE}")
        staff.post(f"/admin/webhooks/providerevent/{event.public_id}/resolve/", reason=f"{NAME} {CLABE}")
    assert len(set(staff.secrets)) == 3, "the session, a new key and a new secret of STP"
    assert {200, 302} <= set(staff.sent) <= {200, 302, 404}
    return staff.sent, staff.secrets


def _verify(staff: Staff, merchant: Merchant) -> None:
    """A KYC case with this person's papers."""
    staff.post("/admin/kyc/case/add/", merchant=merchant.pk)
    case = Case.objects.get(merchant=merchant)
    url = f"/admin/kyc/case/{case.public_id}/"
    papers = f"%PDF-1.7\n{NAME} {EMAIL} {CLABE}\n%%EOF\n".encode()
    for name, content in ((f"{NAME}.pdf", papers), (f"{NAME} {EMAIL}.exe", NAME.encode())):
        staff.post(f"{url}upload/", document_type="official_id", file=SimpleUploadedFile(name, content))
    staff.post(f"{url}upload/", document_type=NAME, file=SimpleUploadedFile(f"{NAME}.pdf", papers))
    document = case.documents.get()
    staff.get(f"/admin/kyc/document/{document.public_id}/download/")
    staff.post(f"{url}submit/")
    staff.post(f"{url}reject/", reason=f"{NAME} {EMAIL}")
    staff.get(f"{url}change/")
