"""The API's reference is true: its examples are what a running site answers, and the copy in docs/ is the document."""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from payments_site.openapi import complete, document
from payments_site.openapi.complete import operations
from payments_site.openapi.errors import ERRORS, PROVIDER_ERRORS
from payments_site.openapi.markup import inline, to_html
from tests.acceptance.story import Story

pytest_plugins = ["tests.sandbox_process"]
EXAMPLES = Path(complete.__file__).with_name("examples.json")


def test_every_example_is_what_the_running_api_answers(live):
    recorded = Story(live).tell()

    if os.environ.get("RECORD_EXAMPLES"):
        EXAMPLES.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")
        return
    assert recorded == complete.examples(), "The API answers otherwise than its examples say: run `make openapi`."


def test_every_operation_has_an_example():
    known = {operation["operationId"] for _, _, operation in operations(document.document())}
    without = sorted(known - set(complete.examples()))
    unknown = sorted(set(complete.examples()) - known)

    assert not without, f"Add a step to STORY in tests/acceptance/story.py, then run `make openapi`: {without}"
    assert not unknown, f"These operations do not exist any more, run `make openapi`: {unknown}"


def test_the_copy_in_docs_is_the_document():
    assert document.copy().read_bytes() == document.as_bytes(), "docs/openapi.json is behind: run `make openapi`."


def test_the_document_is_made_once_and_asks_no_database():
    """Without a database fixture, any query would fail this test."""
    client = Client()

    first = client.get("/v1/openapi.json")
    again = client.get("/v1/openapi.json", headers={"If-None-Match": first["ETag"]})

    assert (first.status_code, first["Content-Type"]) == (200, "application/json")
    assert first.content == document.as_bytes()
    assert (again.status_code, again.content) == (304, b"")
    assert first["Cache-Control"] == "public, max-age=300"
    assert document.document() is document.document()


class Page(HTMLParser):
    """What a page holds: ids, links, and whatever it would load or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if tag == "a" else []
        self.loads += [str(given[name]) for name in ("src", "href") if tag != "a" and name in given]
        self.inline += [tag] if tag in ("script", "style") else []
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(Client().get("/v1/docs").content.decode())


def test_the_page_explains_every_error_code_where_problems_point(page):
    for code in ERRORS | PROVIDER_ERRORS:
        assert page.ids.count(f"error-{code}") == 1, code


def test_the_page_shows_every_operation_and_no_link_leads_nowhere(page):
    for _, path, operation in operations(document.document()):
        assert page.ids.count(operation["operationId"]) == 1, path
    assert len(page.ids) == len(set(page.ids))
    assert [link for link in page.links if link.startswith("#") and link[1:] not in page.ids] == []


def test_the_page_runs_no_script_and_loads_only_our_style_sheet(page):
    policy = Client().get("/v1/docs")["Content-Security-Policy"]

    assert page.inline == []
    assert [load for load in page.loads if load != "data:,"] == ["/static/openapi/docs.css"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src")
    assert finders.find("openapi/docs.css")


def test_text_in_descriptions_is_shown_not_obeyed():
    for hostile in ("<script>alert(1)</script>", "`<b onclick=x>`", "## <img src=x>", "- <i>\n- &", "```\n<b>\n```"):
        for made in (to_html(hostile), inline(hostile)):
            assert not any(tag in made for tag in ("<script", "<b ", "<b>", "<img", "<i>")), made


def test_examples_show_success_first():
    assert all(found[0]["status"] < 300 for found in complete.examples().values())
