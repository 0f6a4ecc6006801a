"""All functions of the query language, by name."""

from typing import Final

from shared.kql.functions import (
    aggregates,
    conditional,
    conversion,
    dates,
    dynamic,
    formats,
    network,
    numeric,
    parsing,
    regexes,
    series,
    strings,
    windows,
)
from shared.kql.functions.refused import REFUSED
from shared.kql.functions.registry import Registry

REGISTRY: Final = Registry()

for _family in (
    conversion,
    conditional,
    strings,
    regexes,
    parsing,
    network,
    numeric,
    dates,
    formats,
    dynamic,
    series,
    aggregates,
    windows,
):
    REGISTRY.add(*_family.FUNCTIONS)

TUPLES: Final = series.TUPLES
PARTIAL: Final = series.PARTIAL

__all__ = ["PARTIAL", "REFUSED", "REGISTRY", "TUPLES"]
