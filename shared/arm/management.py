"""The management API: from a request to its resource type, past the checks that all types share, to the answer."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from shared.arm.activity import Activity, ActivityLog
from shared.arm.declarations import Call, Draft, ResourceType, RouteCall, Verb
from shared.arm.deletion import Deletions
from shared.arm.drafts import asked, check_conditions, patched
from shared.arm.envelopes import envelope
from shared.arm.filters import compile_filter
from shared.arm.operations import LongOperation, LongOperations, OperationState, accepted
from shared.arm.paging import Continuations, page_size
from shared.arm.registry import Collection, Item, Operated, Registry, fill
from shared.arm.requests import ArmRequest, ArmResponse
from shared.arm.resource_ids import ResourceId, group_id, parse
from shared.arm.resources import (
    ParentResourceNotFound,
    PreconditionFailed,
    Resource,
    ResourceExists,
    ResourceGroupNotFound,
    ResourceNotFound,
)
from shared.arm.role_assignments import Authorization
from shared.arm.store import ResourceStore
from shared.arm.subscriptions import Subscriptions
from shared.identity.access import Access
from shared.kernel.clock import Clock
from shared.kernel.errors import Category, OmsError
from shared.kernel.ids import NewId, random_id

log = logging.getLogger(__name__)

ATTEMPTS: Final = 8


class MethodNotAllowed(OmsError):
    """The resource type has no such verb."""

    category = Category.NOT_FOUND
    code = "HttpMethodNotSupported"


class ResourcePathNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "NotFound"


@dataclass(slots=True, kw_only=True)
class ManagementApi:
    registry: Registry
    resources: ResourceStore
    subscriptions: Subscriptions
    access: Access
    activity: ActivityLog
    deletions: Deletions
    operations: LongOperations
    continuations: Callable[[], Continuations]
    authorization: Authorization
    clock: Clock
    new_id: NewId = random_id

    def handle(self, request: ArmRequest) -> ArmResponse:
        """The answer; OmsError and ValidationError are the edge's to show."""
        if (answer := self.authorization.handle(request)) is not None:
            return answer
        request.check_api_version()
        segments = [part for part in request.path.split("/") if part]
        for route, params in self.registry.routes(request.method, segments):
            if route.action is not None:
                self.access.authorize(request.principal, route.action, fill(route.scope, params))
            if subscription := params.get("subscriptionId"):
                self.subscriptions.get(subscription)
            return route.handle(RouteCall(request=request, params=params))
        if len(segments) < 2 or segments[0].lower() != "subscriptions":
            raise ResourcePathNotFound(f"No operation is found at '{request.path}'.", target=request.path)
        target = self.registry.target(segments)
        match target:
            case Item():
                return self._item(request, target)
            case Collection():
                return self._collection(request, target)
            case Operated():
                return self._operated(request, target)

    # One resource

    def _item(self, request: ArmRequest, item: Item) -> ArmResponse:
        declared, resource_id = item.type, item.id
        match request.method:
            case "GET" | "HEAD" if Verb.GET in declared.verbs:
                self._allow(request, f"{declared.type}/read", resource_id)
                if request.method == "HEAD":
                    return ArmResponse(status=204 if self._find(declared, resource_id) else 404)
                return ArmResponse(status=200, body=envelope(declared, self._get(declared, resource_id)))
            case "PUT" if Verb.PUT in declared.verbs:
                self._allow(request, f"{declared.type}/write", resource_id)
                return self._logged(
                    request, resource_id, f"{declared.type}/write", lambda: self._put(request, item)
                )
            case "PATCH" if Verb.PATCH in declared.verbs:
                self._allow(request, f"{declared.type}/write", resource_id)
                return self._logged(
                    request, resource_id, f"{declared.type}/write", lambda: self._patch(request, item)
                )
            case "DELETE" if Verb.DELETE in declared.verbs:
                self._allow(request, f"{declared.type}/delete", resource_id)
                return self._logged(
                    request, resource_id, f"{declared.type}/delete", lambda: self._delete(request, item)
                )
            case method:
                raise MethodNotAllowed(
                    f"The resource type '{declared.type}' does not support {method}.", target=declared.type
                )

    def _put(self, request: ArmRequest, item: Item) -> ArmResponse:
        declared, resource_id = item.type, item.id
        self._require_place(resource_id)
        for _ in range(ATTEMPTS):
            known = self._find(declared, resource_id)
            exact = check_conditions(request, known, body_etag=declared.body_etag)
            wanted = asked(declared, resource_id, request, known)
            try:
                written = self._write(request, declared, wanted, known)
            except (PreconditionFailed, ResourceExists):
                if exact or request.headers.get("if-none-match"):
                    raise
                continue
            statuses = declared.statuses
            status = statuses.created if known is None else statuses.updated
            return ArmResponse(status=status, body=envelope(declared, written))
        raise _busy(resource_id)

    def _patch(self, request: ArmRequest, item: Item) -> ArmResponse:
        declared, resource_id = item.type, item.id
        for _ in range(ATTEMPTS):
            known = self._get(declared, resource_id)
            exact = check_conditions(request, known, body_etag=declared.body_etag)
            wanted = patched(declared, request, known)
            try:
                written = self._write(request, declared, wanted, known)
            except PreconditionFailed:
                if exact:
                    raise
                continue
            return ArmResponse(status=declared.statuses.patched, body=envelope(declared, written))
        raise _busy(resource_id)

    def _write(
        self, request: ArmRequest, declared: ResourceType, wanted: Resource, known: Resource | None
    ) -> Resource:
        draft = Draft(resource=wanted, known=known, request=request, at=self.clock.now())
        if declared.backing is not None:
            written = declared.backing.put(draft)
        else:
            prepared = declared.hooks.prepare(draft)
            by = request.principal.name
            kind = "Application" if request.principal.is_app else "User"
            if known is None:
                written = self.resources.insert(prepared, by=by, by_type=kind)
                self._undo_orphan(written)
            else:
                written = self.resources.replace(replace(prepared, etag=known.etag), by=by, by_type=kind)
        declared.hooks.written(written)
        return written

    def _undo_orphan(self, written: Resource) -> None:
        """A parent that was deleted while its child was written takes the child with it."""
        try:
            self._require_place(written.id)
        except OmsError:
            self.resources.remove(written.id)
            raise

    def _delete(self, request: ArmRequest, item: Item) -> ArmResponse:
        declared, resource_id = item.type, item.id
        known = self._find(declared, resource_id)
        exact = check_conditions(request, known, absent_fails=False)
        if known is None:
            if declared.statuses.absent == 404:
                raise _group_or_resource_not_found(resource_id)
            return ArmResponse(status=declared.statuses.absent)
        if declared.backing is not None:
            declared.backing.delete(known)
            return ArmResponse(status=declared.statuses.deleted)
        if self.deletions.start(known, exactly=exact):
            return ArmResponse(status=declared.statuses.deleted)
        begun = self.operations.begin(
            subscription=resource_id.subscription, kind="delete", resource_id=str(known.id)
        )
        return ArmResponse(
            status=202,
            headers=accepted(begun, origin=request.origin, api_version=request.check_api_version()),
        )

    # Listings and operations

    def _collection(self, request: ArmRequest, target: Collection) -> ArmResponse:
        declared = target.type
        if request.method != "GET" or Verb.LIST not in declared.verbs:
            raise MethodNotAllowed(
                f"The resource type '{declared.type}' does not support {request.method} on a collection.",
                target=declared.type,
            )
        scope = str(target.parent or _scope(target))
        self.access.authorize(request.principal, f"{declared.type}/read", scope)
        self.subscriptions.get(target.subscription)
        if target.group is not None:
            self._require_group(target.subscription, target.group)
        if target.parent is not None:
            self._get(self.registry.type_of(target.parent), target.parent)
        passes = None
        if text := request.query.get("$filter"):
            passes = compile_filter(text, declared.filters)
        if declared.backing is not None and target.parent is not None:
            found = [each for each in declared.backing.list(target.parent) if passes is None or passes(each)]
            return ArmResponse(status=200, body={"value": [envelope(declared, each) for each in found]})
        continuations = self.continuations()
        page = self.resources.page(
            subscription=target.subscription,
            namespace=declared.namespace,
            types=declared.types,
            group=target.group,
            parents=() if target.parent is None else target.parent.names,
            size=page_size(request),
            after=continuations.read(request),
        )
        return ArmResponse(
            status=200,
            body={
                "value": [
                    envelope(declared, each) for each in page.resources if passes is None or passes(each)
                ]
            }
            | dict(continuations.next_link(request, page.next)),
        )

    def _operated(self, request: ArmRequest, target: Operated) -> ArmResponse:
        found = self.registry.operation(target.type, request.method, target.rest)
        if found is None:
            raise MethodNotAllowed(
                f"'{'/'.join(target.rest)}' of '{target.type.type}' does not support {request.method}.",
                target=target.type.type,
            )
        operation, params = found
        action = f"{target.type.type}/{operation.action}"
        self._allow(request, action, target.id)

        def run() -> ArmResponse:
            resource = self._get(target.type, target.id)
            return operation.handle(Call(request=request, id=resource.id, resource=resource, params=params))

        return self._logged(request, target.id, action, run) if operation.writes else run()

    def operation_status(self, call: RouteCall) -> ArmResponse:
        """`Azure-AsyncOperation`: always 200, with the state in the body."""
        return ArmResponse(status=200, body=self._advanced(call).status())

    def operation_result(self, call: RouteCall) -> ArmResponse:
        """`Location`: 202 until it is done."""
        operation = self._advanced(call)
        if operation.state is OperationState.IN_PROGRESS:
            version = call.request.check_api_version()
            return ArmResponse(
                status=202, headers=accepted(operation, origin=call.request.origin, api_version=version)
            )
        return ArmResponse(status=200)

    def _advanced(self, call: RouteCall) -> LongOperation:
        """The operation. Whoever asks also moves a deletion on, so it ends even where no timer runs."""
        operation = self.operations.get(call.params["subscriptionId"], call.params["operationId"])
        if operation.state is not OperationState.IN_PROGRESS or operation.kind != "delete":
            return operation
        pending = self.deletions.pending(parse(operation.resource_id))
        if pending is None or self.deletions.resume(pending, budget=5.0):
            return self.operations.end(operation, OperationState.SUCCEEDED)
        return operation

    def sweep(self) -> int:
        """Finish deletions that were left half-way; how many."""
        return self.deletions.sweep()

    # Checks

    def _allow(self, request: ArmRequest, action: str, resource_id: ResourceId) -> None:
        self.access.authorize(request.principal, action, str(resource_id))
        self.subscriptions.get(resource_id.subscription)

    def _require_place(self, resource_id: ResourceId) -> None:
        """The group and the parent that a new resource goes into. ResourceGroupNotFound, ParentResourceNotFound."""
        if resource_id.group is not None and not resource_id.is_group:
            self._require_group(resource_id.subscription, resource_id.group)
        parent = resource_id.parent
        if parent is not None and self._find(self.registry.type_of(parent), parent) is None:
            raise ParentResourceNotFound(
                f"Can not perform requested operation on nested resource. Parent resource '{parent.name}' not found.",
                target=str(parent),
            )

    def _require_group(self, subscription: str, group: str) -> None:
        if self.resources.find(group_id(subscription, group)) is None:
            raise ResourceGroupNotFound(f"Resource group '{group}' could not be found.", target=group)

    def _find(self, declared: ResourceType, resource_id: ResourceId) -> Resource | None:
        if declared.backing is None:
            return self.resources.find(resource_id)
        try:
            return declared.backing.get(resource_id)
        except ResourceNotFound:
            return None

    def _get(self, declared: ResourceType, resource_id: ResourceId) -> Resource:
        found = self._find(declared, resource_id)
        if found is not None:
            return found
        if not resource_id.is_group and resource_id.group is not None:
            self._require_group(resource_id.subscription, resource_id.group)
        raise _group_or_resource_not_found(resource_id)

    # The activity log

    def _logged(
        self, request: ArmRequest, resource_id: ResourceId, action: str, run: Callable[[], ArmResponse]
    ) -> ArmResponse:
        """`run`, with a record before it and one of how it ended: a write that was begun is never without a trace."""
        self._record(request, resource_id, action, status="Start")
        try:
            response = run()
        except (OmsError, ValidationError) as refused:
            code = refused.code if isinstance(refused, OmsError) else "InvalidRequestContent"
            self._record(request, resource_id, action, status="Failure", substatus=code, level="Error")
            raise
        except Exception:
            with suppress(OmsError):  # storage itself may be what fails; what went wrong is told, not this
                self._record(
                    request,
                    resource_id,
                    action,
                    status="Failure",
                    substatus="InternalServerError",
                    level="Error",
                )
            raise
        self._record(request, resource_id, action, status="Success", substatus=str(response.status))
        return response

    def _record(
        self,
        request: ArmRequest,
        resource_id: ResourceId,
        action: str,
        *,
        status: str,
        substatus: str = "",
        level: str = "Informational",
    ) -> None:
        self.activity.write(
            Activity(
                id=self.new_id(),
                at=self.clock.now(),
                operation=action,
                status=status,
                substatus=substatus,
                caller=request.principal.name,
                caller_ip=request.caller_ip,
                correlation_id=request.correlation_id,
                resource_id=str(resource_id),
                subscription=resource_id.subscription,
                group=resource_id.group or "",
                level=level,
                properties={"method": request.method, "host": urlsplit(request.origin).netloc},
            )
        )


def _scope(target: Collection) -> str:
    at = f"/subscriptions/{target.subscription}"
    return at if target.group is None else f"{at}/resourceGroups/{target.group}"


def _group_or_resource_not_found(resource_id: ResourceId) -> OmsError:
    if resource_id.is_group:
        return ResourceGroupNotFound(
            f"Resource group '{resource_id.name}' could not be found.", target=resource_id.name
        )
    return ResourceNotFound.of(resource_id)


class ResourceBusy(OmsError):
    category = Category.CONFLICT
    code = "Conflict"


def _busy(resource_id: ResourceId) -> ResourceBusy:
    return ResourceBusy("others keep changing the resource", target=str(resource_id), retry_after=1)
