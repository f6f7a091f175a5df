"""Every text that a person reads is in the Spanish catalogue, and the compiled catalogue is the one in the tree.

To add a text: write it into locale/es_MX/LC_MESSAGES/django.po and run ``python -m tests.architecture.test_locale``.
"""

from __future__ import annotations

import ast
import gettext
import re
import struct
from collections.abc import Iterator
from http import HTTPStatus
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from core import errors
from core.api.pagination import MAX_LIMIT

ROOT = Path(__file__).resolve().parent.parent.parent
PO = ROOT / "locale" / "es_MX" / "LC_MESSAGES" / "django.po"
MO = PO.with_suffix(".mo")
APPS = ["core", "merchants", "ledger", "payments", "kyc", "webhooks", "staff", "backoffice", "payments_site"]
SPOKEN = ["core/api", "core/mx", "core/errors.py", "core/strict_json.py", "merchants/api", "payments/api"]
SPOKEN += ["merchants/services"]
SPOKEN += ["payments/services", "kyc/services", "core/files.py", "staff/services/approval.py"]
SPOKEN += ["ledger/services/adjustment.py", "ledger/services/invariant.py"]
SPOKEN += ["payments_site/request_body.py", "webhooks/outbound/services", "webhooks/outbound/address.py"]
"""Where a plain sentence may become the text of an error: it is translated when the error is answered."""

_TAG = re.compile(r"(?:{%\s*trans(?:late)?\s+|\b_\()(\"[^\"]*\"|'[^']*')")
_BLOCK = re.compile(r"{%\s*blocktrans(?:late)?\b[^%]*%}(.*?){%\s*endblocktrans(?:late)?\s*%}", re.DOTALL)
_SENTENCE = re.compile(r"[A-Z][^\n]* [^\n]*[.…]\Z")
_PLACEHOLDER = re.compile(r"%\(\w+\)s|%s|\{\w*\}")
_PO_LINE = re.compile(r'(?P<field>msgid|msgstr)? ?"(?P<text>.*)"\Z')


def test_every_text_of_the_project_is_translated() -> None:
    catalogue = read_po()

    missing = sorted(text for text in wanted() if not catalogue.get(text))

    assert missing == []


def test_every_text_that_unfold_leaves_in_english_is_translated() -> None:
    catalogue = read_po()

    missing = sorted(text for text in left_by_unfold() if not catalogue.get(text))

    assert missing == []


def test_no_translation_has_lost_its_text() -> None:
    known = {"", *wanted(), *left_by_unfold()}
    known |= {text for name in SPOKEN for path in sources(ROOT / name) for text in sentences(path, reference=True)}

    assert sorted(set(read_po()) - known) == []


def test_the_compiled_catalogue_is_in_step() -> None:
    assert MO.read_bytes() == compile_mo()

    with MO.open("rb") as file:
        catalogue = gettext.GNUTranslations(file)
    assert catalogue.gettext("pending") == "pendiente"


def test_translations_keep_their_placeholders() -> None:
    for text, translation in read_po().items():
        assert sorted(_PLACEHOLDER.findall(text)) == sorted(_PLACEHOLDER.findall(translation)) or text == "", text


def wanted() -> set[str]:
    """Everything this project says: marked texts, templates, error sentences, names of HTTP statuses."""
    import_module("payments_site.urls")  # and with it every module that may define an error
    texts = {text for app in APPS for path in sources(ROOT / app) for text in marked(path)}
    texts |= {text for path in (ROOT / "templates").rglob("*.html") for text in in_template(path)}
    texts |= {text for name in SPOKEN for path in sources(ROOT / name) for text in sentences(path)}
    texts |= {(error.__doc__ or "").strip().split("\n")[0] for error in error_classes(errors.PaymentsError)}
    texts |= {f"The limit is a number from 1 to {MAX_LIMIT}.", "after_sequence must be the sequence of an event."}
    texts |= {"Unprocessable Entity", "Unprocessable Content"}  # 422 to Python 3.12, and from 3.13 on
    return texts | {HTTPStatus(error.http_status).phrase for error in error_classes(errors.PaymentsError)}


def left_by_unfold() -> set[str]:
    """Texts of unfold that Django's own catalogues do not know: unfold ships none."""
    package = Path((find_spec("unfold") or pytest.fail("unfold is not installed")).submodule_search_locations[0])  # type: ignore[index]
    django = Path((find_spec("django") or pytest.fail("django is not installed")).submodule_search_locations[0])  # type: ignore[index]
    used = [*package.glob("*.py"), *package.glob("mixins/*.py"), *package.glob("contrib/filters/**/*.py")]
    texts = {text for path in used for text in marked(path)}
    pages = [*package.glob("templates/**/*.html"), *package.glob("contrib/filters/**/*.html")]
    pages = [page for page in pages if not page.name.startswith("command")]  # a search that is not switched on
    texts |= {text for path in pages for text in in_template(path)}
    known: set[str] = set()
    for path in [*django.glob("**/locale/es/LC_MESSAGES/django.mo"), *django.glob("**/locale/es_MX/**/django.mo")]:
        with path.open("rb") as file:
            catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        known |= {key if isinstance(key, str) else key[0] for key in catalogue}
    return {text for text in texts - known if text}


def sources(place: Path) -> list[Path]:
    """The Python files below ``place``, or itself."""
    return [place] if place.is_file() else [path for path in place.rglob("*.py") if "migrations" not in path.parts]


def marked(path: Path) -> Iterator[str]:
    """Texts in calls of gettext."""
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("_", "gettext", "gettext_lazy")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def sentences(path: Path, *, reference: bool = False) -> Iterator[str]:
    """Plain sentences that are no docstring, nor (unless asked for) of the API's reference, which is in English."""
    tree = ast.parse(path.read_text())
    spoken = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    spoken |= {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg in ("description", "summary", "help_text") and not reference
        for inner in ast.walk(node.value)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spoken:
            if _SENTENCE.match(node.value):
                yield node.value


def in_template(path: Path) -> Iterator[str]:
    """Texts of translate and blocktranslate tags; of a plural its singular."""
    text = path.read_text()
    yield from (found[1:-1] for found in _TAG.findall(text))
    for block in _BLOCK.findall(text):
        singular = re.split(r"{%\s*plural\s*%}", block)[0]
        yield " ".join(re.sub(r"{{\s*(\w+)\s*}}", r"%(\1)s", singular).split())


def error_classes(base: type[errors.PaymentsError]) -> Iterator[type[errors.PaymentsError]]:
    yield base
    for error in base.__subclasses__():
        yield from error_classes(error)


def read_po() -> dict[str, str]:
    """msgid -> msgstr. Knows what this catalogue uses: no plurals, no contexts."""
    entries: dict[str, str] = {}
    texts = {"msgid": "", "msgstr": ""}
    field = ""
    for line in [*PO.read_text().splitlines(), 'msgid ""']:
        found = _PO_LINE.match(line)
        if found is None:
            continue
        if found["field"] == "msgid":
            if field:
                entries[texts["msgid"]] = texts["msgstr"]
            texts = {"msgid": "", "msgstr": ""}
        field = found["field"] or field
        texts[field] += found["text"].replace('\\"', '"').replace("\\n", "\n")
    return entries


def compile_mo() -> bytes:
    """The catalogue as gettext's machine object: sorted originals, then their translations."""
    entries = sorted((key.encode(), value.encode()) for key, value in read_po().items())
    tables, texts, start = b"", b"", 28 + 16 * len(entries)
    for column in (0, 1):
        for entry in entries:
            tables += struct.pack("<II", len(entry[column]), start + len(texts))
            texts += entry[column] + b"\0"
    return struct.pack("<IIIIIII", 0x950412DE, 0, len(entries), 28, 28 + 8 * len(entries), 0, 0) + tables + texts


if __name__ == "__main__":
    MO.write_bytes(compile_mo())
