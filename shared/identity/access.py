"""Who may do what where: role assignments at a scope, and the decision for one action."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Final

from shared.identity.builtin_roles import BY_ID, Role, role_named
from shared.identity.model import ROOT, AuthorizationFailed, ObjectId, Principal
from shared.kernel.clock import Clock
from shared.kernel.errors import Category, OmsError
from shared.kernel.versions import check_version
from shared.storage.ports import Row, RowExists, Storage, Table

TABLE: Final = "omsroleassignments"
VERSION: Final = 1
KEEP_SECONDS: Final = 30.0


class RoleAssignmentNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "RoleAssignmentNotFound"


class RoleAssignmentExists(OmsError):
    """The same role, principal and scope are assigned already, under another name."""

    category = Category.CONFLICT
    code = "RoleAssignmentExists"


class RoleDefinitionDoesNotExist(OmsError):
    code = "RoleDefinitionDoesNotExist"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAssignment:
    """`scope` is a subscription, group or resource id (or `/`) in its original spelling, `name` a GUID."""

    name: str
    scope: str
    role_id: str
    principal_id: ObjectId
    principal_type: str = "ServicePrincipal"
    created_by: str = ""


@dataclass(slots=True, kw_only=True)
class RoleAssignments:
    """Assignments by principal. A change is seen by every process within 30 seconds, by this one at once."""

    storage: Storage
    clock: Clock
    _kept: dict[str, tuple[float, Sequence[RoleAssignment]]] = field(
        default_factory=dict[str, tuple[float, Sequence[RoleAssignment]]]
    )
    _lock: Lock = field(default_factory=Lock)

    def add(self, assignment: RoleAssignment) -> RoleAssignment:
        """Doing it again with the same name changes nothing. RoleAssignmentExists, RoleDefinitionDoesNotExist."""
        if assignment.role_id not in BY_ID:
            raise RoleDefinitionDoesNotExist(
                f"the role definition {assignment.role_id} does not exist", target="roleDefinitionId"
            )
        for other in self.of(assignment.principal_id):
            if (
                other.name != assignment.name
                and other.role_id == assignment.role_id
                and other.scope.lower() == assignment.scope.lower()
            ):
                raise RoleAssignmentExists("The role assignment already exists.", target=other.name)
        try:
            self._table.insert(assignment.principal_id.lower(), assignment.name.lower(), _values(assignment))
        except RowExists:
            known = _assignment(self._table.get(assignment.principal_id.lower(), assignment.name.lower()))
            if (known.scope.lower(), known.role_id) != (assignment.scope.lower(), assignment.role_id):
                raise RoleAssignmentExists(
                    "a role assignment's scope and role cannot be changed", target=assignment.name
                ) from None
        self._forget(assignment.principal_id)
        return assignment

    def of(self, principal: ObjectId) -> Sequence[RoleAssignment]:
        key, now = principal.lower(), self.clock.monotonic()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and now - kept[0] < KEEP_SECONDS:
            return kept[1]
        try:
            found = [_assignment(row) for row in self._table.query(key)]
        except OmsError as refused:
            if refused.category is not Category.INVALID:
                raise
            found = []  # an object id that cannot be a key has no assignments
        with self._lock:
            if len(self._kept) > 4096:
                self._kept.clear()
            self._kept[key] = (now, found)
        return found

    def all(self) -> Iterator[RoleAssignment]:
        for row in self._table.query():
            yield _assignment(row)

    def named(self, scope: str, name: str) -> RoleAssignment:
        """RoleAssignmentNotFound."""
        for each in self.all():
            if each.name.lower() == name.lower() and each.scope.lower() == scope.lower():
                return each
        raise RoleAssignmentNotFound(f"the role assignment {name} is not found at {scope}", target=name)

    def remove(self, assignment: RoleAssignment) -> None:
        self._table.delete(assignment.principal_id.lower(), assignment.name.lower())
        self._forget(assignment.principal_id)

    @property
    def _table(self) -> Table:
        return self.storage.table(TABLE)

    def _forget(self, principal: ObjectId) -> None:
        with self._lock:
            self._kept.pop(principal.lower(), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The decision for one call."""

    assignments: RoleAssignments

    def allows(self, principal: Principal, action: str, scope: str) -> bool:
        """Whether a role of the token, or one assigned at `scope` or above it, carries `action` (a data action too)."""
        return any(role_allows(role, action) for role in self._roles(principal, scope))

    def authorize(self, principal: Principal, action: str, scope: str = ROOT) -> None:
        """AuthorizationFailed in Azure's words. `scope` is a resource, group or subscription id."""
        if not self.allows(principal, action, scope):
            raise AuthorizationFailed(
                f"The client '{principal.name}' with object id '{principal.object_id}' does not have authorization "
                f"to perform action '{action}' over scope '{scope}' or the scope is invalid.",
                target=scope,
            )

    def _roles(self, principal: Principal, scope: str) -> Iterator[Role]:
        for name in principal.roles:
            if (role := role_named(name)) is not None:
                yield role
        for assignment in self.assignments.of(principal.object_id):
            if covers(assignment.scope, scope):
                yield BY_ID[assignment.role_id]


def covers(assigned: str, scope: str) -> bool:
    """Whether `scope` is `assigned` or below it: whole segments, any case."""
    upper, lower = assigned.rstrip("/").lower(), scope.rstrip("/").lower()
    return lower == upper or lower.startswith(upper + "/")


def role_allows(role: Role, action: str) -> bool:
    if any(_pattern(each).fullmatch(action) for each in role.data_actions):
        return True
    return any(_pattern(each).fullmatch(action) for each in role.actions) and not any(
        _pattern(each).fullmatch(action) for each in role.not_actions
    )


@lru_cache(maxsize=1024)
def _pattern(action: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in action.split("*")), re.IGNORECASE)


def _values(assignment: RoleAssignment) -> dict[str, str | int]:
    return {
        "v": VERSION,
        "name": assignment.name,
        "scope": assignment.scope,
        "roleId": assignment.role_id,
        "principalId": assignment.principal_id,
        "principalType": assignment.principal_type,
        "createdBy": assignment.created_by,
    }


def _assignment(row: Row) -> RoleAssignment:
    check_version("a role assignment", row.values.get("v"), current=VERSION)
    text = {name: str(value) for name, value in row.values.items()}
    return RoleAssignment(
        name=text["name"],
        scope=text["scope"],
        role_id=text["roleId"],
        principal_id=ObjectId(text["principalId"]),
        principal_type=text["principalType"],
        created_by=text.get("createdBy", ""),
    )
