"""The soak in small; `python -m tests.endtoend.soak --seconds 120` is the whole of it."""

from pathlib import Path

from tests.endtoend.soak import run
from tests.faultproxy import Faults


def test_under_kills_and_broken_storage_every_acknowledged_record_is_found_and_none_twice(
    tmp_path: Path, faulty_connection: str, faults: Faults
) -> None:
    result = run(tmp_path, faulty_connection, faults, seconds=15, seed=11)
    assert result.kills >= 2
    assert result.acknowledged > 50
    assert sum(result.faults.values()) > 10
    assert result.lost == []
    assert result.twice == []
