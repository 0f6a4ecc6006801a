"""Hosts of the sample app: one for HTTP alone, and an Azurite for those with queues and timers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devhost.azurite import Azurite
from tests.devhost.running import RunningHost

collect_ignore = ["sample_app"]


@pytest.fixture(scope="session")
def emulator() -> Iterator[Azurite]:
    with Azurite.start() as running:
        yield running


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host without queues and timers."""
    host = RunningHost.start(
        tmp_path_factory.mktemp("web"), settings={"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "100000"}
    )
    yield host
    host.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
