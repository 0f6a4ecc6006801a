"""What every implementation of blobs holds to, in memory and on Azurite."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from shared.storage.ports import (
    BlobChanged,
    BlobExists,
    BlobNotFound,
    Blobs,
    LeaseHeld,
    LeaseLost,
    Storage,
    StorageKeyInvalid,
    StorageLimitExceeded,
)

MINE = "11111111-1111-4111-8111-111111111111"
THEIRS = "22222222-2222-4222-8222-222222222222"


@pytest.fixture
def box(any_storage: Storage) -> Blobs:
    return any_storage.blobs("box")


def test_what_is_put_is_read_back_with_its_etag_and_metadata(box: Blobs):
    info = box.put("a/b.txt", b"bytes", metadata={"kind": "note"})
    assert (info.name, info.size, info.metadata) == ("a/b.txt", 5, {"kind": "note"})
    assert box.read("a/b.txt") == (b"bytes", box.info("a/b.txt"))
    assert box.info("a/b.txt").etag == info.etag
    assert box.info("a/b.txt").metadata == {"kind": "note"}
    assert info.modified.tzinfo == UTC


@pytest.mark.parametrize(
    "name",
    ["plain", "a b+c%20&d=e", "käse/雪/🦊", "with'quote", "a:b@c!$(x),;~", "x" * 1024, "dot.in.name", "?#"],
)
def test_a_name_comes_back_as_it_was_given(box: Blobs, name: str):
    box.put(name, b"1")
    assert box.get(name) == b"1"
    assert [info.name for info in box.list()] == [name]


@pytest.mark.parametrize(
    "name",
    ["", "x" * 1025, "a\\b", "a\nb", "/a", "a/", "a//b", "a/../b", "./a", "a.", "\ud800", "a/" * 300 + "a"],
)
def test_a_name_that_azure_would_refuse_or_change_is_refused(box: Blobs, name: str):
    with pytest.raises(StorageKeyInvalid):
        box.put(name, b"")


@pytest.mark.parametrize(
    "container", ["", "ab", "Box", "a--b", "-ab", "ab-", "a_b", "x" * 64, "$root", "box\n"]
)
def test_a_container_name_that_azure_would_refuse_is_refused(any_storage: Storage, container: str):
    with pytest.raises(StorageKeyInvalid):
        any_storage.blobs(container)


def test_what_is_absent_is_not_found_and_deleting_it_is_fine(box: Blobs):
    for _ in range(2):  # at first without the container, then with it
        with pytest.raises(BlobNotFound):
            box.get("gone")
        with pytest.raises(BlobNotFound):
            box.read("gone")
        with pytest.raises(BlobNotFound):
            box.info("gone")
        box.delete("gone")
        assert list(box.list()) == []
        box.put("here", b"")
        box.delete("here")


def test_an_empty_blob_is_a_blob(box: Blobs):
    box.put("empty", b"")
    assert box.get("empty") == b""
    assert box.get("empty", start=0, length=10) == b""
    assert box.read("empty")[0] == b""


def test_a_range_is_short_at_the_end(box: Blobs):
    box.put("a", b"0123456789")
    assert box.get("a", start=3, length=4) == b"3456"
    assert box.get("a", start=8, length=4) == b"89"
    assert box.get("a", start=7) == b"789"
    assert box.get("a", start=10) == b""
    assert box.get("a", start=99, length=1) == b""
    assert box.get("a", length=0) == b""
    with pytest.raises(StorageLimitExceeded):
        box.get("a", start=-1)


def test_a_blob_beyond_one_request_keeps_its_bytes(box: Blobs):
    data = bytes(range(256)) * (40 * 4096)  # 40 MiB
    box.put("big", data, if_absent=True)
    assert box.get("big") == data
    assert box.get("big", start=len(data) - 3) == data[-3:]
    with pytest.raises(BlobExists):
        box.put("big", data[:-1] + b"x", if_absent=True)
    box.put("big", data[::-1], etag=box.info("big").etag)
    assert box.read("big")[0] == data[::-1]


def test_if_absent_takes_equal_bytes_as_its_own_and_refuses_others(box: Blobs):
    first = box.put("a", b"1", if_absent=True)
    assert box.put("a", b"1", if_absent=True).etag == first.etag
    with pytest.raises(BlobExists):
        box.put("a", b"2", if_absent=True)
    assert box.get("a") == b"1"


def test_of_two_writers_with_the_same_etag_only_the_first_wins(box: Blobs):
    etag = box.put("a", b"1").etag
    newer = box.put("a", b"2", etag=etag)
    with pytest.raises(BlobChanged):
        box.put("a", b"2", etag=etag)  # even with equal bytes: a counter must not lose a step
    assert box.put("a", b"3", etag=newer.etag, metadata={"n": "3"}).metadata == {"n": "3"}
    assert box.info("a").metadata == {"n": "3"}


def test_a_write_is_either_if_absent_or_with_an_etag(box: Blobs):
    with pytest.raises(StorageKeyInvalid):
        box.put("a", b"1", if_absent=True, etag='"0x1"')


def test_an_etag_of_a_blob_that_is_gone_is_refused(box: Blobs):
    etag = box.put("a", b"1").etag
    box.delete("a")
    with pytest.raises(BlobChanged):
        box.put("a", b"2", etag=etag)


def test_of_many_threads_that_put_if_absent_exactly_one_wins(box: Blobs):
    def put(number: int) -> int:
        try:
            box.put("one", str(number).encode(), if_absent=True)
        except BlobExists:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(put, range(16))) == 1


def test_a_listing_is_by_name_and_by_prefix(box: Blobs):
    names = ["a/1", "a/10", "a/2", "b", "A/1", "a.x"]
    for name in names:
        box.put(name, name.encode(), metadata={"n": "1"})
    assert [info.name for info in box.list()] == sorted(names)
    found = list(box.list("a/"))
    assert [info.name for info in found] == ["a/1", "a/10", "a/2"]
    assert found[0] == box.info("a/1")


def test_appends_add_up_and_a_wrong_place_is_refused(box: Blobs):
    assert box.append("log", b"one") == 3
    assert box.append("log", b"two", at=3) == 6
    assert box.append("log", b"") == 6
    with pytest.raises(BlobChanged):
        box.append("log", b"x", at=3)
    assert box.append("log", b"3") == 7
    assert box.get("log") == b"onetwo3"
    assert box.info("log").size == 7


def test_an_append_at_the_start_of_nothing_makes_the_blob(box: Blobs):
    with pytest.raises(BlobChanged):
        box.append("log", b"x", at=1)
    assert box.append("log", b"", at=0) == 0
    assert box.get("log") == b""
    assert box.append("log", b"x", at=0) == 1
    with pytest.raises(BlobChanged):
        box.append("log", b"x", at=0)
    assert box.get("log") == b"x"


def test_a_blob_that_was_put_takes_no_appends(box: Blobs):
    box.put("a", b"1")
    with pytest.raises(BlobExists):
        box.append("a", b"2")
    with pytest.raises(BlobExists):
        box.append("a", b"2", at=1)


def test_appends_from_many_threads_are_all_there_once(box: Blobs):
    def append(number: int) -> int:
        return box.append("log", b"%03d;" % number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(24)))
    assert sorted(box.get("log").decode().rstrip(";").split(";")) == [f"{number:03}" for number in range(24)]


def test_an_append_beyond_the_limit_is_refused(box: Blobs):
    with pytest.raises(StorageLimitExceeded, match="4194305 bytes"):
        box.append("log", bytes(4 * 1024 * 1024 + 1))
    assert box.append("log", bytes(4 * 1024 * 1024)) == 4 * 1024 * 1024


@pytest.mark.parametrize("metadata", [{"Upper": "x"}, {"a-b": "x"}, {"a": "é"}, {"a": " x"}, {"a": "x\n"}])
def test_metadata_that_would_not_come_back_is_refused(box: Blobs, metadata: dict[str, str]):
    with pytest.raises(StorageKeyInvalid):
        box.put("a", b"", metadata=metadata)


def test_metadata_beyond_its_limit_is_refused(box: Blobs):
    with pytest.raises(StorageLimitExceeded):
        box.put("a", b"", metadata={"a": "x" * 9000})


def test_a_lease_shuts_out_others_until_it_is_released(box: Blobs):
    assert box.acquire_lease("lock", seconds=60, lease_id=MINE) == MINE
    assert box.acquire_lease("lock", seconds=60, lease_id=MINE) == MINE
    box.renew_lease("lock", MINE)
    with pytest.raises(LeaseHeld):
        box.acquire_lease("lock", seconds=60)
    with pytest.raises(LeaseLost):
        box.renew_lease("lock", THEIRS)
    box.release_lease("lock", THEIRS)
    box.renew_lease("lock", MINE)
    box.release_lease("lock", MINE)
    box.release_lease("lock", MINE)
    with pytest.raises(LeaseLost):
        box.renew_lease("lock", MINE)
    assert box.acquire_lease("lock", seconds=15) not in {MINE, THEIRS}


def test_a_lease_of_what_is_absent_makes_it_empty(box: Blobs):
    with pytest.raises(LeaseLost):
        box.renew_lease("lock", MINE)
    box.release_lease("lock", MINE)
    box.acquire_lease("lock", seconds=15)
    assert box.get("lock") == b""


def test_a_leased_blob_refuses_writes_and_deletion(box: Blobs):
    etag = box.put("lock", b"1").etag
    lease = box.acquire_lease("lock", seconds=60)
    with pytest.raises(LeaseHeld):
        box.put("lock", b"2")
    with pytest.raises(LeaseHeld):
        box.put("lock", b"2", etag=etag)
    with pytest.raises(LeaseHeld):
        box.delete("lock")
    assert box.get("lock") == b"1"
    box.release_lease("lock", lease)
    box.put("lock", b"2")


def test_a_leased_append_blob_refuses_appends(box: Blobs):
    box.append("log", b"1")
    box.acquire_lease("log", seconds=60)
    with pytest.raises(LeaseHeld):
        box.append("log", b"2")
    assert box.get("log") == b"1"


def test_of_many_threads_one_holds_the_lease(box: Blobs):
    def acquire(_: int) -> int:
        try:
            box.acquire_lease("lock", seconds=60)
        except LeaseHeld:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(acquire, range(8))) == 1


@pytest.mark.parametrize("seconds", [0, 14, 61])
def test_a_lease_lasts_15_to_60_seconds(box: Blobs, seconds: int):
    with pytest.raises(StorageLimitExceeded):
        box.acquire_lease("lock", seconds=seconds)


@pytest.mark.parametrize("lease_id", ["", "mine", MINE.upper().replace("1", "A"), f"{{{MINE}}}"])
def test_a_lease_id_is_a_uuid(box: Blobs, lease_id: str):
    with pytest.raises(StorageKeyInvalid):
        box.acquire_lease("lock", seconds=15, lease_id=lease_id)


def test_modified_is_now(any_storage: Storage):
    assert any_storage.blobs("box").put("a", b"").modified > datetime(2026, 1, 1, tzinfo=UTC) - timedelta(
        days=1
    )
