"""A saved search: a query by name, and with an alias a function that other queries call."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSearch:
    id: str
    category: str
    display_name: str
    query: str
    function_alias: str = ""
    function_parameters: str = ""
