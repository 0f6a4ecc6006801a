"""Secrets open for their asset and version only, and stay readable through rotations."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.identity.key_file import KeyFile
from shared.identity.secrets import SecretBox, SecretUnreadable
from shared.kernel.clock import ManualClock
from shared.kernel.versions import StoredVersionUnsupported
from shared.storage.memory import MemoryStorage


def test_a_secret_opens_for_its_own_path_and_version(box: SecretBox):
    sealed = box.seal(b"hunter2", path="automation/a/variables/x", version=3)
    assert box.open(sealed, path="automation/a/variables/x", version=3) == b"hunter2"
    assert "hunter2" not in sealed


@pytest.mark.parametrize(
    ("path", "version"), [("automation/b/variables/x", 3), ("automation/a/variables/x", 2)]
)
def test_a_ciphertext_moved_to_another_asset_or_version_does_not_open(
    box: SecretBox, path: str, version: int
):
    sealed = box.seal(b"hunter2", path="automation/a/variables/x", version=3)
    with pytest.raises(SecretUnreadable):
        box.open(sealed, path=path, version=version)


def test_what_was_sealed_before_a_rotation_opens_after_it(box: SecretBox, tmp_path: Path):
    before = box.seal(b"old", path="p")
    box.rotate()
    after = box.seal(b"new", path="p")
    KeyFile(tmp_path / "keys").rotate()
    assert box.rewrap() == 2
    fresh = SecretBox(storage=box.storage, wrapper=KeyFile(tmp_path / "keys"), clock=box.clock)
    assert before.split(".")[1] != after.split(".")[1]
    assert (fresh.open(before, path="p"), fresh.open(after, path="p")) == (b"old", b"new")


def test_another_process_reads_what_this_one_sealed(box: SecretBox, tmp_path: Path):
    other = SecretBox(storage=box.storage, wrapper=KeyFile(tmp_path / "keys"), clock=box.clock)
    assert other.open(box.seal(b"s", path="p"), path="p") == b"s"


def test_without_the_key_file_a_secret_is_refused_by_name(
    box: SecretBox, storage: MemoryStorage, clock: ManualClock, tmp_path: Path
):
    sealed = box.seal(b"s", path="p")
    stranger = SecretBox(storage=storage, wrapper=KeyFile(tmp_path / "elsewhere"), clock=clock)
    with pytest.raises(SecretUnreadable, match="key file"):
        stranger.open(sealed, path="p")


def test_a_data_key_of_a_newer_release_is_refused_by_name(
    box: SecretBox, storage: MemoryStorage, clock: ManualClock, tmp_path: Path
):
    sealed = box.seal(b"s", path="p")
    table = storage.table("omsdatakeys")
    row = next(iter(table.query("keys")))
    table.replace(row, {**row.values, "v": 2})
    fresh = SecretBox(storage=storage, wrapper=KeyFile(tmp_path / "keys"), clock=clock)
    with pytest.raises(StoredVersionUnsupported):
        fresh.open(sealed, path="p")


def test_the_key_file_is_readable_by_its_owner_only(box: SecretBox, tmp_path: Path):
    box.seal(b"s", path="p")
    (path,) = (tmp_path / "keys").iterdir()
    assert path.stat().st_mode & 0o077 == 0


@given(st.text(max_size=60))
def test_no_text_that_was_not_sealed_opens(text: str):
    storage = MemoryStorage(ManualClock(_noon()))
    box = SecretBox(storage=storage, wrapper=KeyFile(Path("/nonexistent")), clock=storage.clock)
    with pytest.raises(SecretUnreadable):
        box.open(text, path="p")


def _noon():
    from datetime import UTC, datetime

    return datetime(2026, 3, 4, 12, tzinfo=UTC)
