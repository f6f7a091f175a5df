"""Links within the documents lead somewhere, and every decision has the same form."""

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


def anchors(document: Path) -> set[str]:
    """The ids that GitHub gives to the headings."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(document: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def test_decisions_named_in_code_exist() -> None:
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    sources = [*DOCUMENTS, *(path for folder in folders for path in folder.rglob("*.py"))]
    named = {number for path in sources for number in re.findall(r"(?:adr/|ADR )(\d{4})", path.read_text())}

    assert named - {path.name[:4] for path in DECISIONS} == set()


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.name[:4])
def test_a_decision_has_context_decision_and_consequences(decision: Path) -> None:
    title, *_ = decision.read_text().splitlines()
    sections = re.findall(r"^## (.*)$", decision.read_text(), flags=re.MULTILINE)

    assert title.startswith(f"# {decision.name[:4]}. ")
    assert sections[:3] == ["Context", "Decision", "Consequences"]
    assert sections[3:] in ([], ["Alternatives"])


def test_the_index_lists_every_decision_by_its_title() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    rows = re.findall(r"^\| \[(\d{4})\]\((.*?)\) \| (.*) \|$", index, flags=re.MULTILINE)

    assert rows == [
        (path.name[:4], path.name, path.read_text().splitlines()[0].removeprefix(f"# {path.name[:4]}. "))
        for path in DECISIONS
    ]
