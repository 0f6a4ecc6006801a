"""Resource ids are read in any case and written as spelled; their keys keep listings apart."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.arm.resource_ids import InvalidResourceId, ResourceId, group_id, parse
from shared.arm.store import listing_prefix
from shared.storage.limits import check_key
from shared.storage.ports import prefix_end

SUBSCRIPTION = "00000000-0000-0000-0000-000000000002"
WORKSPACE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/Prod-RG/providers/Microsoft.OperationalInsights/workspaces/W.1"
names = st.text(
    st.characters(codec="utf-8", exclude_characters="/", exclude_categories=["Cc", "Cs", "Zs"]),
    min_size=1,
    max_size=20,
)


@pytest.mark.parametrize(
    "text",
    [
        WORKSPACE,
        f"{WORKSPACE}/savedSearches/S 1",
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/Prod",
        f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.X/things/T",
    ],
)
def test_an_id_is_written_as_it_was_read(text: str):
    assert str(parse(text)) == text


def test_ids_that_differ_in_case_have_one_key():
    assert parse(WORKSPACE).key == parse(WORKSPACE.upper()).key
    assert parse(WORKSPACE).same(WORKSPACE.upper())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/subscriptions/",
        f"/subscriptions/{SUBSCRIPTION}",
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/",
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/N",
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/N/types",
        f"/subscriptions/{SUBSCRIPTION}//resourceGroups/g",
        "/somewhere/else",
    ],
)
def test_what_is_no_resource_id_is_refused(text: str):
    with pytest.raises(InvalidResourceId):
        parse(text)


@given(names, names)
def test_every_name_makes_a_key_that_storage_takes(group: str, name: str):
    made = _id(group, name)
    check_key(made.key)
    assert parse(str(made)).key == made.key


@given(names, names, names)
def test_a_group_lists_its_own_resources_and_no_others(group: str, other: str, name: str):
    assume(group.lower() != other.lower())
    prefix = listing_prefix("Microsoft.X", ("things",), group, ())
    assert prefix <= _id(group, name).key < prefix_end(prefix)
    assert not prefix <= _id(other, name).key < prefix_end(prefix)


@given(names, names, names)
def test_a_parent_lists_its_own_children_and_no_others(parent: str, other: str, child: str):
    assume(parent.lower() != other.lower())
    prefix = listing_prefix("Microsoft.X", ("things", "parts"), "g", (parent,))
    assert prefix <= _id("g", parent).child("parts", child).key < prefix_end(prefix)
    assert not prefix <= _id("g", other).child("parts", child).key < prefix_end(prefix)


def test_a_group_is_a_resource_whose_id_has_no_provider():
    assert parse(f"/subscriptions/{SUBSCRIPTION}/RESOURCEGROUPS/g") == group_id(SUBSCRIPTION, "g")
    assert parse(WORKSPACE).group_id == group_id(SUBSCRIPTION, "Prod-RG")


def _id(group: str, name: str) -> ResourceId:
    return ResourceId(
        subscription=SUBSCRIPTION, group=group, namespace="Microsoft.X", types=("things",), names=(name,)
    )
