"""What is generated is current, and what the documents point at is there."""

import re
from pathlib import Path

from scripts import protocols_docs

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def test_the_protocols_page_names_functions_and_tests_that_are_there() -> None:
    assert protocols_docs.DOC.read_text() == protocols_docs.document()


def test_every_link_between_documents_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in LINK.findall(page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 60
