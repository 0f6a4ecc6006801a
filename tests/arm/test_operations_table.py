"""Every operation of the Log Analytics client: answered with a status it accepts, or refused by name."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from shared.kernel.errors import Category, OmsError
from tests.arm.world import SUBSCRIPTION, Caller

_GOLDEN: Final = Path(__file__).parents[1] / "golden" / "loganalytics_operations.json"
_OPERATIONS: Final[list[tuple[str, str, str, list[int]]]] = [
    (each[0], each[1], each[2], each[3]) for each in json.loads(_GOLDEN.read_text())["operations"]
]

# What is not there yet, by the code that says so. An operation that comes to work must leave this list.
_REFUSED: Final = {
    **dict.fromkeys(
        [
            *(
                f"Clusters.{verb}"
                for verb in ("get", "create_or_update", "update", "delete", "list_by_resource_group", "list")
            ),
            *(
                f"SummaryLogs.{verb}"
                for verb in (
                    "get",
                    "create_or_update",
                    "delete",
                    "list_by_workspace",
                    "start",
                    "stop",
                    "retry_bin",
                )
            ),
            "Gateways.delete",
            "Schema.get",
            "Workspaces.get_nsp",
            "Workspaces.reconcile_nsp",
            "Workspaces.failover",
        ],
        "InvalidResourceType",
    ),
    "Queries.search": "HttpMethodNotSupported",
    "QueryPacks.create_or_update_without_name": "HttpMethodNotSupported",
    "Workspaces.failback": "OperationNotSupported",
    "Tables.migrate": "OperationNotSupported",
    "Tables.cancel_search": "OperationNotSupported",
    "DataExports.create_or_update": "OperationNotSupported",
    "DataExports.get": "ResourceNotFound",
    "WorkspacePurge.purge": "PurgeNotSupported",
    "WorkspacePurge.get_purge_status": "PurgeNotSupported",
    "OperationStatuses.get": "OperationNotFound",
}
_NAMES: Final = {
    "subscriptionId": SUBSCRIPTION,
    "resourceGroupName": "rg",
    "tableName": "App_CL",
    "intelligencePackName": "Updates",
    "location": "westeurope",
}
_BODIES: Final[dict[str, Any]] = {
    "Workspaces": {"location": "westeurope"},
    "Tables": {"properties": {"schema": {"name": "App_CL", "columns": [{"name": "A", "type": "string"}]}}},
    "SavedSearches": {"properties": {"category": "c", "displayName": "d", "query": "q"}},
    "DataSources": {"kind": "LinuxSyslog", "properties": {}},
    "QueryPacks": {"location": "westeurope", "properties": {}},
    "Queries": {"properties": {"displayName": "d", "body": "b"}},
    "Clusters": {"location": "westeurope"},
}
_ORDER: Final = ("PUT", "GET", "PATCH", "POST", "DELETE")


def _path(url: str) -> str:
    def name(found: re.Match[str]) -> str:
        return _NAMES.get(found[1], f"the{found[1]}")

    return re.sub(r"\{(\w+)\}", name, url)


def _rank(operation: tuple[str, str, str, list[int]]) -> tuple[int, int]:
    """Parents are made before their children and deleted after them."""
    depth = operation[2].count("/")
    return _ORDER.index(operation[1]), -depth if operation[1] == "DELETE" else depth


def test_every_operation_answers_as_its_client_accepts_or_is_refused_by_name(caller: Caller):
    caller.group()
    wrong = list[str]()
    for name, method, url, accepted in sorted(_OPERATIONS, key=_rank):
        body: Any = (
            {} if method in ("GET", "DELETE") else _BODIES.get(name.partition(".")[0], {"properties": {}})
        )
        try:
            found: int | str = caller.call(method, _path(url), body).status
        except OmsError as refused:
            gone = refused.category is Category.NOT_FOUND and 404 in accepted
            found = 404 if gone else refused.code
        if (found not in accepted) if name not in _REFUSED else (found != _REFUSED[name]):
            wrong.append(f"{name}: {found}, not {_REFUSED.get(name, accepted)}")
    assert wrong == []


@pytest.mark.parametrize("name", sorted(_REFUSED))
def test_the_list_of_refusals_names_operations_of_the_client(name: str):
    assert name in {each[0] for each in _OPERATIONS}
