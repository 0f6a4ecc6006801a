"""The table of transitions, and what is always true of a job's history."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.lifecycle import TERMINAL, TRANSITIONS, IllegalJobTransition, JobEvent, advance
from shared.jobs.model import Job, JobId, JobStatus, Scope

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def new_job() -> Job:
    return Job(id=JobId("j"), scope=Scope("s"), kind="k", due=NOON, created=NOON, changed=NOON)


@given(st.lists(st.sampled_from(JobEvent)))
def test_no_sequence_of_events_leaves_a_terminal_status(events: list[JobEvent]):
    job, ended = new_job(), None
    for event in events:
        try:
            job = advance(job, event, at=NOON)
        except IllegalJobTransition:
            continue
        assert ended is None, f"left {ended} by {event}"
        ended = job.status if job.status in TERMINAL else None


@given(st.lists(st.tuples(st.sampled_from(JobEvent), st.integers(0, 100), st.text(max_size=5)), max_size=200))
def test_history_is_bounded_ordered_and_ends_with_the_status(events: list[tuple[JobEvent, int, str]]):
    job, at = new_job(), NOON
    for event, seconds, reason in events:
        at += timedelta(seconds=seconds)
        try:
            job = advance(job, event, at=at, reason=reason)
        except IllegalJobTransition:
            continue
        assert len(job.history) <= 100
        assert [entry.at for entry in job.history] == sorted(entry.at for entry in job.history)
        if job.history:
            assert job.history[-1].status is job.status
        assert (job.ended is not None) == (job.status in TERMINAL)


@given(st.sampled_from([status for status in JobStatus if status not in TERMINAL]))
def test_every_live_status_can_reach_an_end(status: JobStatus):
    reached, frontier = {status}, [status]
    while frontier:
        for following in TRANSITIONS[frontier.pop()].values():
            if following not in reached:
                reached.add(following)
                frontier.append(following)
    assert reached >= TERMINAL


def test_a_job_that_has_not_begun_is_cancelled_at_once_and_a_running_one_is_asked():
    queued = advance(new_job(), JobEvent.CANCEL_ASKED, at=NOON)
    running = advance(advance(new_job(), JobEvent.PICKED_UP, at=NOON), JobEvent.CANCEL_ASKED, at=NOON)
    assert (queued.status, running.status) == (JobStatus.CANCELLED, JobStatus.CANCELLING)


def test_an_illegal_transition_says_what_the_job_is():
    done = advance(advance(new_job(), JobEvent.PICKED_UP, at=NOON), JobEvent.SUCCEEDED, at=NOON)
    with pytest.raises(IllegalJobTransition, match="Succeeded cannot be asked to cancel"):
        advance(done, JobEvent.CANCEL_ASKED, at=NOON)


def test_a_job_held_back_again_for_the_same_reason_adds_no_line():
    job = new_job()
    for _ in range(50):
        job = advance(job, JobEvent.HELD, at=NOON, reason="5 of 5 jobs are running")
    assert len(job.history) == 1
