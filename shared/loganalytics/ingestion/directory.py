"""Workspaces and rules as ingestion asks for them, over those of the management API."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.identity.shared_keys import KeyPair
from shared.kernel.errors import Category, OmsError
from shared.loganalytics.ingestion.ports import (
    IngestionWorkspace,
    RuleDirectory,
    RuleDocument,
    WorkspaceDirectory,
)
from shared.loganalytics.workspaces.model import Workspace, WorkspaceNotFound
from shared.loganalytics.workspaces.service import Workspaces

_GB: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StoredWorkspaces:
    """Implements `WorkspaceDirectory`."""

    workspaces: Workspaces

    def by_customer_id(self, customer_id: str) -> IngestionWorkspace | None:
        try:
            return _seen(self.workspaces.by_customer_id(customer_id))
        except WorkspaceNotFound:
            return None

    def by_resource_id(self, resource_id: str) -> IngestionWorkspace | None:
        try:
            return _seen(self.workspaces.by_resource_id(resource_id))
        except OmsError as refused:
            if refused.category in (Category.NOT_FOUND, Category.INVALID):
                return None
            raise

    def check(self, customer_id: str, check: Callable[[KeyPair], None]) -> None:
        self.workspaces.check(customer_id, check)

    def all(self) -> Sequence[IngestionWorkspace]:
        return [each for each in map(_seen, self.workspaces.list()) if each.is_active]


def _seen(workspace: Workspace) -> IngestionWorkspace:
    cap = workspace.daily_cap_gb
    return IngestionWorkspace(
        id=workspace.customer_id,
        resource_id=workspace.resource_id,
        is_active=workspace.public_ingestion,
        daily_cap=None if cap is None else int(cap * _GB),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesWithDefaults:
    """Implements `RuleDirectory`: the rules that were made, and one for each workspace that nobody needs to make.

    The default rule's id is `dcr-` and the workspace's customer id without dashes.
    """

    made: RuleDirectory
    workspaces: WorkspaceDirectory

    def by_immutable_id(self, immutable_id: str) -> RuleDocument | None:
        rule = self.made.by_immutable_id(immutable_id)
        if rule is not None:
            return rule
        try:
            customer = str(UUID(hex=immutable_id.removeprefix("dcr-")))
        except ValueError:
            return None
        workspace = self.workspaces.by_customer_id(customer)
        return None if workspace is None else default_rule(workspace)


def default_rule(workspace: IngestionWorkspace) -> RuleDocument:
    """The rule that takes a stream for every table of a workspace."""
    scope, _, name = workspace.resource_id.rpartition("/providers/Microsoft.OperationalInsights/workspaces/")
    return RuleDocument(
        immutable_id=f"dcr-{workspace.id.replace('-', '')}",
        resource_id=f"{scope}/providers/Microsoft.Insights/dataCollectionRules/{name}-default",
        properties={},
        default_for=workspace.id,
    )


class NoRules:
    """A `RuleDirectory` of none."""

    def by_immutable_id(self, immutable_id: str) -> RuleDocument | None:  # noqa: ARG002 - the port's signature
        return None
