"""What `append` promises: durable, visible at once, all or none, once."""

from pathlib import Path

import pytest

from shared.kernel.clock import ManualClock
from shared.kql.types import KqlType
from shared.loganalytics.logstore.errors import FrameRefused, TailLimitExceeded
from shared.loganalytics.logstore.model import FrameColumn
from shared.storage.memory import MemoryStorage
from tests.logstore.samples import OTHER, WORKSPACE, ask, frame, numbered, store_on


def test_what_was_appended_is_visible_to_this_process_and_to_another(
    storage: MemoryStorage, clock: ManualClock, tmp_path: Path
):
    one, two = store_on(storage, tmp_path / "1", clock), store_on(storage, tmp_path / "2", clock)
    for first in (0, 10, 20):
        commit = one.append(WORKSPACE, [frame(list(numbered(10, clock, first=first)), clock)])
        assert not commit.repeated
        expected = sorted([(n,) for n in range(first + 10)], key=repr)
        assert ask(one, "N") == expected
        assert ask(two, "N") == expected


def test_a_request_that_is_repeated_is_committed_once_by_any_instance(
    storage: MemoryStorage, clock: ManualClock, tmp_path: Path
):
    one, two = store_on(storage, tmp_path / "1", clock), store_on(storage, tmp_path / "2", clock)
    first = frame(list(numbered(3, clock)), clock, request_id=b"a" * 32)
    second = frame(list(numbered(3, clock, first=3)), clock, request_id=b"b" * 32)
    assert not one.append(WORKSPACE, [first]).repeated
    assert not two.append(WORKSPACE, [second]).repeated
    for store in (one, two):
        for again in (first, second):
            assert store.append(WORKSPACE, [again]).repeated
    assert ask(one, "N") == [(n,) for n in range(6)]


def test_one_workspace_never_sees_anothers_records(
    storage: MemoryStorage, clock: ManualClock, tmp_path: Path
):
    store = store_on(storage, tmp_path, clock)
    store.append(WORKSPACE, [frame([{"N": 1}], clock)])
    store.append(OTHER, [frame([{"N": 2}], clock)])
    assert ask(store, "N") == [(1,)]
    assert ask(store, "N", workspace=OTHER) == [(2,)]


def test_beyond_the_tail_limit_records_are_refused_with_a_time_to_come_again(
    storage: MemoryStorage, clock: ManualClock, tmp_path: Path
):
    store = store_on(storage, tmp_path, clock, tail_limit=1_000)
    store.append(WORKSPACE, [frame(b'[{"N":1}]' + b" " * 900, clock, rows=1)])
    with pytest.raises(TailLimitExceeded) as refused:
        store.append(WORKSPACE, [frame(b'[{"N":2}]' + b" " * 900, clock, rows=1)])
    assert refused.value.retry_after
    assert ask(store, "N") == [(1,)]


def test_frames_that_could_not_be_read_back_are_refused_and_change_nothing(
    storage: MemoryStorage, clock: ManualClock, tmp_path: Path
):
    store = store_on(storage, tmp_path, clock)
    twice = [
        FrameColumn(source=key, name=name, type=KqlType.STRING) for key, name in (("a", "A"), ("b", "a"))
    ]
    bad = [
        frame([{"N": 1}], clock, table=""),
        frame([{"N": 1}], clock, columns=twice),
        frame([{"N": 1}], clock, columns=[FrameColumn(source="", name="x", type=KqlType.STRING)]),
        frame([], clock),
    ]
    for one in bad:
        with pytest.raises(FrameRefused):
            store.append(WORKSPACE, [one])
    assert ask(store, "N") == []
