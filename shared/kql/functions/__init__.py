"""All functions of the query language, by name."""

from typing import Final

from shared.kql.functions import (
    aggregates,
    conditional,
    conversion,
    dates,
    dynamic,
    numeric,
    regexes,
    strings,
)
from shared.kql.functions.registry import Registry

REGISTRY: Final = Registry()

for _family in (conversion, conditional, strings, regexes, numeric, dates, dynamic, aggregates):
    REGISTRY.add(*_family.FUNCTIONS)

__all__ = ["REGISTRY"]
