"""A running bundle with two workspaces, and people who may see one of them or none."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode

from shared.bootstrap import Services
from shared.identity.access import RoleAssignment
from shared.identity.builtin_roles import role_named
from shared.identity.model import ObjectId, Principal
from shared.kernel.clock import SystemClock
from shared.kernel.ids import derived_id, random_id
from shared.loganalytics.workspaces.model import Workspace
from shared.settings import Settings
from tests.ingestion.bundle import Bundle

FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
VERSION: Final = "?api-version=2025-07-01"


@dataclass(frozen=True, kw_only=True)
class Got:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json()["error"]["code"]


@dataclass(frozen=True, kw_only=True)
class Two:
    """The bundle over HTTP, and the same services in this process, on the same storage and keys: they make tokens for anybody."""

    bundle: Bundle
    services: Services
    mine: Workspace
    theirs: Workspace
    log: Path
    secrets: list[str] = field(default_factory=list[str])

    @classmethod
    def over(cls, bundle: Bundle, connection: str, folder: Path) -> Self:
        settings = Settings.model_validate(
            {"storage": connection, "issuer": "local", "data_dir": folder / "data"}
        )
        services = Services(settings=settings, clock=SystemClock())
        operator = {"authorization": f"Bearer {bundle.facts['token']}", "content-type": "application/json"}
        made: list[Workspace] = []
        for group, name in (("contoso", "mine"), ("fabrikam", "theirs")):
            path = f"/subscriptions/{settings.subscription_id}/resourceGroups/{group}"
            body = json.dumps({"location": "local"}).encode()
            assert bundle.request("PUT", path + VERSION, body, operator)[0] in (200, 201)
            path += f"/providers/Microsoft.OperationalInsights/workspaces/{name}"
            assert bundle.request("PUT", path + VERSION, body, operator)[0] in (200, 201, 202)
            made.append(services.workspaces.by_resource_id(path))
        return cls(bundle=bundle, services=services, mine=made[0], theirs=made[1], log=folder / "host.log")

    def person(self, role: str | None, at: Workspace | str) -> Principal:
        """Somebody new with one role at one place, or none."""
        principal = Principal(
            object_id=ObjectId(random_id()), name="somebody", tenant=self.services.settings.tenant_id
        )
        if role is not None:
            found = role_named(role)
            assert found is not None
            self.services.role_assignments.add(
                RoleAssignment(
                    name=derived_id(principal.object_id, role),
                    scope=at if isinstance(at, str) else at.resource_id,
                    role_id=found.id,
                    principal_id=principal.object_id,
                )
            )
        return principal

    def token(self, principal: Principal) -> str:
        return self.services.signer.issue(principal, audience="https://management.azure.com")

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        principal: Principal | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Got:
        """As somebody, or as nobody. A dict or list goes as JSON, bytes as they are."""
        sent = {"authorization": f"Bearer {self.token(principal)}"} if principal else {}
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        if data:
            sent["content-type"] = "application/json"
        status, got, answer = self.bundle.request(method, path, data, {**sent, **(headers or {})})
        return Got(status=status, headers=got, body=answer)

    def operator(self, method: str, path: str, body: object = None) -> Got:
        return self.ask(method, path, body, headers={"authorization": f"Bearer {self.bundle.facts['token']}"})

    def query(self, principal: Principal, at: str, text: str, **body: Any) -> Got:
        return self.ask("POST", f"/v1/workspaces/{at}/query", {"query": text, **body}, principal=principal)

    def sign_in(self, principal: Principal, to: str = "") -> Got:
        """A browser's sign-in with a fresh link."""
        token = self.services.identity.sign_ins.make_link(principal)
        return self.post_form("/signin", {"token": token, "to": to})

    def cookie(self, principal: Principal) -> dict[str, str]:
        return {"cookie": self.sign_in(principal).headers["set-cookie"].partition(";")[0]}

    def post_form(self, path: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Got:
        return self.ask("POST", path, urlencode(form).encode(), headers={**FORM, **(headers or {})})
