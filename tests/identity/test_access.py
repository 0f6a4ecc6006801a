"""Azure's built-in roles decide, at the scope where they are assigned and below."""

from dataclasses import replace

import pytest

from shared.identity.access import (
    Access,
    RoleAssignment,
    RoleAssignmentExists,
    RoleAssignments,
    RoleDefinitionDoesNotExist,
    covers,
)
from shared.identity.builtin_roles import BY_ID, role_named
from shared.identity.model import Principal
from shared.storage.memory import MemoryStorage

GROUP = "/subscriptions/s1/resourceGroups/Prod"
WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/w1"


@pytest.fixture
def assignments(storage: MemoryStorage) -> RoleAssignments:
    return RoleAssignments(storage=storage, clock=storage.clock)


def _assign(name: str, role: str, scope: str, who: Principal) -> RoleAssignment:
    found = role_named(role)
    assert found is not None
    return RoleAssignment(name=name, scope=scope, role_id=found.id, principal_id=who.object_id)


@pytest.mark.parametrize(
    ("role", "action", "allowed"),
    [
        ("Owner", "Microsoft.Authorization/roleAssignments/write", True),
        ("Contributor", "Microsoft.OperationalInsights/workspaces/write", True),
        ("Contributor", "Microsoft.Authorization/roleAssignments/write", False),
        ("Reader", "Microsoft.OperationalInsights/workspaces/read", True),
        ("Reader", "Microsoft.OperationalInsights/workspaces/sharedKeys/action", False),
        ("Log Analytics Reader", "Microsoft.OperationalInsights/workspaces/query/read", True),
        ("LogAnalyticsReader", "microsoft.operationalinsights/WORKSPACES/query/Heartbeat/read", True),
        ("Log Analytics Reader", "Microsoft.OperationalInsights/workspaces/sharedKeys/read", False),
        ("Log Analytics Contributor", "Microsoft.OperationalInsights/workspaces/sharedKeys/action", True),
        ("Log Analytics Contributor", "Microsoft.RecoveryServices/vaults/write", False),
        ("Monitoring Metrics Publisher", "Microsoft.Insights/Telemetry/Write", True),
        ("Monitoring Metrics Publisher", "Microsoft.OperationalInsights/workspaces/read", False),
        ("Automation Job Operator", "Microsoft.Automation/automationAccounts/jobs/write", True),
        ("Automation Job Operator", "Microsoft.Automation/automationAccounts/runbooks/write", False),
        ("Backup Contributor", "Microsoft.RecoveryServices/vaults/backupJobs/cancel/action", True),
        ("Site Recovery Reader", "Microsoft.RecoveryServices/vaults/replicationJobs/read", True),
        ("No Such Role", "Microsoft.OperationalInsights/workspaces/read", False),
    ],
)
def test_a_role_carries_just_the_actions_that_azure_gives_it(
    role: str, action: str, allowed: bool, assignments: RoleAssignments, ada: Principal
):
    access = Access(assignments=assignments)
    assert access.allows(replace(ada, roles=frozenset({role})), action, WORKSPACE) is allowed


@pytest.mark.parametrize(
    ("assigned", "scope", "covered"),
    [
        ("/", WORKSPACE, True),
        ("/subscriptions/S1", WORKSPACE, True),
        (GROUP.lower(), WORKSPACE, True),
        (WORKSPACE, WORKSPACE.upper(), True),
        (WORKSPACE, GROUP, False),
        ("/subscriptions/s1/resourceGroups/Pro", WORKSPACE, False),
    ],
)
def test_an_assignment_holds_at_its_scope_and_below(assigned: str, scope: str, covered: bool):
    assert covers(assigned, scope) is covered


def test_an_assignment_gives_and_its_removal_takes(assignments: RoleAssignments, ada: Principal):
    nobody = replace(ada, roles=frozenset[str]())
    access = Access(assignments=assignments)
    action = "Microsoft.OperationalInsights/workspaces/write"
    assert not access.allows(nobody, action, WORKSPACE)
    made = assignments.add(_assign("a1", "Contributor", GROUP, ada))
    assert access.allows(nobody, action, WORKSPACE)
    assert not access.allows(nobody, action, "/subscriptions/s1/resourceGroups/Other")
    assignments.remove(made)
    assert not access.allows(nobody, action, WORKSPACE)


def test_assigning_again_changes_nothing_and_a_second_name_for_it_is_a_conflict(
    assignments: RoleAssignments, ada: Principal
):
    made = assignments.add(_assign("a1", "Reader", GROUP, ada))
    assert assignments.add(made) == made
    with pytest.raises(RoleAssignmentExists):
        assignments.add(replace(made, name="a2"))
    with pytest.raises(RoleAssignmentExists):
        assignments.add(replace(made, scope=WORKSPACE))
    assert list(assignments.all()) == [made]


def test_an_unknown_role_definition_is_refused(assignments: RoleAssignments, ada: Principal):
    with pytest.raises(RoleDefinitionDoesNotExist):
        assignments.add(RoleAssignment(name="a", scope=GROUP, role_id="nope", principal_id=ada.object_id))


def test_role_ids_are_the_ones_azure_uses():
    assert len(BY_ID) == 18
    assert BY_ID["b24988ac-6180-42a0-ab88-20f7382dd24c"].name == "Contributor"
