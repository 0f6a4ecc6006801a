"""Files are followed across restarts and rotation, each line once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from oms_agent.collect.files import FileFollower
from oms_agent.collect.journal import JournalReader
from oms_agent.versions import StateUnreadable


class Taken(list[str]):
    def take(self, table: str, records: list[Mapping[str, Any]]) -> None:
        assert table == "App_CL"
        self.extend(str(record.get("RawData", record.get("message"))) for record in records)


def follower(tmp_path: Path, taken: Taken, form: str = "text", pattern: str = "app.log") -> FileFollower:
    return FileFollower(
        "App_CL", str(tmp_path / pattern), form, "here", tmp_path / "state" / "app.json", taken.take
    )


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_only_what_is_written_after_the_first_look_is_taken(tmp_path: Path) -> None:
    log, taken = tmp_path / "app.log", Taken()
    append(log, "old\n")
    source = follower(tmp_path, taken)
    source.poll(at="t")
    append(log, "one\ntwo\nhalf")
    source.poll(at="t")
    assert taken == ["one", "two"]
    append(log, " a line\n")
    source.poll(at="t")
    assert taken == ["one", "two", "half a line"]


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    log, taken = tmp_path / "app.log", Taken()
    append(log, "")
    follower(tmp_path, taken).poll(at="t")
    append(log, "one\n")
    follower(tmp_path, taken).poll(at="t")
    append(log, "two\n")
    follower(tmp_path, taken).poll(at="t")
    assert taken == ["one", "two"]


@pytest.mark.parametrize("pattern", ["app.log", "app.log*"])
def test_rotation_by_rename_loses_and_repeats_nothing(tmp_path: Path, pattern: str) -> None:
    log, taken = tmp_path / "app.log", Taken()
    append(log, "")
    source = follower(tmp_path, taken, pattern=pattern)
    source.poll(at="t")
    append(log, "one\n")
    source.poll(at="t")
    append(log, "last of the old\n")
    log.rename(tmp_path / "app.log.1")
    append(log, "first of the new\n")
    source.poll(at="t")
    source.poll(at="t")
    assert sorted(taken) == ["first of the new", "last of the old", "one"]


def test_rotation_by_truncation_starts_again_at_the_top(tmp_path: Path) -> None:
    log, taken = tmp_path / "app.log", Taken()
    append(log, "")
    source = follower(tmp_path, taken)
    source.poll(at="t")
    append(log, "a long first line\n")
    source.poll(at="t")
    log.write_text("new\n")
    source.poll(at="t")
    assert taken == ["a long first line", "new"]


def test_a_json_log_gives_its_fields_and_keeps_what_is_not_json(tmp_path: Path) -> None:
    log, taken = tmp_path / "app.log", Taken()
    append(log, "")
    source = follower(tmp_path, taken, "json")
    source.poll(at="t")
    append(log, '{"message": "hello", "level": 3}\nnot json\n')
    source.poll(at="t")
    assert taken == ["hello", "not json"]


def test_a_file_made_anew_under_the_same_inode_is_read_from_its_start(tmp_path: Path) -> None:
    log, taken = tmp_path / "app.log", Taken()
    append(log, "")
    source = follower(tmp_path, taken)
    source.poll(at="t")
    append(log, "one\n")
    source.poll(at="t")
    with log.open("r+") as file:
        file.write("two, and longer\n")
    source.poll(at="t")
    assert taken == ["one", "two, and longer"]


def test_a_place_saved_by_a_newer_agent_is_refused_by_name_and_kept(tmp_path: Path) -> None:
    log, taken = tmp_path / "app.log", Taken()
    append(log, "")
    follower(tmp_path, taken).poll(at="t")
    state = tmp_path / "state" / "app.json"
    newer = state.read_text().replace('"v": 1', '"v": 2')
    state.write_text(newer)
    with pytest.raises(StateUnreadable, match=r"app\.json has version 2, newer than the 1 this agent reads"):
        follower(tmp_path, taken)
    assert state.read_text() == newer


def test_a_journal_cursor_comes_back_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state" / "journal.json"
    reader = JournalReader("here", state)
    assert reader.cursor() is None
    reader._next = "s=1;i=2"  # pyright: ignore[reportPrivateUsage] - no journal on every machine that tests
    reader.commit()
    assert JournalReader("here", state).cursor() == "s=1;i=2"
    state.write_text('{"v": 2, "cursor": "s=1;i=2"}')
    with pytest.raises(StateUnreadable, match=r"journal\.json has version 2"):
        JournalReader("here", state).read()
