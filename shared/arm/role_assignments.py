"""`Microsoft.Authorization`: role definitions and assignments at any scope, over what `shared.identity` keeps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from shared.arm.activity import Activity, ActivityLog
from shared.arm.requests import ArmRequest, ArmResponse, InvalidRequestContent
from shared.arm.resource_ids import InvalidResourceId
from shared.arm.subscriptions import Subscriptions
from shared.identity.access import Access, RoleAssignment, RoleAssignmentNotFound, RoleAssignments, covers
from shared.identity.builtin_roles import BY_ID, Role
from shared.identity.model import ObjectId
from shared.kernel.clock import Clock
from shared.kernel.errors import Category, OmsError
from shared.kernel.ids import NewId, random_id

_MARK: Final = "/providers/microsoft.authorization/"


class RoleDefinitionNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "RoleDefinitionDoesNotExist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """Answers any path that ends in `/providers/Microsoft.Authorization/role…`, whatever scope stands before it."""

    assignments: RoleAssignments
    access: Access
    subscriptions: Subscriptions
    activity: ActivityLog
    clock: Clock
    new_id: NewId = random_id

    def handle(self, request: ArmRequest) -> ArmResponse | None:
        """None: the path is somebody else's."""
        path = request.path.rstrip("/")
        at = path.lower().rfind(_MARK)
        if at < 0:
            return None
        request.check_api_version()
        scope, rest = path[:at] or "/", path[at + len(_MARK) :].split("/")
        if {"", ".", ".."} & set(scope.split("/")[1:]) and scope != "/":
            raise InvalidResourceId(f"'{scope}' has a segment that names nothing", target="scope")
        if scope.lower().startswith("/subscriptions/"):
            self.subscriptions.get(scope.split("/")[2])
        match (rest[0].lower(), request.method, len(rest)):
            case ("roledefinitions", "GET", 1):
                return self._read(request, "roleDefinitions", scope, self._definitions)
            case ("roledefinitions", "GET", 2):
                return self._read(
                    request, "roleDefinitions", scope, lambda _, s: self._definition(s, rest[1])
                )
            case ("roleassignments", "GET", 1):
                return self._read(request, "roleAssignments", scope, self._list)
            case ("roleassignments", "GET", 2):
                return self._read(
                    request,
                    "roleAssignments",
                    scope,
                    lambda _, s: ArmResponse(status=200, body=_shown(self.assignments.named(s, rest[1]))),
                )
            case ("roleassignments", "PUT", 2):
                return self._put(request, scope, rest[1])
            case ("roleassignments", "DELETE", 2):
                return self._delete(request, scope, rest[1])
            case _:
                return None

    def _read(
        self,
        request: ArmRequest,
        kind: str,
        scope: str,
        answer: Callable[[ArmRequest, str], ArmResponse],
    ) -> ArmResponse:
        self.access.authorize(request.principal, f"Microsoft.Authorization/{kind}/read", scope)
        return answer(request, scope)

    def _definitions(self, request: ArmRequest, scope: str) -> ArmResponse:
        text = request.query.get("$filter", "")
        wanted = text.partition("'")[2].rpartition("'")[0].lower() if "rolename" in text.lower() else None
        return ArmResponse(
            status=200,
            body={
                "value": [
                    _definition(role, scope)
                    for role in BY_ID.values()
                    if wanted is None or role.name.lower() == wanted
                ]
            },
        )

    def _definition(self, scope: str, role_id: str) -> ArmResponse:
        role = BY_ID.get(role_id.lower())
        if role is None:
            raise RoleDefinitionNotFound(f"the role definition {role_id} does not exist", target=role_id)
        return ArmResponse(status=200, body=_definition(role, scope))

    def _list(self, request: ArmRequest, scope: str) -> ArmResponse:
        """Those at the scope, above it and below it; with `atScope()` not below."""
        text = request.query.get("$filter", "").lower()
        principal = (
            text.partition("'")[2].partition("'")[0]
            if "principalid" in text or "assignedto" in text
            else None
        )
        found = [
            each
            for each in self.assignments.all()
            if (covers(each.scope, scope) or ("atscope()" not in text and covers(scope, each.scope)))
            and (principal is None or each.principal_id.lower() == principal)
        ]
        return ArmResponse(status=200, body={"value": [_shown(each) for each in found]})

    def _put(self, request: ArmRequest, scope: str, name: str) -> ArmResponse:
        self.access.authorize(request.principal, "Microsoft.Authorization/roleAssignments/write", scope)
        body: dict[str, Any] = request.json()
        properties: dict[str, Any] = body.get("properties") or body
        role_id, principal_id = properties.get("roleDefinitionId"), properties.get("principalId")
        if not isinstance(role_id, str) or not isinstance(principal_id, str) or not principal_id:
            raise InvalidRequestContent(
                "properties.roleDefinitionId and properties.principalId are required."
            )
        made = RoleAssignment(
            name=name,
            scope=scope,
            role_id=role_id.rstrip("/").rsplit("/", 1)[-1].lower(),
            principal_id=ObjectId(principal_id),
            principal_type=str(properties.get("principalType") or "ServicePrincipal"),
            created_by=request.principal.object_id,
        )
        self._record(request, scope, name, "write", "Start")
        self.assignments.add(made)
        self._record(request, scope, name, "write", "Success")
        return ArmResponse(status=201, body=_shown(made))

    def _delete(self, request: ArmRequest, scope: str, name: str) -> ArmResponse:
        self.access.authorize(request.principal, "Microsoft.Authorization/roleAssignments/delete", scope)
        try:
            found = self.assignments.named(scope, name)
        except RoleAssignmentNotFound:
            return ArmResponse(status=204)
        self._record(request, scope, name, "delete", "Start")
        self.assignments.remove(found)
        self._record(request, scope, name, "delete", "Success")
        return ArmResponse(status=200, body=_shown(found))

    def _record(self, request: ArmRequest, scope: str, name: str, verb: str, status: str) -> None:
        parts = scope.split("/")
        at_subscription = len(parts) > 2 and parts[1].lower() == "subscriptions"
        self.activity.write(
            Activity(
                id=self.new_id(),
                at=self.clock.now(),
                operation=f"Microsoft.Authorization/roleAssignments/{verb}",
                status=status,
                caller=request.principal.name,
                caller_ip=request.caller_ip,
                correlation_id=request.correlation_id,
                resource_id=f"{scope.rstrip('/')}/providers/Microsoft.Authorization/roleAssignments/{name}",
                subscription=parts[2] if at_subscription else "",
                group=parts[4] if at_subscription and len(parts) > 4 else "",
            )
        )


def _definition(role: Role, scope: str) -> dict[str, Any]:
    return {
        "id": f"{_subscription_of(scope)}/providers/Microsoft.Authorization/roleDefinitions/{role.id}",
        "type": "Microsoft.Authorization/roleDefinitions",
        "name": role.id,
        "properties": {
            "roleName": role.name,
            "type": "BuiltInRole",
            "description": role.name,
            "assignableScopes": ["/"],
            "permissions": [
                {
                    "actions": list(role.actions),
                    "notActions": list(role.not_actions),
                    "dataActions": list(role.data_actions),
                    "notDataActions": [],
                }
            ],
        },
    }


def _shown(assignment: RoleAssignment) -> dict[str, Any]:
    scope = assignment.scope.rstrip("/")
    return {
        "id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/{assignment.name}",
        "type": "Microsoft.Authorization/roleAssignments",
        "name": assignment.name,
        "properties": {
            "roleDefinitionId": f"{_subscription_of(scope)}/providers/Microsoft.Authorization/roleDefinitions/{assignment.role_id}",
            "principalId": assignment.principal_id,
            "principalType": assignment.principal_type,
            "scope": assignment.scope,
            "createdBy": assignment.created_by,
        },
    }


def _subscription_of(scope: str) -> str:
    return "/".join(scope.split("/")[:3]) if scope.lower().startswith("/subscriptions/") else ""
