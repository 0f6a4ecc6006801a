"""The whole bundle in a real host on Azurite, over TLS or plain, as real clients see it."""

import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from azure.core.credentials import AccessToken
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy

from devhost.up.certificates import ensure_certificates
from tests.devhost.running import REPO, Answer, RunningHost, ask

SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000002"
TENANT: Final = "00000000-0000-0000-0000-000000000001"
_SECRET: Final = "only-these-tests-know"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """`made` is what the first start answered: the default workspace, its key and rule, an operator's token.

    `ca` is None where the bundle is served over plain http.
    """

    host: RunningHost
    url: str
    port: int
    ca: Path | None
    made: Mapping[str, Any]

    @classmethod
    def start(cls, folder: Path, storage: str, *, tls: bool = True) -> Self:
        certificates = ensure_certificates(folder / "certificates") if tls else None
        port = _free_port()
        url = f"{'http' if certificates is None else 'https'}://localhost:{port}"
        host = RunningHost.start(
            folder,
            storage=storage,
            app_root=REPO,
            arguments=[
                *("--port", str(port)),
                *(
                    ()
                    if certificates is None
                    else ("--tls-cert", str(certificates.cert), "--tls-key", str(certificates.key))
                ),
            ],
            settings={
                "OMS_ISSUER": "local",
                "OMS_BASE_URL": url,
                "OMS_DATA_DIR": str(folder / "oms"),
                "OMS_SUBSCRIPTION_ID": SUBSCRIPTION,
                "OMS_TENANT_ID": TENANT,
                "OMS_BOOTSTRAP_SECRET": _SECRET,
                "OMS_QUERY_PROCESSES": "1",
            },
        )
        try:
            answer = ask(
                port,
                "POST",
                "/operations/bootstrap",
                headers=[("x-oms-bootstrap", _SECRET)],
                tls=None if certificates is None else ssl.create_default_context(cafile=str(certificates.ca)),
            )
            assert answer.status == 200, answer.body
        except BaseException:
            host.kill()
            raise
        return cls(host=host, url=url, port=port, ca=certificates and certificates.ca, made=answer.json())

    @property
    def token(self) -> str:
        return str(self.made["token"])

    @property
    def client_options(self) -> dict[str, Any]:
        """What every management client of Azure's SDK takes to talk to us."""
        return {
            "credential": OperatorCredential(self.token),
            "subscription_id": SUBSCRIPTION,
            "base_url": self.url,
            "credential_scopes": [f"{self.url}/.default"],
            "polling_interval": 0,
            **(
                {"per_call_policies": [PlainHttpAllowed()]}
                if self.ca is None
                else {"connection_verify": str(self.ca)}
            ),
        }

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What a plain client needs to trust the suite; None over plain http."""
        return None if self.ca is None else ssl.create_default_context(cafile=str(self.ca))

    def ask(self, method: str, target: str, body: object = None, *, token: str | None = None) -> Answer:
        """One plain request, with the operator's token unless another is given ('' sends none)."""
        bearer = self.token if token is None else token
        return ask(
            self.port,
            method,
            target,
            body=None if body is None else json.dumps(body).encode(),
            headers=[("content-type", "application/json")]
            + ([("authorization", f"Bearer {bearer}")] if bearer else []),
            tls=self.tls,
        )


class PlainHttpAllowed(SansIOHTTPPolicy[Any, Any]):
    """Azure's clients send no token over plain http unless each call says so; this says it for all."""

    def on_request(self, request: PipelineRequest[Any]) -> None:
        request.context.options["enforce_https"] = False


@dataclass(frozen=True, slots=True)
class OperatorCredential:
    """A credential that holds a token already."""

    token: str

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken(self.token, 4_000_000_000)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
