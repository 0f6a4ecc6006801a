"""Workspaces as ingestion and queries ask for them: by customer id, with keys."""

import base64
from collections.abc import Callable

import pytest

from shared.arm.resource_ids import parse
from shared.identity.shared_keys import InvalidSignature, KeyPair
from shared.loganalytics.workspaces.model import Workspace, WorkspaceNotFound
from shared.loganalytics.workspaces.service import Workspaces
from tests.management.suite import SUBSCRIPTION


def _default(workspaces: Workspaces) -> Workspace:
    return workspaces.create_default(subscription=SUBSCRIPTION, group="oms", name="default", location="local")


def test_making_the_default_workspace_again_finds_it(workspaces: Workspaces):
    made = _default(workspaces)
    assert _default(workspaces) == made
    assert list(workspaces.list()) == [made]
    assert (made.retention_days, made.daily_cap_gb, made.location) == (30, None, "local")


def test_a_workspace_is_found_by_its_customer_id_in_any_case(workspaces: Workspaces):
    made = _default(workspaces)
    assert workspaces.by_customer_id(made.customer_id.upper()) == made
    assert workspaces.by_resource_id(made.resource_id.upper()) == made


@pytest.mark.parametrize("unknown", ["00000000-0000-0000-0000-00000000dead", "", "a/b", "x" * 2000])
def test_an_unknown_customer_id_is_refused(unknown: str, workspaces: Workspaces):
    with pytest.raises(WorkspaceNotFound):
        workspaces.by_customer_id(unknown)
    with pytest.raises(WorkspaceNotFound):
        workspaces.keys(unknown)


def test_a_workspace_has_two_keys_of_64_bytes_that_storage_never_sees(workspaces: Workspaces):
    made = _default(workspaces)
    keys = workspaces.keys(made.customer_id)
    assert len(base64.b64decode(keys.primary)) == len(base64.b64decode(keys.secondary)) == 64
    assert keys.primary != keys.secondary
    stored = str(list(workspaces.storage.table("omsworkspaces").query()))
    assert keys.primary not in stored
    assert keys.secondary not in stored


def test_regenerating_one_key_leaves_the_other(workspaces: Workspaces):
    made = _default(workspaces)
    before = workspaces.keys(made.customer_id)
    after = workspaces.regenerate_key(made.customer_id, "primary")
    assert after.primary != before.primary
    assert after.secondary == before.secondary
    assert workspaces.keys(made.customer_id) == after


def test_a_key_that_another_process_made_is_good_at_once(workspaces: Workspaces):
    made = _default(workspaces)
    old = workspaces.keys(made.customer_id)
    workspaces.clock.sleep(3)
    new = _another_process(workspaces).regenerate_key(made.customer_id, "primary")
    assert workspaces.keys(made.customer_id) == old, "this process still keeps the keys it read"
    workspaces.check(made.customer_id, _signed_by(new.primary))
    assert workspaces.keys(made.customer_id) == new


def test_bad_signatures_read_the_keys_afresh_once_in_two_seconds_at_most(workspaces: Workspaces):
    made = _default(workspaces)
    workspaces.keys(made.customer_id)
    workspaces.clock.sleep(3)
    with pytest.raises(InvalidSignature):
        workspaces.check(made.customer_id, _signed_by("nobody's"))
    new = _another_process(workspaces).regenerate_key(made.customer_id, "primary")
    with pytest.raises(InvalidSignature):
        workspaces.check(made.customer_id, _signed_by(new.primary))
    workspaces.clock.sleep(3)
    workspaces.check(made.customer_id, _signed_by(new.primary))
    assert workspaces.keys(made.customer_id) == new


def _another_process(seen: Workspaces) -> Workspaces:
    return Workspaces(storage=seen.storage, resources=seen.resources, box=seen.box, clock=seen.clock)


def _signed_by(key: str) -> Callable[[KeyPair], None]:
    def check(keys: KeyPair) -> None:
        if key not in (keys.primary, keys.secondary):
            raise InvalidSignature("the signature is not one of this workspace's keys'")

    return check


def test_a_change_by_another_process_is_seen_within_30_seconds(workspaces: Workspaces):
    made = _default(workspaces)
    assert workspaces.by_customer_id(made.customer_id) == made
    resource = workspaces.resources.get(parse(made.resource_id))
    workspaces.resources.remove(resource.id)
    workspaces.clock.sleep(31)
    with pytest.raises(WorkspaceNotFound):
        workspaces.by_customer_id(made.customer_id)


def test_a_creation_that_stopped_after_the_keys_leaves_nothing_visible(workspaces: Workspaces):
    target = parse(
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/oms/providers/Microsoft.OperationalInsights/workspaces/default"
    )
    stray = workspaces.prepare()
    workspaces.enroll(stray, target)
    made = _default(workspaces)
    with pytest.raises(WorkspaceNotFound):
        workspaces.by_customer_id(stray)
    assert workspaces.by_customer_id(made.customer_id) == made
