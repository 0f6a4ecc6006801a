"""Syslog as real senders write it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_agent.collect.syslog import parse, takes, unframe

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def read(text: str) -> dict[str, object]:
    return dict(parse(text, now=NOW, computer="here", peer="10.0.0.9"))


def test_rfc5424_example_with_structured_data_is_read() -> None:
    # RFC 5424 section 6.5, example 3
    record = read(
        '<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" '
        'eventSource="Application"] \ufeffAn application event log entry...'
    )
    assert record["Facility"] == "local4"
    assert record["SeverityLevel"] == "notice"
    assert record["HostName"] == "mymachine.example.com"
    assert record["ProcessName"] == "evntslog"
    assert record["SyslogMessage"] == "An application event log entry..."
    assert record["EventTime"] == "2003-10-11T22:14:15.003000Z"


def test_rfc3164_example_is_read_in_the_year_that_makes_it_past() -> None:
    # RFC 3164 section 5.4, example 1
    record = read("<34>Dec 11 22:14:15 mymachine su[230]: 'su root' failed for lonvick on /dev/pts/8")
    assert record["Facility"] == "auth"
    assert record["SeverityLevel"] == "crit"
    assert record["ProcessName"] == "su"
    assert record["ProcessID"] == 230
    assert record["SyslogMessage"] == "'su root' failed for lonvick on /dev/pts/8"
    assert str(record["EventTime"]).startswith("2025-12-1")


def test_what_is_not_syslog_is_kept_whole_as_user_notice() -> None:
    record = read("Use the BFG!")
    assert (record["Facility"], record["SeverityLevel"]) == ("user", "notice")
    assert record["SyslogMessage"] == "Use the BFG!"
    assert record["HostName"] == "10.0.0.9"


@given(st.text())
def test_no_text_is_refused(text: str) -> None:
    assert "SyslogMessage" in read(text)


def test_octet_counted_and_newline_framing_may_be_mixed() -> None:
    messages, rest = unframe(b"11 <13>a\nb c d<13>one\n<13>two\r\n9 <13>")
    assert messages == [b"<13>a\nb c d", b"<13>one", b"<13>two"]
    assert rest == b"9 <13>"


@given(st.lists(st.binary(min_size=1, max_size=40).map(lambda b: b"<13>" + b), max_size=8), st.integers(1, 7))
def test_octet_counted_messages_survive_any_chunking(sent: list[bytes], size: int) -> None:
    stream = b"".join(str(len(message)).encode() + b" " + message for message in sent)
    received: list[bytes] = []
    buffer = b""
    for start in range(0, len(stream), size):
        messages, buffer = unframe(buffer + stream[start : start + size])
        received += messages
    assert received == sent
    assert buffer == b""


@pytest.mark.parametrize(("level", "taken"), [("err", True), ("warning", True), ("info", False)])
def test_a_data_source_takes_its_level_and_what_is_more_severe(level: str, taken: bool) -> None:
    assert takes({"Facility": "cron", "SeverityLevel": level}, {"cron": "warning"}) is taken
    assert takes({"Facility": "mail", "SeverityLevel": level}, {"cron": "warning"}) is False
