"""One bundle with two workspaces for all tests of this folder."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from devhost.azurite import Azurite
from tests.ingestion.bundle import running
from tests.security.bundle import Two


@pytest.fixture(scope="session")
def two(azurite: Azurite, unused_accounts: Iterator[str]) -> Iterator[Two]:
    connection = azurite.connection_string_of(next(unused_accounts))
    with (
        tempfile.TemporaryDirectory(prefix="oms-security-") as name,
        running(Path(name), connection, tls=False) as bundle,
    ):
        yield Two.over(bundle, connection, Path(name))
