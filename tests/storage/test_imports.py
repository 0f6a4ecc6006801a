"""Importing storage costs nothing of Azure's SDK until a service is used, and then only that service's."""

import subprocess
import sys

import pytest

from devhost.azurite import REPO

PROGRAM = """
import sys
from shared.storage.azure import AzureStorage
account = AzureStorage.from_connection_string(
    "DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=a2V5;EndpointSuffix=core.windows.net"
)
{use}
print(sorted(name for name in sys.modules if name in ("azure.core", "azure.storage.blob", "azure.storage.queue", "azure.data.tables")))
"""


@pytest.mark.parametrize(
    ("use", "imported"),
    [
        ("", []),
        ("account.blobs('box')", ["azure.core", "azure.storage.blob"]),
        ("account.table('rows')", ["azure.core", "azure.data.tables"]),
        ("account.queue('work')", ["azure.core", "azure.storage.queue"]),
    ],
)
def test_only_the_sdk_of_the_service_in_use_is_imported(use: str, imported: list[str]):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(use=use)], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(imported)
