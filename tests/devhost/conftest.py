"""A host of the sample app for tests of HTTP alone; those of queues and timers start their own on Azurite."""

from collections.abc import Iterator

import pytest

from tests.devhost.running import RunningHost

collect_ignore = ["sample_app"]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host without queues and timers."""
    host = RunningHost.start(
        tmp_path_factory.mktemp("web"), settings={"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "100000"}
    )
    yield host
    host.kill()
