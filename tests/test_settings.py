"""The settings are named the same everywhere."""

import re
from pathlib import Path

from scripts import settings_docs
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[1]


def test_docs_and_example_are_what_the_settings_say() -> None:
    assert settings_docs.DOC.read_text() == settings_docs.document()
    assert settings_docs.EXAMPLE.read_text() == settings_docs.example()


def test_infra_sets_every_setting_that_is_not_local() -> None:
    wanted = {
        settings_docs.name_of(field) for field in Settings.model_fields if not settings_docs.is_local(field)
    }
    text = (ROOT / "infra" / "modules" / "app.bicep").read_text()
    named = {name for name in re.findall(r"^\s+(OMS_\w+):", text, re.MULTILINE) if "__" not in name}
    assert named == wanted


def test_every_setting_says_what_it_is_for() -> None:
    assert all(info.description for info in Settings.model_fields.values())
