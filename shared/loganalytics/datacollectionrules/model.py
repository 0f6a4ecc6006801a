"""A data collection rule: the streams it takes, and the tables they flow to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.kernel.errors import Category, OmsError


class RuleNotFound(OmsError):
    """No data collection rule has this immutable id."""

    category = Category.NOT_FOUND
    code = "NotFound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`properties` as the management API has them: streamDeclarations, destinations, dataFlows.

    `default_for` is the customer id of the workspace whose default rule it is: that one takes `Microsoft-<Table>` for
    every standard table and `Custom-<Table>_CL` for every custom table that exists, and declares none of them.
    """

    immutable_id: str
    resource_id: str
    properties: Mapping[str, Any]
    default_for: str | None = None
