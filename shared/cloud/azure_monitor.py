"""Queries that Azure Monitor answers: for workspaces whose records are kept there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from azure.core.pipeline import PipelineResponse
from azure.monitor.query import LogsQueryClient

from shared.kernel.errors import Category, OmsError


class AzureMonitorRefused(OmsError):
    """Azure Monitor answered with an error; its own code and message are in `details`."""

    category = Category.INVALID
    code = "BadArgumentError"


class AzureMonitorUnavailable(OmsError):
    category = Category.UNAVAILABLE
    code = "AzureMonitorUnavailable"


@dataclass(frozen=True)
class AzureMonitorQueries:
    """Asks with the app's identity. The answer is passed on byte for byte, so that no digit of it is lost."""

    endpoint: str
    credential: TokenCredential
    insecure: bool = False  # for an endpoint on this machine, over http

    @cached_property
    def _client(self) -> LogsQueryClient:
        return LogsQueryClient(self.credential, endpoint=self.endpoint)

    def query(
        self,
        workspace: str,
        text: str,
        *,
        span: tuple[datetime, datetime] | None,
        more: list[str],
        wait: float | None,
        statistics: bool,
        render: bool,
    ) -> bytes:
        """The body of Azure Monitor's answer, partial ones too. AzureMonitorRefused, AzureMonitorUnavailable."""
        bodies: list[bytes] = []

        def keep(response: PipelineResponse[Any, Any]) -> None:
            bodies.append(response.http_response.body())

        options: dict[str, Any] = {"enforce_https": False} if self.insecure else {}
        try:
            self._client.query_workspace(
                workspace,
                text,
                timespan=span,
                server_timeout=None if wait is None else int(wait),
                include_statistics=statistics,
                include_visualization=render,
                additional_workspaces=more or None,
                raw_response_hook=keep,
                **options,
            )
        except HttpResponseError as refused:
            raise AzureMonitorRefused(
                f"Azure Monitor refused the query: {refused.message}", details=_inner(bodies)
            ) from None
        except ServiceRequestError as silent:
            raise AzureMonitorUnavailable(f"Azure Monitor does not answer: {silent.message}") from None
        return bodies[-1]


def _inner(bodies: list[bytes]) -> Mapping[str, Any]:
    try:
        error = json.loads(bodies[-1])["error"]
    except (IndexError, ValueError, KeyError, TypeError):
        return {}
    return {"innererror": error["innererror"]} if "innererror" in error else {}
