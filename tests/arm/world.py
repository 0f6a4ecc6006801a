"""A bundle's services on storage in memory, and a caller of its management API."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.arm.requests import ArmRequest, ArmResponse
from shared.bootstrap import Services
from shared.identity.model import ObjectId, Principal

SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000002"
TENANT: Final = "00000000-0000-0000-0000-000000000001"
ORIGIN: Final = "http://localhost:7071"

OWNER: Final = Principal(
    object_id=ObjectId("aaaaaaaa-0000-0000-0000-000000000000"),
    name="owner",
    tenant=TENANT,
    roles=frozenset({"Owner"}),
)


@dataclass
class Caller:
    """Calls the management API as one principal."""

    services: Services
    principal: Principal = OWNER
    api_version: str | None = "2025-07-01"
    seen: list[ArmResponse] = field(default_factory=list[ArmResponse])

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> ArmResponse:
        version = {} if self.api_version is None else {"api-version": self.api_version}
        response = self.services.management.handle(
            ArmRequest(
                method=method,
                path=path,
                query={**version, **(query or {})},
                headers=headers or {},
                body=b"" if body is None else json.dumps(body).encode(),
                principal=self.principal,
                origin=ORIGIN,
                correlation_id="c",
            )
        )
        self.seen.append(response)
        return response

    def body(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        answered = self.call(method, path, body, query=query).body
        assert isinstance(answered, Mapping)
        return dict(answered)

    def group(self, name: str = "rg") -> str:
        """A new group's id."""
        path = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}"
        self.call("PUT", path, {"location": "westeurope"})
        return path

    def workspace(self, name: str = "ws", group: str = "rg", **properties: Any) -> str:
        """A new workspace's id."""
        path = f"{self.group(group)}/providers/Microsoft.OperationalInsights/workspaces/{name}"
        self.call("PUT", path, {"location": "westeurope", "properties": properties})
        return path
