"""A job survives its row, ids sort by time, and what does not fit or is newer is refused by name."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.messages import JobMessage, JobMessageInvalid
from shared.jobs.model import (
    HistoryEntry,
    Job,
    JobError,
    JobId,
    JobStatus,
    OutputMark,
    Progress,
    Scope,
    carries_time,
    derived_job_id,
    new_job_id,
    sort_key,
)
from shared.jobs.rows import JobTooLarge, job_of, values_of
from shared.jobs.store import escape, unescape
from shared.kernel.ids import random_id
from shared.kernel.versions import StoredVersionUnsupported
from shared.storage.memory import MemoryStorage

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20)
instants = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds
json_objects = st.dictionaries(
    words, st.none() | st.booleans() | st.integers() | words | st.lists(words), max_size=4
)


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    return Job(
        id=JobId("one"),
        scope=Scope(draw(words)),
        kind=draw(words),
        subject=draw(words),
        caller=draw(words),
        parent=draw(st.none() | st.just(JobId("p"))),
        parameters=draw(json_objects),
        state=draw(json_objects),
        status=draw(st.sampled_from(JobStatus)),
        reason=draw(words),
        next=draw(words),
        progress=draw(
            st.builds(Progress, phase=words, done=st.integers(0, 9), total=st.none() | st.integers(0, 9))
        ),
        turn=draw(st.integers(0, 2**40)),
        due=draw(instants),
        fence=draw(st.integers(0, 2**40)),
        owner=draw(words),
        until=draw(st.none() | instants),
        attempt=draw(st.integers(0, 9)),
        cancel_requested=draw(st.booleans()),
        held=draw(st.booleans()),
        slots=tuple(draw(st.lists(words, max_size=3))),
        output=draw(st.builds(OutputMark, size=st.integers(0, 2**40))),
        result=draw(st.none() | json_objects),
        error=draw(st.none() | st.builds(JobError, code=words, message=words)),
        created=draw(instants),
        changed=draw(instants),
        started=draw(st.none() | instants),
        ended=draw(st.none() | instants),
        deadline=draw(st.none() | instants),
        history=tuple(
            draw(
                st.lists(
                    st.builds(
                        HistoryEntry,
                        at=instants,
                        status=st.sampled_from(JobStatus),
                        event=words,
                        reason=words,
                    ),
                    max_size=3,
                )
            )
        ),
    )


@given(jobs())
def test_a_job_comes_back_from_its_row_as_it_was(job: Job):
    row = MemoryStorage(_Noon()).table("omsjobs").insert("p", "k", values_of(job))
    assert job_of(row) == job


class _Noon:
    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


def a_job() -> Job:
    return Job(id=JobId("one"), scope=Scope("s"), kind="k", due=NOON, created=NOON, changed=NOON)


def test_a_row_of_a_newer_release_is_refused_by_name(storage: MemoryStorage):
    row = storage.table("omsjobs").insert("p", "k", {**values_of(a_job()), "v": 2})
    with pytest.raises(StoredVersionUnsupported, match="job row has version 2"):
        job_of(row)


def test_parameters_that_do_not_fit_a_row_are_refused():
    with pytest.raises(JobTooLarge, match="parameters of a job have"):
        values_of(
            Job(
                id=JobId("one"),
                scope=Scope("s"),
                kind="k",
                due=NOON,
                created=NOON,
                changed=NOON,
                parameters={"x": "y" * 40_000},
            )
        )


@given(st.lists(instants, min_size=2, max_size=6, unique_by=lambda at: int(at.timestamp() * 1000)))
def test_ids_made_later_sort_first(times: list[datetime]):
    ids = [new_job_id(at, random_id) for at in times]
    newest_first = sorted(ids, key=lambda job_id: sort_key(job_id, NOON))
    assert newest_first == [ids[times.index(at)] for at in sorted(times, reverse=True)]


def test_a_derived_id_is_the_same_for_the_same_cause_and_carries_its_time():
    first, again = derived_job_id(NOON, "schedule", "s1"), derived_job_id(NOON, "schedule", "s1")
    later = derived_job_id(NOON + timedelta(hours=1), "schedule", "s1")
    assert first == again != later
    assert carries_time(first)
    assert not carries_time(JobId(random_id()))


@given(words)
def test_any_text_becomes_a_key_and_comes_back(text: str):
    assert unescape(escape(text)) == text
    assert not set(escape(text)) & set("/\\#?%")


@pytest.mark.parametrize(
    "body", ["no", "[]", '{"v":1}', '{"v":1,"job":1,"scope":"s"}', '{"v":1,"job":"j","scope":"s","turn":"x"}']
)
def test_a_message_that_names_no_job_is_refused(body: str):
    with pytest.raises(JobMessageInvalid):
        JobMessage.decode(body)


def test_a_message_of_a_newer_release_is_refused_by_name():
    with pytest.raises(StoredVersionUnsupported, match="job message has version 2"):
        JobMessage.decode('{"v":2,"job":"j","scope":"s"}')


def test_a_message_names_its_job_and_comes_back():
    message = JobMessage(scope=Scope("s/é"), job_id=JobId("j"), turn=3)
    assert JobMessage.decode(message.encode()) == message
