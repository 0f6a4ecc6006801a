"""A job's output: in order, once, over retries and rival writers, and easy to read at any length."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.jobs.leases import FenceBroken
from shared.jobs.model import Job, JobId, Scope
from shared.jobs.output import CONTAINER, OutputCursorInvalid, OutputLog, OutputWriter
from shared.kernel.clock import ManualClock
from shared.storage.memory import MemoryStorage

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
JOB = Job(id=JobId("j1"), scope=Scope("s/1"), kind="k", fence=1, due=NOON, created=NOON, changed=NOON)


@pytest.fixture
def log(storage: MemoryStorage, clock: ManualClock) -> OutputLog:
    return OutputLog(storage.blobs(CONTAINER), clock, JOB.scope, JOB.id)


def writer(log: OutputLog, job: Job = JOB, *, segment_bytes: int = 1 << 26) -> OutputWriter:
    return OutputWriter(log.blobs, job, log.clock, segment_bytes=segment_bytes)


def said(log: OutputLog) -> list[str]:
    return [line.text for line in log.read(limit=10**6).lines]


def say(one: OutputWriter, *texts: str) -> None:
    for text in texts:
        one.write(text)
    one.flush()


def test_lines_come_back_numbered_with_their_streams(log: OutputLog):
    first = writer(log)
    first.write("one\ntwo")
    first.write("bad", stream="Error")
    first.flush()
    lines = log.read().lines
    assert [(line.number, line.stream, line.text) for line in lines] == [
        (1, "Output", "one"),
        (2, "Output", "two"),
        (3, "Error", "bad"),
    ]
    assert first.mark.lines == 3


def test_a_step_run_again_does_not_repeat_what_it_said(log: OutputLog):
    say(writer(log), "a", "b")
    again = writer(log, replace(JOB, fence=2))
    say(again, "a")
    say(again, "b", "c")
    assert said(log) == ["a", "b", "c"]
    assert again.mark.lines == 3


def test_a_step_that_goes_another_way_keeps_both(log: OutputLog):
    say(writer(log), "a", "b")
    say(writer(log, replace(JOB, fence=2)), "a", "x")
    assert said(log) == ["a", "b", "x"]


def test_the_next_step_begins_behind_the_mark(log: OutputLog):
    first = writer(log)
    say(first, "a")
    say(writer(log, replace(JOB, fence=2, output=first.mark)), "a")
    assert said(log) == ["a", "a"]


def test_a_runner_whose_claim_is_over_stops_when_it_meets_the_new_one(log: OutputLog):
    old = writer(log)
    say(old, "a")
    say(writer(log, replace(JOB, fence=2)), "a", "b")
    with pytest.raises(FenceBroken):
        say(old, "b", "c")
    assert said(log) == ["a", "b"]


def test_output_goes_on_in_further_segments(log: OutputLog, storage: MemoryStorage):
    first = writer(log, segment_bytes=200)
    for number in range(20):
        say(first, f"line {number}")
    assert said(log) == [f"line {number}" for number in range(20)]
    assert len([*storage.blobs(CONTAINER).list()]) > 2
    again = writer(log, replace(JOB, fence=2), segment_bytes=200)
    say(again, *(f"line {number}" for number in range(21)))
    assert said(log) == [f"line {number}" for number in range(21)]
    assert [line.text for line in log.tail(7).lines] == [f"line {number}" for number in range(14, 21)]


def test_cursors_read_on_where_they_left_off(log: OutputLog):
    first = writer(log, segment_bytes=300)
    say(first, *(str(number) for number in range(10)))
    for number in range(10, 30):
        say(first, str(number))
    seen: list[str] = []
    cursor = ""
    while page := log.read(cursor, limit=7):
        if not page.lines:
            break
        seen += [line.text for line in page.lines]
        cursor = page.cursor
    assert seen == [str(number) for number in range(30)]
    say(first, "later")
    assert [line.text for line in log.read(cursor).lines] == ["later"]


def test_a_cursor_that_is_none_is_refused(log: OutputLog):
    with pytest.raises(OutputCursorInvalid, match="'next'"):
        log.read("next")


def test_following_waits_for_lines_and_stops_when_the_job_is_over(log: OutputLog, clock: ManualClock):
    say(writer(log), "a")
    cursor = log.read().cursor
    began = clock.monotonic()
    assert log.follow(cursor, wait=15, is_over=lambda: False).lines == []
    assert 15 <= clock.monotonic() - began < 16
    assert log.follow(cursor, wait=15, is_over=lambda: True).lines == []
    assert clock.monotonic() - began < 16

    def says_something() -> bool:
        say(writer(log, replace(JOB, fence=2)), "a", "b")
        return False

    assert [line.text for line in log.follow(cursor, wait=15, is_over=says_something).lines] == ["b"]


def test_a_long_line_is_cut_and_odd_text_survives(log: OutputLog):
    say(writer(log), "x" * 600_000, "€\x00\t\u2028 \ud800 end")
    lines = said(log)
    assert [len(line) for line in lines[:3]] == [262_144, 262_144, 75_712]
    assert lines[3] == "€\x00\t\u2028 ? end"


def test_a_hundred_thousand_lines_are_searched_and_their_end_read_in_few_requests(
    log: OutputLog, storage: MemoryStorage
):
    first = writer(log)
    for number in range(100_000):
        first.write(f"line {number} of many")
    first.write("the NEEDLE is here", stream="Verbose")
    first.flush()
    calls: list[str] = []

    def count(phase: str, operation: str, key: str) -> None:
        del key
        if phase == "before":
            calls.append(operation)

    storage.gate = count
    assert [line.number for line in log.tail(3).lines] == [99_999, 100_000, 100_001]
    assert len(calls) <= 4
    found = log.search("needle")
    assert [(line.number, line.stream) for line in found.lines] == [(100_001, "Verbose")]
    assert len(calls) <= 12
    assert b"".join(log.text()).count(b"\n") == 100_001


def test_deleting_takes_every_segment(log: OutputLog, storage: MemoryStorage):
    first = writer(log, segment_bytes=100)
    for number in range(5):
        say(first, str(number))
    log.delete()
    assert [*storage.blobs(CONTAINER).list()] == []
    assert log.read().lines == []
