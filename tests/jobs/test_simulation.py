"""Seeded schedules of crashes, lost answers, duplicates, reordering and time jumps against the real engine."""

import logging
from dataclasses import replace

import pytest

from tests.jobs.bugs import (
    AcknowledgesBeforeDurable,
    CountsWithoutEtag,
    EnqueuesBeforeRow,
    RecordsWithoutFence,
    WithBug,
)
from tests.jobs.schedules import Plan, play
from tests.simulation.world import Faults

SEEDS = range(12)
SOUND = {
    "plain": Plan(),
    "with cancels": Plan(cancels=True),
    # A job that one clock wants to go on "now" is due up to 40 minutes later by another: it takes longer to end.
    "clocks 20 minutes apart": Plan(skew=1_200, max_steps=80_000),
    "crashing often": Plan(faults=Faults(crash=0.03, fail=0, lost=0)),
    "losing many answers": Plan(faults=Faults(lost=0.15)),
    "everything twice and late": Plan(faults=Faults(twice=0.4, late=0.5, crash=0.002)),
    "time in leaps": Plan(faults=Faults(jump=0.15)),
    "one slow worker": Plan(workers=1, firings=6),
}


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of failed steps are the point here, not news."""
    caplog.set_level(logging.CRITICAL)


@pytest.mark.parametrize("name", SOUND)
def test_every_accepted_job_ends_once_in_order_and_alone(name: str):
    failed = {seed: wrong for seed in SEEDS if (wrong := play(seed, SOUND[name]))}
    assert failed == {}


def test_without_a_sweeper_jobs_still_do_nothing_twice():
    """Only what a lost message leaves behind may be left; safety does not hang on the sweeper."""
    for seed in SEEDS:
        wrong = play(seed, Plan(sweeps=False, max_steps=3_000))
        assert [each for each in wrong if "work is left" not in each] == []


QUIET = Faults.none()
DYING = Faults(fail=0, lost=0, crash=0.03)
# Each bug, and the same plan without it: the one is noticed, the other has nothing to notice.
BUGS = {
    "the message is deleted first": (
        Plan(deletes_first=True, sweeps=False, faults=DYING),
        Plan(sweeps=False, faults=DYING),
    ),
    "a step is recorded without its fence": (
        Plan(make_engine=WithBug(engine=RecordsWithoutFence), faults=Faults(jump=0.1)),
        Plan(faults=Faults(jump=0.1)),
    ),
    "ids are random where they should follow from the cause": (Plan(random_ids=True), Plan()),
    "the message goes before the row": (
        Plan(make_engine=WithBug(engine=EnqueuesBeforeRow), sweeps=False, faults=QUIET),
        Plan(sweeps=False, faults=QUIET),
    ),
    "slots are counted without etag": (
        Plan(make_engine=WithBug(slots=CountsWithoutEtag), firings=6, workers=5, faults=QUIET),
        Plan(firings=6, workers=5, faults=QUIET),
    ),
    "a start is acknowledged before it is durable": (
        Plan(make_engine=WithBug(engine=AcknowledgesBeforeDurable), faults=Faults(fail=0.15)),
        Plan(faults=Faults(fail=0.15)),
    ),
    "nobody sweeps and messages are lost": (
        Plan(sweeps=False, faults=Faults(fail=0.15)),
        Plan(faults=Faults(fail=0.15)),
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_simulation_catches_that(bug: str):
    plan, cure = (replace(plan, max_steps=4_000) for plan in BUGS[bug])
    caught = next((seed for seed in range(80) if play(seed, plan)), None)
    assert caught is not None, f"80 schedules do not notice that {bug}"
    assert play(caught, cure) == []


def test_the_same_seed_is_the_same_schedule():
    plan, _ = BUGS["slots are counted without etag"]
    caught = next(seed for seed in range(80) if play(seed, plan))
    assert play(caught, plan) == play(caught, plan)
