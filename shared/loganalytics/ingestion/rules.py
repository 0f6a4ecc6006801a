"""Data collection rules as ingestion follows them: which stream goes to which table of which workspace, with which columns."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from shared.kql.types import KqlType
from shared.loganalytics.ingestion.errors import InvalidRule, InvalidStream
from shared.loganalytics.ingestion.ports import RuleDocument

CUSTOM: Final = "Custom-"
MICROSOFT: Final = "Microsoft-"

# The types of a stream's columns: learn.microsoft.com/azure/azure-monitor/data-collection/data-collection-rule-structure
_DECLARED: Final[Mapping[str, KqlType]] = {
    "string": KqlType.STRING,
    "int": KqlType.INT,
    "long": KqlType.LONG,
    "real": KqlType.REAL,
    "boolean": KqlType.BOOL,
    "bool": KqlType.BOOL,
    "dynamic": KqlType.DYNAMIC,
    "datetime": KqlType.DATETIME,
    "guid": KqlType.GUID,
}
_UNCHANGED: Final = re.compile(r"(source\s*;?)?", re.IGNORECASE)
_STREAM: Final = re.compile(r"(Custom|Microsoft)-[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A workspace by customer id or by resource id: rules name the one, the other, or both."""

    customer_id: str = ""
    resource_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way of a stream's records. `columns` are the stream's, None where it is as wide as its table.

    `transform` is KQL over `source`, '' where records go on as they are.
    """

    destination: Destination
    table: str
    columns: Mapping[str, KqlType] | None
    transform: str = ""


def routes(rule: RuleDocument, stream: str) -> Sequence[Route]:
    """The ways of a stream through the rule. InvalidStream if it has none; InvalidRule."""
    if _STREAM.fullmatch(stream) is None:
        raise _unknown(stream)
    if rule.default_for is not None:
        return [
            Route(
                destination=Destination(customer_id=rule.default_for), table=_table_of(stream), columns=None
            )
        ]
    found = [
        Route(
            destination=destination,
            table=_output(flow, stream),
            columns=_columns(rule, stream),
            transform=_transform(flow),
        )
        for flow in _objects(rule, "dataFlows")
        if stream in _texts(flow.get("streams"))
        for destination in _destinations(rule, flow)
    ]
    if not found:
        raise _unknown(stream)
    # Two flows may be alike; records go each way once.
    once = {(route.destination, route.table, route.transform): route for route in found}
    return list(once.values())


def _unknown(stream: str) -> InvalidStream:
    return InvalidStream(
        f"The stream {stream[:200]} was not configured in the data collection rule.", target=stream[:200]
    )


def _table_of(stream: str) -> str:
    for prefix in (CUSTOM, MICROSOFT):
        if stream.startswith(prefix):
            return stream.removeprefix(prefix)
    raise _unknown(stream)


def _output(flow: Mapping[str, Any], stream: str) -> str:
    output = flow.get("outputStream")
    return _table_of(str(output) if output else stream)


def _transform(flow: Mapping[str, Any]) -> str:
    text = str(flow.get("transformKql") or "").strip()
    return "" if _UNCHANGED.fullmatch(text) else text


def _columns(rule: RuleDocument, stream: str) -> Mapping[str, KqlType] | None:
    declarations = rule.properties.get("streamDeclarations")
    declaration = _object(declarations).get(stream)
    if declaration is None:
        if stream.startswith(CUSTOM) and _object(declarations):
            raise _unknown(stream)
        return None
    columns: dict[str, KqlType] = {}
    for column in _list(_object(declaration).get("columns")):
        name, type_ = str(_object(column).get("name", "")), str(_object(column).get("type", ""))
        known = _DECLARED.get(type_.lower())
        if not name or known is None:
            raise InvalidRule(
                f"The stream {stream} declares a column {name!r} of type {type_!r}, which is none of "
                f"{', '.join(_DECLARED)}.",
                target=stream,
            )
        columns[name] = known
    return columns


def _destinations(rule: RuleDocument, flow: Mapping[str, Any]) -> Sequence[Destination]:
    known = {
        str(each.get("name", "")): Destination(
            customer_id=str(each.get("workspaceId") or "").lower(),
            resource_id=str(each.get("workspaceResourceId") or ""),
        )
        for each in map(_object, _list(_object(rule.properties.get("destinations")).get("logAnalytics")))
    }
    names = _texts(flow.get("destinations"))
    missing = [name for name in names if name not in known]
    if missing or not names:
        raise InvalidRule(
            f"A data flow of the rule names the destination {', '.join(missing) or 'nothing'}, "
            "which is no Log Analytics destination of the rule.",
            target="dataFlows",
        )
    return [known[name] for name in names]


def _objects(rule: RuleDocument, name: str) -> Sequence[Mapping[str, Any]]:
    return [_object(each) for each in _list(rule.properties.get(name))]


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()


def _texts(value: object) -> Sequence[str]:
    return [str(each) for each in _list(value)]
