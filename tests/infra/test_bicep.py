"""The templates keep the policy, and the policy is able to complain."""

from pathlib import Path

import pytest

from scripts import check_bicep

ROOT = Path(__file__).resolve().parents[2]


def test_the_templates_keep_the_policy() -> None:
    found = [finding for path in (ROOT / "infra").rglob("*.bicep") for finding in check_bicep.findings(path)]
    assert found == []


@pytest.mark.parametrize(
    ("file", "said", "instead"),
    [
        ("modules/storage.bicep", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true"),
        ("modules/storage.bicep", "publicAccess: 'None'", "publicAccess: 'Blob'"),
        ("modules/storage.bicep", "'TLS1_2'", "'TLS1_0'"),
        ("modules/vault.bicep", "enablePurgeProtection: true", ""),
        ("modules/app.bicep", "httpsOnly: true", "httpsOnly: false"),
        ("modules/app.bicep", "string(httpConcurrency)", "'1'"),
        ("modules/insights.bicep", "DisableLocalAuth: true", ""),
    ],
)
def test_a_weakened_template_is_found(file: str, said: str, instead: str) -> None:
    text = (ROOT / "infra" / file).read_text()
    assert said in text
    assert list(check_bicep.findings_in(text.replace(said, instead), file))
