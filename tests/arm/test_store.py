"""The resource table: versions, tombstones, big bodies, and pages that concatenate to the whole list."""

from dataclasses import replace

import pytest

from shared.arm.resource_ids import ResourceId, escape
from shared.arm.resources import (
    PreconditionFailed,
    Resource,
    ResourceBeingDeleted,
    ResourceExists,
    ResourceNotFound,
)
from shared.arm.store import ResourceStore, ResourceTooLarge, values_of
from shared.kernel.clock import SystemClock
from shared.kernel.versions import StoredVersionUnsupported
from shared.storage.memory import MemoryStorage
from shared.storage.ports import Insert, Storage

SUBSCRIPTION = "00000000-0000-0000-0000-00000000ABCD"


@pytest.fixture
def store(storage: MemoryStorage) -> ResourceStore:
    return ResourceStore(storage=storage, clock=storage.clock)


def _thing(name: str, *, group: str = "g", **properties: object) -> Resource:
    at = ResourceId(
        subscription=SUBSCRIPTION, group=group, namespace="Microsoft.X", types=("things",), names=(name,)
    )
    return Resource(id=at, location="here", properties=properties)


def test_5000_resources_of_mixed_case_are_listed_whole_in_pages(any_storage: Storage):
    store = ResourceStore(storage=any_storage, clock=SystemClock())
    made = [
        _thing(f"Thing-{n:04}" if n % 2 else f"tHING-{n:04}", group=f"Group{n % 3}", n=n) for n in range(5000)
    ]
    for at in range(0, len(made), 100):
        any_storage.table("omsresources").transact(
            made[0].id.partition,
            [Insert(key=each.id.key, values=values_of(each)) for each in made[at : at + 100]],
        )
    # Neighbours that must not appear: another type that begins alike, a child, another subscription.
    store.insert(replace(made[0], id=replace(made[0].id, types=("thingsToo",))), by="t")
    store.insert(replace(made[0], id=made[0].id.child("parts", "p")), by="t")
    store.insert(replace(made[0], id=replace(made[0].id, subscription="other")), by="t")

    assert _all(store, group=None) == sorted((str(each.id) for each in made), key=_order)
    in_group = [str(each.id) for each in made if each.id.group == "Group1"]
    assert _all(store, group="GROUP1") == sorted(in_group, key=_order)


def _order(resource_id: str) -> tuple[str, str]:
    parts = resource_id.split("/")
    return escape(parts[4]), escape(parts[-1])


def _all(store: ResourceStore, *, group: str | None) -> list[str]:
    found, after = list[str](), None
    while True:
        page = store.page(
            subscription=SUBSCRIPTION.lower(),
            namespace="MICROSOFT.X",
            types=("Things",),
            group=group,
            size=700,
            after=after,
        )
        assert len(page.resources) <= 700
        found += [str(each.id) for each in page.resources]
        after = page.next
        if after is None:
            return found


def test_a_resource_keeps_its_first_spelling_and_its_first_author(store: ResourceStore):
    made = store.insert(_thing("MyThing"), by="ada", by_type="User")
    again = store.replace(replace(_thing("mything", n=1), etag=made.etag), by="bob")
    assert again.id.name == "MyThing"
    assert again.stamp is not None
    assert (again.stamp.created_by, again.stamp.changed_by) == ("ada", "bob")
    assert store.get(_thing("MYTHING").id).properties == {"n": 1}


def test_of_two_writers_with_one_etag_the_second_is_refused(store: ResourceStore):
    made = store.insert(_thing("t"), by="a")
    store.replace(replace(made, tags={"n": "1"}), by="a")
    with pytest.raises(PreconditionFailed):
        store.replace(replace(made, tags={"n": "2"}), by="b")


def test_a_name_that_is_taken_is_refused_in_any_case(store: ResourceStore):
    store.insert(_thing("t", n=1), by="a")
    with pytest.raises(ResourceExists):
        store.insert(_thing("T", n=2), by="b")


def test_a_tombstone_hides_a_resource_and_holds_its_name_until_it_is_removed(store: ResourceStore):
    made = store.insert(_thing("t"), by="a")
    store.bury(made)
    assert store.find(made.id) is None
    with pytest.raises(ResourceNotFound):
        store.get(made.id)
    with pytest.raises(ResourceBeingDeleted):
        store.insert(_thing("t", n=2), by="b")
    assert [each.id for each, _ in store.buried()] == [made.id]
    store.remove(made.id)
    assert store.insert(_thing("t", n=2), by="b").properties == {"n": 2}


def test_a_body_of_several_columns_makes_the_round_trip(store: ResourceStore):
    made = store.insert(_thing("t", query="é" * 50_000), by="a")
    assert store.get(made.id).properties["query"] == "é" * 50_000


def test_a_body_beyond_what_a_row_holds_is_refused_by_name(store: ResourceStore):
    with pytest.raises(ResourceTooLarge):
        store.insert(_thing("t", query="x" * 500_000), by="a")


def test_a_row_of_a_newer_release_is_refused_by_name(store: ResourceStore):
    made = store.insert(_thing("t"), by="a")
    row = store.storage.table("omsresources").get(made.id.partition, made.id.key)
    store.storage.table("omsresources").replace(row, {**row.values, "v": 2})
    with pytest.raises(StoredVersionUnsupported):
        store.get(made.id)


def test_children_are_found_under_their_own_parent_only(store: ResourceStore):
    one, two = _thing("a"), _thing("ab")
    for each in (one, two):
        store.insert(each, by="a")
        store.insert(replace(each, id=each.id.child("parts", "p")), by="a")
        store.insert(replace(each, id=each.id.child("parts", "p").child("screws", "s")), by="a")
    assert [str(each.id) for each in store.children(one.id)] == [
        f"{one.id}/parts/p",
        f"{one.id}/parts/p/screws/s",
    ]
