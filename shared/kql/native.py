"""Scalar functions in Python that the DuckDB child registers by name, for what SQL cannot say and queries rarely ask."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from types import MappingProxyType
from typing import Any, Final, Protocol

from shared.kql.natives import decompose, hashing, network, series, text


class Registrar(Protocol):
    """The one method of a DuckDB connection that is needed here; this module does not import DuckDB."""

    def create_function(
        self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeFunction:
    """One function: DuckDB's types by name, and how it takes NULL ("special": it is called, and may answer, with it)."""

    name: str
    parameters: Sequence[str]
    returns: str
    function: Callable[..., Any]
    null_handling: str = "special"

    def register(self, connection: Registrar) -> None:
        """Make it callable in SQL on this connection."""
        connection.create_function(
            self.name,
            self.function,
            list(self.parameters),
            self.returns,
            null_handling=self.null_handling,
        )


def _table(*functions: NativeFunction) -> Mapping[str, NativeFunction]:
    return MappingProxyType({function.name: function for function in functions})


def _native(name: str, function: Callable[..., Any], parameters: str, returns: str) -> NativeFunction:
    @wraps(function)
    def null_for_null(*args: Any) -> Any:
        return None if any(arg is None for arg in args) else function(*args)

    # DuckDB's own handling of NULL forbids answers that are NULL.
    return NativeFunction(
        name=name,
        parameters=parameters.split(),
        returns=returns,
        function=null_for_null,
        null_handling="special",
    )


NATIVE: Final[Mapping[str, NativeFunction]] = _table(
    _native("kqln_parse_url", text.parse_url, "VARCHAR", "VARCHAR"),
    _native("kqln_parse_urlquery", text.parse_urlquery, "VARCHAR", "VARCHAR"),
    _native("kqln_parse_path", text.parse_path, "VARCHAR", "VARCHAR"),
    _native("kqln_parse_csv", text.parse_csv, "VARCHAR", "VARCHAR"),
    _native("kqln_parse_command_line", text.parse_command_line, "VARCHAR", "VARCHAR"),
    _native("kqln_parse_xml", text.parse_xml, "VARCHAR", "VARCHAR"),
    _native("kqln_bag_remove_keys", text.bag_remove_keys, "VARCHAR VARCHAR", "VARCHAR"),
    _native("kqln_sorted_json", text.sorted_json, "VARCHAR", "VARCHAR"),
    _native("kqln_replace_strings", text.replace_strings, "VARCHAR VARCHAR VARCHAR", "VARCHAR"),
    _native("kqln_treepath", text.treepath, "VARCHAR", "VARCHAR"),
    _native("kqln_indexof_regex", text.indexof_regex, "VARCHAR VARCHAR BIGINT BIGINT BIGINT", "BIGINT"),
    _native("kqln_gzip", text.gzip_compress, "VARCHAR", "VARCHAR"),
    _native("kqln_gunzip", text.gzip_decompress, "VARCHAR", "VARCHAR"),
    _native("kqln_zlib", text.zlib_compress, "VARCHAR", "VARCHAR"),
    _native("kqln_unzlib", text.zlib_decompress, "VARCHAR", "VARCHAR"),
    _native("kqln_to_punycode", text.to_punycode, "VARCHAR", "VARCHAR"),
    _native("kqln_from_punycode", text.from_punycode, "VARCHAR", "VARCHAR"),
    _native("kqln_domain_from_punycode", text.domain_from_punycode, "VARCHAR", "VARCHAR"),
    _native("kqln_domain_to_punycode", text.domain_to_punycode, "VARCHAR", "VARCHAR"),
    _native("kqln_xxhash_text", hashing.xxhash_text, "VARCHAR", "BIGINT"),
    _native("kqln_xxhash_long", hashing.xxhash_long, "BIGINT", "BIGINT"),
    _native("kqln_xxhash_real", hashing.xxhash_real, "DOUBLE", "BIGINT"),
    _native("kqln_parse_ipv6", network.parse_ipv6, "VARCHAR BIGINT", "VARCHAR"),
    _native("kqln_ipv6_compare", network.ipv6_compare, "VARCHAR VARCHAR BIGINT", "BIGINT"),
    _native("kqln_ipv6_in_range", network.ipv6_in_range, "VARCHAR VARCHAR", "BOOLEAN"),
    _native("kqln_ipv4_cidrs", network.ipv4_range_to_cidrs, "VARCHAR VARCHAR", "VARCHAR"),
    *(
        _native(f"kqln_{name}", function, parameters, returns)
        for name, (function, parameters, returns) in (*series.FUNCTIONS.items(), *decompose.FUNCTIONS.items())
    ),
)


def register(connection: Registrar, names: Iterable[str]) -> None:
    """Make these functions callable on the connection."""
    for name in names:
        NATIVE[name].register(connection)
