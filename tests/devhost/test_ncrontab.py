"""Schedules: every line of the table is what NCrontab 3 and the Functions host say."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.ncrontab import Cron, Every, ScheduleInvalid, parse_schedule

NOON = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * * *", "2026-03-04T12:00:01"),
        ("0 * * * * *", "2026-03-04T12:01:00"),
        ("*/15 * * * * *", "2026-03-04T12:00:15"),
        ("0 */5 * * * *", "2026-03-04T12:05:00"),
        ("0 5/20 * * * *", "2026-03-04T12:05:00"),
        ("0 30 9-16 * * *", "2026-03-04T12:30:00"),
        ("0 0 9 * * Mon-Fri", "2026-03-05T09:00:00"),
        ("0 0 9 * * 1-5", "2026-03-05T09:00:00"),
        ("0 0 9 * * sun,SAT", "2026-03-07T09:00:00"),
        ("0 0 9 * * wednesday", "2026-03-11T09:00:00"),
        ("0 0 0 1 * *", "2026-04-01T00:00:00"),
        ("0 0 0 1 jan *", "2027-01-01T00:00:00"),
        ("0 0 0 * May Mon", "2026-05-04T00:00:00"),
        # Any beginning of a name; the first one wins.
        ("0 0 0 1 j *", "2027-01-01T00:00:00"),
        ("0 0 0 * * t", "2026-03-10T00:00:00"),
        # Both must hold, where cron takes either.
        ("0 0 0 13 * 5", "2026-03-13T00:00:00"),
        ("0 0 0 14 * 5", "2026-08-14T00:00:00"),
        ("0 0 12 29 2 *", "2028-02-29T12:00:00"),
        ("0 0 12 29 2 0", "2032-02-29T12:00:00"),
        ("0 0 0 31 * *", "2026-03-31T00:00:00"),
        ("0 0 0 31 4,5 *", "2026-05-31T00:00:00"),
        # A backward range is the same range.
        ("0 0 16-9 * * *", "2026-03-04T13:00:00"),
        ("0 59-50/3 * * * *", "2026-03-04T12:50:00"),
        ("10,20,40-42 * * * * *", "2026-03-04T12:00:10"),
        ("0 0 */8 * * *", "2026-03-04T16:00:00"),
        ("0 0 0 */10 * *", "2026-03-11T00:00:00"),
        ("0 */0 * * * *", "2026-03-04T12:01:00"),
        ("   0   0  13  *  *  * ", "2026-03-04T13:00:00"),
        # Five fields: no seconds.
        ("*/10 * * * *", "2026-03-04T12:10:00"),
        ("59 59 23 31 12 *", "2026-12-31T23:59:59"),
        # TimeSpans count from the last run.
        ("00:05:00", "2026-03-04T12:05:00"),
        ("00:00:30", "2026-03-04T12:00:30"),
        ("1.00:00:00", "2026-03-05T12:00:00"),
        ("01:30", "2026-03-04T13:30:00"),
        ("24:00:00", "2026-03-28T12:00:00"),
        ("2", "2026-03-06T12:00:00"),
        ("1:02:03:04", "2026-03-05T14:03:04"),
    ],
)
def test_the_next_occurrence_is_what_azure_says(expression: str, expected: str) -> None:
    found = parse_schedule(expression).next_after(NOON)
    assert found is not None
    assert found.isoformat() == f"{expected}+00:00"


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "hello",
        "* * * *",
        "* * * * * * *",
        "60 * * * * *",
        "* 60 * * * *",
        "* * 24 * * *",
        "* * * 0 * *",
        "* * * 32 * *",
        "* * * * 0 *",
        "* * * * 13 *",
        "0 0 0 * * 7",
        "0 0 0 * * mondays",
        "0 0 0 * foo *",
        "0 0 0 L * *",
        "0 0 0 ? * *",
        "0 0 0 15W * *",
        "0 0 0 * * 5#3",
        "1,,2 * * * * *",
        ",1 * * * * *",
        "1- * * * * *",
        "-1 * * * * *",
        "/5 * * * * *",
        "*/x * * * * *",
        "*/ * * * * *",
        "1-5-7 * * * * *",
        "1/2/3 * * * * *",
        "00:00:00",
        "-00:05:00",
        "00:60:00",
        "00:00:61",
        "1.24:00:00",
        "@daily",
    ],
)
def test_what_azure_refuses_is_refused(expression: str) -> None:
    with pytest.raises(ScheduleInvalid):
        parse_schedule(expression)


def test_a_day_that_never_comes_is_never() -> None:
    assert parse_schedule("0 0 0 30 2 *").next_after(NOON) is None


def test_an_occurrence_is_always_later_than_the_instant_asked_about() -> None:
    schedule = parse_schedule("0 0 12 * * *")
    assert schedule.next_after(NOON) == NOON + timedelta(days=1)
    assert schedule.next_after(NOON - timedelta(microseconds=1)) == NOON


def test_an_instant_in_another_zone_is_the_same_instant() -> None:
    elsewhere = datetime.fromisoformat("2026-03-04T13:59:59+02:00")
    assert parse_schedule("0 0 12 * * *").next_after(elsewhere) == NOON


instants = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - the zone is given beside
    lambda at: at.replace(microsecond=0)
)


@st.composite
def expressions_that_fire_at(draw: st.DrawFn, at: datetime) -> str:
    """An expression whose every field has the value of `at`, among others."""
    fields: list[str] = []
    for value, low, high in (
        (at.second, 0, 59),
        (at.minute, 0, 59),
        (at.hour, 0, 23),
        (at.day, 1, 31),
        (at.month, 1, 12),
        (at.isoweekday() % 7, 0, 6),
    ):
        other = draw(st.integers(low, high))
        forms = [
            "*",
            f"{value}",
            f"{other},{value}",
            f"{min(other, value)}-{max(other, value)}",
            f"{value}/7",
        ]
        fields.append(draw(st.sampled_from(forms)))
    return " ".join(fields)


@given(st.data(), instants, st.timedeltas(timedelta(seconds=1), timedelta(days=900)))
def test_no_occurrence_is_passed_over_and_none_is_invented(
    data: st.DataObject, at: datetime, before: timedelta
) -> None:
    schedule = parse_schedule(data.draw(expressions_that_fire_at(at)))
    assert isinstance(schedule, Cron)
    base = at - before
    found = schedule.next_after(base)
    assert found is not None
    assert base < found <= at
    assert found.second in schedule.seconds
    assert found.minute in schedule.minutes
    assert found.hour in schedule.hours
    assert found.day in schedule.days
    assert found.month in schedule.months
    assert found.isoweekday() % 7 in schedule.weekdays
    assert schedule.next_after(found - timedelta(microseconds=1)) == found


@given(st.text("0123456789*/-,:. LW#?jansumo", max_size=30))
def test_any_text_is_a_schedule_or_is_refused_by_name(text: str) -> None:
    try:
        schedule = parse_schedule(text)
    except ScheduleInvalid as refused:
        schedule = refused
    assert isinstance(schedule, Cron | Every) or str(schedule)
