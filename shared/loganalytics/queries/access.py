"""Whose records a caller may ask for: a workspace by any of its names, or a resource by way of the workspaces it sends to."""

from dataclasses import dataclass

from shared.arm.resource_ids import parse
from shared.identity.model import AuthorizationFailed, Principal
from shared.identity.service import Identity
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.queries.scope import FindWorkspace, PathNotFound, ScopeRefused
from shared.loganalytics.workspaces.model import Workspace, WorkspaceNotFound
from shared.loganalytics.workspaces.service import Workspaces, is_workspace

READ = "Microsoft.OperationalInsights/workspaces/query/read"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceScope:
    """`resource` None: the resource is a workspace itself, and all its records are meant."""

    workspaces: list[WorkspaceId]
    resource: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAccess:
    workspaces: Workspaces
    identity: Identity

    def finder(self, principal: Principal) -> FindWorkspace:
        """Looks workspaces up for one caller, and refuses those it may not read."""

        def find(name: str) -> WorkspaceId:
            workspace = self._named(name, principal)
            try:
                self.identity.authorize(principal, READ, workspace.resource_id)
            except AuthorizationFailed as refused:
                raise ScopeRefused(
                    f"The provided credentials have insufficient access to perform the requested operation on {name}: "
                    f"{refused.message}",
                    target=name,
                ) from None
            return workspace.customer_id

        return find

    def resource(self, principal: Principal, resource_id: str) -> ResourceScope:
        """The workspaces of the caller that may hold records of a resource. ScopeRefused, PathNotFound."""
        wanted = parse(resource_id)
        if is_workspace(wanted):
            return ResourceScope(workspaces=[self.finder(principal)(resource_id)], resource=None)
        readable = [workspace.customer_id for workspace in self.readable(principal)]
        if not readable:
            raise ScopeRefused("The provided credentials may not query any workspace", target=resource_id)
        return ResourceScope(workspaces=readable, resource=resource_id)

    def readable(self, principal: Principal) -> list[Workspace]:
        """The workspaces whose records the caller may read, by name."""
        found = [
            workspace
            for workspace in self.workspaces.list()
            if self.identity.access.allows(principal, READ, workspace.resource_id)
        ]
        return sorted(found, key=lambda workspace: workspace.name.lower())

    def _named(self, name: str, principal: Principal) -> Workspace:
        try:
            if name.startswith("/"):
                return self.workspaces.by_resource_id(name)
            return self.workspaces.by_customer_id(name)
        except WorkspaceNotFound:
            pass
        # Names repeat from group to group: the caller's own workspace is meant, and nobody's that only took its name.
        called = [each for each in self.workspaces.list() if each.name.lower() == name.lower()]
        readable = [each for each in called if self.identity.access.allows(principal, READ, each.resource_id)]
        if len(readable) > 1:
            raise ScopeRefused(
                f"{len(readable)} workspaces are called {name}: name one by its id or resource id",
                target=name,
            )
        if called:
            return (readable or called)[0]
        raise PathNotFound(
            f"The requested path does not exist: no workspace is known as {name[:200]}", target=name[:200]
        )
