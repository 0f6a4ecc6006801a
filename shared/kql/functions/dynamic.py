"""Functions over dynamic values: bags and arrays."""

from collections.abc import Sequence
from typing import Final

from shared.kql.functions.build import (
    ANY,
    BOOL,
    DYNAMIC,
    DYNAMICS,
    LONG,
    REAL,
    STRING,
    TEXTS,
    WHOLES,
    by_native,
    convert,
    expand,
    literal,
    parameter,
    quote,
    result,
    scalar,
    templated,
)
from shared.kql.functions.macros import MACROS
from shared.kql.functions.regexes import typeof_of
from shared.kql.functions.registry import ArgumentRefused, Bound, Emission, Emit, Function

MACROS.define("kql_elements(d)", "CASE json_type(d) WHEN 'ARRAY' THEN TRY_CAST(d AS JSON[]) END")
MACROS.define("kql_array_length(d)", "CASE json_type(d) WHEN 'ARRAY' THEN json_array_length(d)::BIGINT END")
MACROS.define("kql_bag_keys(d)", "CASE json_type(d) WHEN 'OBJECT' THEN to_json(json_keys(d)) END")
MACROS.define(
    "kql_entries(d)",
    "CASE json_type(d) WHEN 'OBJECT' THEN map_entries(TRY_CAST(d AS MAP(VARCHAR, JSON))) ELSE [] END",
)
# The first bag that has a key wins.
MACROS.define(
    "kql_bag_merge(bags)",
    """
    kql_first_entries(flatten(list_transform(
        list_filter(bags, lambda b: json_type(b) = 'OBJECT'), lambda b: kql_entries(b))))
    """,
)
MACROS.define(
    "kql_first_entries(entries)",
    """
    to_json(map_from_entries(list_filter(
        entries, lambda e, i: list_position(list_transform(entries, lambda o: o.key), e.key) = i)))
    """,
)
# Slices count from 0 and include both ends; negative positions count from the end.
MACROS.define(
    "kql_array_slice(l, a, b)",
    """
    CASE
    WHEN CASE WHEN b < 0 THEN len(l) + b ELSE b END < greatest(CASE WHEN a < 0 THEN len(l) + a ELSE a END, 0) THEN []
    ELSE l[greatest(CASE WHEN a < 0 THEN len(l) + a ELSE a END, 0) + 1 : CASE WHEN b < 0 THEN len(l) + b ELSE b END + 1]
    END
    """,
)
MACROS.define(
    "kql_array_rotate(l, n)",
    "CASE WHEN len(l) = 0 THEN l ELSE"
    " l[((n % len(l)) + len(l)) % len(l) + 1 :] || l[1 : ((n % len(l)) + len(l)) % len(l)] END",
)
MACROS.define(
    "kql_array_shift(l, n, fill)",
    """
    CASE
    WHEN n >= len(l) OR -n >= len(l) THEN list_transform(l, lambda e: fill)
    WHEN n >= 0 THEN l[n + 1 :] || list_transform(range(n), lambda i: fill)
    ELSE list_transform(range(-n), lambda i: fill) || l[1 : len(l) + n]
    END
    """,
)
MACROS.define(
    "kql_numbers(d)",
    "list_filter(list_transform(kql_elements(d), lambda e: kql_dynamic_real(e)), lambda x: x IS NOT NULL)",
)
MACROS.define("kql_array_sum(d)", "CASE json_type(d) WHEN 'ARRAY' THEN list_sum(kql_numbers(d)) END")
# Sorts by kind and then by value: numbers before texts before the rest; nulls go last.
MACROS.define(
    "kql_sort_key(e)",
    """
    struct_pack(
        k := CASE json_type(e) WHEN 'BIGINT' THEN 0 WHEN 'UBIGINT' THEN 0 WHEN 'DOUBLE' THEN 0
            WHEN 'BOOLEAN' THEN 1 WHEN 'VARCHAR' THEN 2 ELSE 3 END,
        n := CASE WHEN json_type(e) IN ('BIGINT', 'UBIGINT', 'DOUBLE') THEN TRY_CAST(json_extract_string(e, '$') AS DOUBLE) END,
        s := json_extract_string(e, '$'), e := e)
    """,
)
MACROS.define(
    "kql_sorted(l, direction)",
    """
    list_transform(
        list_sort(list_transform(list_filter(l, lambda e: e IS NOT NULL), lambda e: kql_sort_key(e)), direction),
        lambda k: k.e)
    """,
)
MACROS.define(
    "kql_distinct_elements(l)",
    "list_filter(l, lambda e, i: list_position(l, e) = i OR (e IS NULL AND list_position(l, NULL) = i))",
)


def _dynamics(emission: Emission, args: Sequence[Bound]) -> list[Bound]:
    return [convert(emission, arg, DYNAMIC, index=index) for index, arg in enumerate(args)]


def _pack(emission: Emission, args: Sequence[Bound]) -> Bound:
    if len(args) % 2:
        raise ArgumentRefused("keys and values come in pairs", index=len(args) - 1)
    keys = [convert(emission, arg, STRING, index=2 * at) for at, arg in enumerate(args[::2])]
    values = [convert(emission, arg, DYNAMIC, index=2 * at + 1) for at, arg in enumerate(args[1::2])]
    fields = ", ".join(f"{key.sql}, {value.sql}" for key, value in zip(keys, values, strict=True))
    return result(f"json_object({fields})" if fields else "'{}'::JSON", DYNAMIC, [*keys, *values])


def _pack_array(emission: Emission, args: Sequence[Bound]) -> Bound:
    values = _dynamics(emission, args)
    return result(f"json_array({', '.join(value.sql for value in values)})", DYNAMIC, values)


def _bag_merge(emission: Emission, args: Sequence[Bound]) -> Bound:
    bags = _dynamics(emission, args)
    return expand(
        emission,
        "kql_bag_merge({0})",
        DYNAMIC,
        result(f"[{', '.join(bag.sql for bag in bags)}]", DYNAMIC, bags),
    )


def _bag_set_key(emission: Emission, args: Sequence[Bound]) -> Bound:
    bag, key, value = args
    text = convert(emission, key, STRING, index=1)
    packed = result(
        f"json_object({text.sql}, {convert(emission, value, DYNAMIC, index=2).sql})", DYNAMIC, args
    )
    return _bag_merge(emission, [packed, bag])


def _bag_zip(emission: Emission, args: Sequence[Bound]) -> Bound:
    # Keys that are no texts are left out; missing values are null.
    return expand(
        emission,
        "CASE json_type({0}) WHEN 'ARRAY' THEN kql_first_entries(list_transform(list_filter("
        "range(1, len(kql_elements({0})) + 1), lambda i: json_type(kql_elements({0})[i]) = 'VARCHAR'),"
        " lambda i: {key: json_extract_string(kql_elements({0})[i], '$'),"
        " value: coalesce(kql_elements({1})[i], 'null'::JSON)})) END",
        DYNAMIC,
        *_dynamics(emission, args),
    )


def _array(template: str) -> Emit:
    """An emitter of a macro over the elements of one array; null where it is none."""

    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        rest = [convert(emission, arg, LONG, index=index) for index, arg in enumerate(args[1:], start=1)]
        return expand(emission, template, DYNAMIC, args[0], *rest)

    return emit


def _array_concat(emission: Emission, args: Sequence[Bound]) -> Bound:
    lists = [f"coalesce(kql_elements({arg.sql}), [])" for arg in _dynamics(emission, args)]
    return expand(emission, f"to_json({' || '.join(lists)})", DYNAMIC, *args)


def _array_index_of(emission: Emission, args: Sequence[Bound]) -> Bound:
    array = convert(emission, args[0], DYNAMIC)
    lookup = convert(emission, args[1], DYNAMIC, index=1)
    if len(args) == 2 and args[1].type is REAL:
        # Numbers are the same however they are written.
        return expand(
            emission,
            "CASE json_type({0}) WHEN 'ARRAY' THEN coalesce(list_position(list_transform(kql_elements({0}),"
            " lambda each: CASE WHEN json_type(each) IN ('BIGINT', 'UBIGINT', 'DOUBLE')"
            " THEN TRY_CAST(json_extract_string(each, '$') AS DOUBLE) END), {1}) - 1, -1)::BIGINT END",
            LONG,
            array,
            args[1],
        )
    if len(args) == 2:
        return expand(
            emission,
            "CASE json_type({0}) WHEN 'ARRAY' THEN coalesce(list_position(kql_elements({0}), {1}) - 1, -1)::BIGINT END",
            LONG,
            array,
            lookup,
        )
    rest = [convert(emission, arg, LONG, index=index) for index, arg in enumerate(args[2:], start=2)]
    rest += [literal(0, LONG), literal(-1, LONG), literal(1, LONG)][len(rest) :]
    return expand(
        emission,
        "CASE json_type({0}) WHEN 'ARRAY' THEN kql_position_in(kql_elements({0}), {1}, {2}, {3}, {4}) END",
        LONG,
        array,
        lookup,
        *rest,
    )


MACROS.define(
    "kql_position_in(l, x, a, n, occurrence)",
    """
    coalesce(list_filter(
        range(CASE WHEN a < 0 THEN greatest(len(l) + a, 0) ELSE a END,
              CASE WHEN n < 0 THEN len(l)
                   ELSE least(len(l), CASE WHEN a < 0 THEN greatest(len(l) + a, 0) ELSE a END + n) END),
        lambda i: l[i + 1] = x)[occurrence], -1)
    """,
)


def _array_shift(sign: str) -> Emit:
    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        fill = convert(emission, args[2], DYNAMIC, index=2) if len(args) > 2 else literal(None, DYNAMIC)
        count = convert(emission, args[1], LONG, index=1)
        return expand(
            emission,
            f"CASE json_type({{0}}) WHEN 'ARRAY' THEN to_json(kql_array_shift(kql_elements({{0}}), {sign}{{1}}, {{2}})) END",
            DYNAMIC,
            args[0],
            count,
            fill,
        )

    return emit


def _array_split(emission: Emission, args: Sequence[Bound]) -> Bound:
    array, at = args
    points = (
        f"[{convert(emission, at, LONG, index=1).sql}]"
        if at.type is not DYNAMIC
        else f"CASE json_type({at.sql}) WHEN 'ARRAY' THEN TRY_CAST({at.sql} AS BIGINT[]) ELSE [TRY_CAST({at.sql} AS BIGINT)] END"
    )
    return expand(
        emission,
        "CASE json_type({0}) WHEN 'ARRAY' THEN kql_array_split(kql_elements({0}), {1}) END",
        DYNAMIC,
        array,
        result(points, DYNAMIC, [at]),
    )


MACROS.define(
    "kql_split_bounds(l, points)",
    """
    [0] || list_transform(points, lambda p: least(len(l), CASE WHEN p < 0 THEN greatest(len(l) + p, 0) ELSE p END)) || [len(l)]
    """,
)
MACROS.define(
    "kql_array_split(l, points)",
    """
    to_json(list_transform(range(1, len(points) + 2),
        lambda i: l[kql_split_bounds(l, points)[i] + 1 : kql_split_bounds(l, points)[i + 1]]))
    """,
)


def _array_iff(emission: Emission, args: Sequence[Bound]) -> Bound:
    _, then, otherwise = args
    branches = [
        f"kql_elements({each.sql})[i]" if each.type is DYNAMIC else convert(emission, each, DYNAMIC).sql
        for each in (then, otherwise)
    ]
    return expand(
        emission,
        f"CASE json_type({{0}}) WHEN 'ARRAY' THEN to_json(list_transform(kql_elements({{0}}),"
        f" lambda c, i: CASE kql_dynamic_bool(c) WHEN true THEN {branches[0]} WHEN false THEN {branches[1]} END)) END",
        DYNAMIC,
        *args,
    )


def _array_sort(direction: str) -> Emit:
    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        nulls_last = True
        arrays = list(args)
        if arrays[-1].type is BOOL:
            nulls_last = bool(arrays.pop().value)
        if len(arrays) > 1:
            return _sort_alongside(emission, arrays, direction)
        nulls = "list_filter(kql_elements({0}), lambda e: e IS NULL)"
        found = f"kql_sorted(kql_elements({{0}}), '{direction}')"
        both = f"{found} || {nulls}" if nulls_last else f"{nulls} || {found}"
        return expand(
            emission, f"CASE json_type({{0}}) WHEN 'ARRAY' THEN to_json({both}) END", DYNAMIC, arrays[0]
        )

    return emit


def _sort_alongside(emission: Emission, arrays: Sequence[Bound], direction: str) -> Bound:
    """All arrays in the order that sorts the first: an array of arrays."""
    found = _dynamics(emission, arrays)
    order = (
        "list_transform(list_sort(list_transform(kql_elements({0}),"
        f" lambda e, i: {{'key': kql_sort_key(e), 'at': i}}), '{direction}', 'NULLS LAST'), lambda k: k.at)"
    )
    sorted_arrays = ", ".join(
        f"list_transform({order}, lambda i: kql_elements({each.sql})[i])" for each in found
    )
    return expand(
        emission, f"CASE json_type({{0}}) WHEN 'ARRAY' THEN to_json([{sorted_arrays}]) END", DYNAMIC, *found
    )


def _set(emission: Emission, args: Sequence[Bound], template: str) -> Bound:
    """A set operation, folded from the left: {0} and {1} are lists of elements."""
    arrays = _dynamics(emission, args)
    found = f"kql_elements({arrays[0].sql})"
    for arg in arrays[1:]:
        found = template.replace("{0}", found).replace("{1}", f"kql_elements({arg.sql})")
    return expand(
        emission, f"to_json(kql_distinct_elements({found}))", DYNAMIC, result("''", DYNAMIC, arrays)
    )


def _set_operation(template: str) -> Emit:
    return lambda emission, args: _set(emission, args, template)


def _zip(emission: Emission, args: Sequence[Bound]) -> Bound:
    arrays = _dynamics(emission, args)
    elements = ", ".join(f"coalesce(kql_elements({arg.sql})[i], NULL)" for arg in arrays)
    longest = ", ".join(f"kql_array_length({arg.sql})" for arg in arrays)
    return expand(
        emission,
        f"to_json(list_transform(range(1, greatest({longest}) + 1), lambda i: [{elements}]))",
        DYNAMIC,
        result("''", DYNAMIC, arrays),
    )


def _repeat(emission: Emission, args: Sequence[Bound]) -> Bound:
    value = convert(emission, args[0], DYNAMIC)
    count = convert(emission, args[1], LONG, index=1)
    return expand(
        emission,
        "CASE WHEN {1} >= 0 THEN to_json(list_transform(range(least({1}, 1048576)), lambda i: {0})) END",
        DYNAMIC,
        value,
        count,
    )


def _extract_json(emission: Emission, args: Sequence[Bound]) -> Bound:

    path = args[0]
    if not path.constant or not isinstance(path.value, str):
        raise ArgumentRefused("the JSON path must be a constant string", index=0)
    text = convert(emission, args[1], DYNAMIC, index=1) if args[1].type is DYNAMIC else args[1]
    document = text.sql if text.type is DYNAMIC else f"TRY_CAST({text.sql} AS JSON)"
    jsonpath = path.value.replace("['", '."').replace("']", '"')
    found = result(f"json_extract({document}, {quote(jsonpath)})", DYNAMIC, [text])
    kind = typeof_of(args[2], index=2) if len(args) > 2 else STRING
    return convert(emission, found, kind)


_ARRAY = parameter("array", DYNAMICS)
_ARRAYS = parameter("arrays", DYNAMICS, variadic=True)
_BAG = parameter("bag", DYNAMICS)
_VALUE = parameter("value", ANY)


def _over_array(name: str, summary: str, template: str) -> Function:
    return scalar(
        name,
        [_ARRAY, parameter("count", WHOLES)],
        "dynamic",
        summary,
        _array(f"CASE json_type({{0}}) WHEN 'ARRAY' THEN to_json({template}) END"),
    )


FUNCTIONS: Final = (
    scalar(
        "bag_pack",
        [parameter("keys_and_values", ANY, variadic=True)],
        "dynamic",
        "A bag made of keys and their values.",
        _pack,
        aliases=("pack", "pack_dictionary"),
    ),
    scalar(
        "pack_array",
        [parameter("values", ANY, variadic=True)],
        "dynamic",
        "An array of the arguments.",
        _pack_array,
    ),
    scalar(
        "bag_keys",
        [_BAG],
        "dynamic",
        "An array of the bag's keys.",
        templated("kql_bag_keys({0})", DYNAMIC, DYNAMIC),
    ),
    scalar(
        "bag_has_key",
        [_BAG, parameter("key", TEXTS)],
        "bool",
        "Whether the bag has the key.",
        templated(
            "CASE json_type({0}) WHEN 'OBJECT' THEN list_contains(json_keys({0}), {1})"
            " OR (starts_with({1}, '$.') AND coalesce(TRY(json_exists({0}, {1})), false)) END",
            BOOL,
            DYNAMIC,
            STRING,
        ),
    ),
    scalar(
        "bag_merge",
        [_BAG, parameter("bags", DYNAMICS, variadic=True)],
        "dynamic",
        "One bag with the keys of all; of a key that several have, the first value.",
        _bag_merge,
    ),
    scalar(
        "bag_remove_keys",
        [_BAG, parameter("keys", DYNAMICS)],
        "dynamic",
        "The bag without the keys.",
        by_native("kqln_bag_remove_keys", DYNAMIC, DYNAMIC, DYNAMIC),
    ),
    scalar(
        "bag_set_key",
        [_BAG, parameter("key", TEXTS), _VALUE],
        "dynamic",
        "The bag with the key set to the value.",
        _bag_set_key,
    ),
    scalar(
        "bag_zip",
        [parameter("keys", DYNAMICS), parameter("values", DYNAMICS)],
        "dynamic",
        "A bag made of an array of keys and one of values.",
        _bag_zip,
    ),
    scalar(
        "dynamic_to_json",
        [_VALUE],
        "string",
        "The dynamic value as JSON, its keys in order.",
        lambda emission, args: expand(
            emission,
            "coalesce(nullif({0}, ''), 'null')",
            STRING,
            by_native("kqln_sorted_json", STRING, DYNAMIC)(emission, args),
        ),
    ),
    scalar(
        "array_length",
        [_ARRAY],
        "long",
        "How many elements the array has; null where it is none.",
        templated("kql_array_length({0})", LONG, DYNAMIC),
        aliases=("arraylength",),
    ),
    scalar("array_concat", [_ARRAY, _ARRAYS], "dynamic", "The arrays, one after the other.", _array_concat),
    scalar(
        "array_slice",
        [_ARRAY, parameter("start", WHOLES), parameter("end", WHOLES)],
        "dynamic",
        "The elements from start to end, both included; negative positions count from the end.",
        _array(
            "CASE json_type({0}) WHEN 'ARRAY' THEN to_json(kql_array_slice(kql_elements({0}), {1}, {2})) END"
        ),
    ),
    scalar(
        "array_index_of",
        [
            _ARRAY,
            _VALUE,
            parameter("start", WHOLES, optional=True),
            parameter("length", WHOLES, optional=True),
            parameter("occurrence", WHOLES, optional=True),
        ],
        "long",
        "Where the value is in the array, counted from 0; -1 where it is not.",
        _array_index_of,
    ),
    scalar(
        "array_reverse",
        [_ARRAY],
        "dynamic",
        "The elements from last to first.",
        templated(
            "CASE json_type({0}) WHEN 'ARRAY' THEN to_json(list_reverse(kql_elements({0}))) END",
            DYNAMIC,
            DYNAMIC,
        ),
    ),
    _over_array(
        "array_rotate_left",
        "The elements moved left, around the end.",
        "kql_array_rotate(kql_elements({0}), {1})",
    ),
    _over_array(
        "array_rotate_right",
        "The elements moved right, around the end.",
        "kql_array_rotate(kql_elements({0}), -{1})",
    ),
    scalar(
        "array_shift_left",
        [_ARRAY, parameter("shift_count", WHOLES), parameter("default_value", ANY, optional=True)],
        "dynamic",
        "The elements moved left; what is vacated holds the default.",
        _array_shift(""),
    ),
    scalar(
        "array_shift_right",
        [_ARRAY, parameter("shift_count", WHOLES), parameter("default_value", ANY, optional=True)],
        "dynamic",
        "The elements moved right; what is vacated holds the default.",
        _array_shift("-"),
    ),
    scalar(
        "array_split",
        [_ARRAY, parameter("indices", ANY)],
        "dynamic",
        "The array cut at the positions, as an array of arrays.",
        _array_split,
    ),
    scalar(
        "array_sum",
        [_ARRAY],
        "real",
        "The sum of the array's numbers.",
        templated("kql_array_sum({0})", REAL, DYNAMIC),
    ),
    scalar(
        "array_iff",
        [parameter("condition_array", DYNAMICS), parameter("when_true", ANY), parameter("when_false", ANY)],
        "dynamic",
        "For each condition, the element of the one array or of the other.",
        _array_iff,
        aliases=("array_iif",),
    ),
    scalar(
        "array_sort_asc",
        [_ARRAY, parameter("arrays_or_nulls_last", ANY, variadic=True)],
        "dynamic",
        "The elements in ascending order.",
        _array_sort("ASC"),
    ),
    scalar(
        "array_sort_desc",
        [_ARRAY, parameter("arrays_or_nulls_last", ANY, variadic=True)],
        "dynamic",
        "The elements in descending order.",
        _array_sort("DESC"),
    ),
    scalar(
        "set_union",
        [_ARRAY, _ARRAYS],
        "dynamic",
        "The distinct elements of all arrays.",
        _set_operation("({0} || {1})"),
    ),
    scalar(
        "set_intersect",
        [_ARRAY, _ARRAYS],
        "dynamic",
        "The distinct elements that all arrays have.",
        _set_operation("list_filter({0}, lambda e: list_contains({1}, e))"),
    ),
    scalar(
        "set_difference",
        [_ARRAY, _ARRAYS],
        "dynamic",
        "The distinct elements of the first array that no other has.",
        _set_operation("list_filter({0}, lambda e: NOT list_contains({1}, e))"),
    ),
    scalar(
        "set_has_element",
        [_ARRAY, _VALUE],
        "bool",
        "Whether the array has the element.",
        lambda emission, args: expand(
            emission,
            "CASE json_type({0}) WHEN 'ARRAY' THEN coalesce(list_contains(kql_elements({0}), {1}), false) END",
            BOOL,
            *_dynamics(emission, args),
        ),
    ),
    scalar(
        "jaccard_index",
        [parameter("set1", DYNAMICS), parameter("set2", DYNAMICS)],
        "real",
        "How much two sets have in common: the size of the intersection over that of the union.",
        lambda emission, args: expand(
            emission,
            "len(list_intersect(kql_elements({0}), kql_elements({1})))::DOUBLE"
            " / len(list_distinct(kql_elements({0}) || kql_elements({1})))",
            REAL,
            *_dynamics(emission, args),
        ),
    ),
    scalar("zip", [_ARRAY, _ARRAYS], "dynamic", "An array of the arrays' elements side by side.", _zip),
    scalar(
        "repeat",
        [_VALUE, parameter("count", WHOLES)],
        "dynamic",
        "An array that holds the value that often.",
        _repeat,
    ),
    scalar(
        "extract_json",
        [
            parameter("jsonPath", TEXTS),
            parameter("dataSource", TEXTS),
            parameter("type", ANY, optional=True, constant=True),
        ],
        "string, or the type asked for",
        "What the JSON path finds in the text.",
        _extract_json,
        aliases=("extractjson",),
    ),
)
