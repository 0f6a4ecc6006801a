"""Functions over series, the arrays that make-series and make_list() build."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from shared.kql.functions.build import (
    ANY,
    BOOL,
    BOOLS,
    DYNAMIC,
    DYNAMICS,
    LONG,
    NUMBERS,
    REAL,
    STRING,
    TEXTS,
    WHOLES,
    by_native,
    convert,
    expand,
    literal,
    parameter,
    scalar,
)
from shared.kql.functions.registry import Bound, Emission, Emit, Function
from shared.kql.types import KqlType

_SERIES = parameter("series", DYNAMICS)
_PLACEHOLDER = parameter("missing_value_placeholder", ANY, optional=True)
NO_VALUE: Final = Bound(sql="'null'::JSON", type=DYNAMIC)


def _two(name: str, what: str, returns: KqlType = DYNAMIC) -> Function:
    return scalar(
        name,
        [parameter("series1", ANY), parameter("series2", ANY)],
        str(returns),
        what,
        by_native(f"kqln_{name}", returns, DYNAMIC, DYNAMIC),
    )


def _one(name: str, what: str, returns: KqlType = DYNAMIC) -> Function:
    return scalar(name, [_SERIES], str(returns), what, by_native(f"kqln_{name}", returns, DYNAMIC))


def _padded(emit: Emit, *defaults: Bound) -> Emit:
    """The emitter with the arguments that were left out filled in; a null placeholder is none."""

    def padded(emission: Emission, args: Sequence[Bound]) -> Bound:
        given = [
            NO_VALUE if arg.constant and arg.value is None and index != 0 else arg
            for index, arg in enumerate(args)
        ]
        return emit(emission, [*given, *defaults[len(given) - 1 :]])

    return padded


def component(name: str, kind: KqlType, bag: Emit) -> Emit:
    """One of the values in the bag that another emitter makes."""

    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        found = bag(emission, args)
        part = expand(emission, f"json_extract({{0}}, '$.{name}')", DYNAMIC, found)
        return convert(emission, part, kind)

    return emit


FIT_LINE: Final = (
    ("rsquare", REAL),
    ("slope", REAL),
    ("variance", REAL),
    ("rvariance", REAL),
    ("interception", REAL),
    ("line_fit", DYNAMIC),
)
FIT_2LINES: Final = (
    ("rsquare", REAL),
    ("split_idx", LONG),
    ("variance", REAL),
    ("rvariance", REAL),
    ("line_fit", DYNAMIC),
)
STATS: Final = (
    ("min", REAL),
    ("min_idx", LONG),
    ("max", REAL),
    ("max_idx", LONG),
    ("avg", REAL),
    ("stdev", REAL),
    ("variance", REAL),
)

_STATS_BAG: Final = by_native("kqln_series_stats_dynamic", DYNAMIC, DYNAMIC)
_FIT_LINE_BAG: Final = by_native("kqln_series_fit_line_dynamic", DYNAMIC, DYNAMIC)
_FIT_2LINES_BAG: Final = by_native("kqln_series_fit_2lines", DYNAMIC, DYNAMIC)
_DECOMPOSED: Final = _padded(
    by_native("kqln_series_decompose", DYNAMIC, DYNAMIC, LONG, STRING, LONG),
    literal(-1, LONG),
    literal("avg", STRING),
    literal(0, LONG),
)
_ANOMALIES: Final = _padded(
    by_native("kqln_series_decompose_anomalies", DYNAMIC, DYNAMIC, REAL, LONG, STRING, LONG, STRING),
    literal(1.5, REAL),
    literal(-1, LONG),
    literal("avg", STRING),
    literal(0, LONG),
    literal("ctukey", STRING),
)

# Functions that yield several columns: what each is called behind the function and its argument, and its emitter.
TUPLES: Final[Mapping[str, Sequence[tuple[str, Emit]]]] = MappingProxyType(
    {
        "series_stats": [(name, component(name, kind, _STATS_BAG)) for name, kind in STATS],
        "series_fit_line": [(name, component(name, kind, _FIT_LINE_BAG)) for name, kind in FIT_LINE],
        "series_fit_2lines": [(name, component(name, kind, _FIT_2LINES_BAG)) for name, kind in FIT_2LINES],
        "series_decompose": [
            (name, component(name, DYNAMIC, _DECOMPOSED))
            for name in ("baseline", "seasonal", "trend", "residual")
        ],
        "series_decompose_anomalies": [
            (name, component(name, DYNAMIC, _ANOMALIES)) for name in ("ad_flag", "ad_score", "baseline")
        ],
    }
)

# Kusto has more columns of these than we have: a query must name those it wants.
PARTIAL: Final = frozenset(("series_fit_2lines",))

FUNCTIONS: Final = (
    _two("series_add", "The sum, element by element."),
    _two("series_subtract", "The difference, element by element."),
    _two("series_multiply", "The product, element by element."),
    _two("series_divide", "The quotient, element by element."),
    _two("series_pow", "The power, element by element."),
    _two("series_equals", "Whether elements are equal."),
    _two("series_not_equals", "Whether elements differ."),
    _two("series_greater", "Whether elements of the first are greater."),
    _two("series_greater_equals", "Whether elements of the first are not less."),
    _two("series_less", "Whether elements of the first are less."),
    _two("series_less_equals", "Whether elements of the first are not greater."),
    _one("series_abs", "Each element without its sign."),
    _one("series_sign", "-1, 0 or 1 for each element."),
    _one("series_ceiling", "Each element rounded up."),
    _one("series_floor", "Each element rounded down."),
    _one("series_exp", "e to the power of each element."),
    _one("series_log", "The natural logarithm of each element."),
    _one("series_sin", "The sine of each element."),
    _one("series_cos", "The cosine of each element."),
    _one("series_tan", "The tangent of each element."),
    _one("series_asin", "The arcsine of each element."),
    _one("series_acos", "The arccosine of each element."),
    _one("series_atan", "The arctangent of each element."),
    _one("series_sum", "The sum of the elements.", REAL),
    _one("series_product", "The product of the elements.", REAL),
    _one("series_magnitude", "The square root of the sum of squares.", REAL),
    _two("series_dot_product", "The sum of the products, element by element.", REAL),
    _two("series_cosine_similarity", "The cosine of the angle between two series.", REAL),
    _two("series_pearson_correlation", "Pearson's correlation coefficient.", REAL),
    scalar(
        "series_fill_forward",
        [_SERIES, _PLACEHOLDER],
        "dynamic",
        "The series with gaps filled by the value before.",
        _padded(by_native("kqln_series_fill_forward", DYNAMIC, DYNAMIC, DYNAMIC), NO_VALUE),
    ),
    scalar(
        "series_fill_backward",
        [_SERIES, _PLACEHOLDER],
        "dynamic",
        "The series with gaps filled by the value after.",
        _padded(by_native("kqln_series_fill_backward", DYNAMIC, DYNAMIC, DYNAMIC), NO_VALUE),
    ),
    scalar(
        "series_fill_const",
        [_SERIES, parameter("constant_value", ANY), _PLACEHOLDER],
        "dynamic",
        "The series with gaps filled by the constant.",
        _padded(by_native("kqln_series_fill_const", DYNAMIC, DYNAMIC, DYNAMIC, DYNAMIC), NO_VALUE, NO_VALUE),
    ),
    scalar(
        "series_fill_linear",
        [
            _SERIES,
            _PLACEHOLDER,
            parameter("fill_edges", BOOLS, optional=True),
            parameter("constant_value", ANY, optional=True),
        ],
        "dynamic",
        "The series with gaps filled by the line between their neighbours.",
        _padded(
            by_native("kqln_series_fill_linear", DYNAMIC, DYNAMIC, DYNAMIC, BOOL, DYNAMIC),
            NO_VALUE,
            literal(value=True, kind=BOOL),
            literal("0", DYNAMIC),
        ),
    ),
    scalar(
        "series_fir",
        [
            _SERIES,
            parameter("filter", DYNAMICS),
            parameter("normalize", BOOLS, optional=True),
            parameter("center", BOOLS, optional=True),
        ],
        "dynamic",
        "The series through a finite impulse response filter.",
        _padded(
            by_native("kqln_series_fir", DYNAMIC, DYNAMIC, DYNAMIC, BOOL, BOOL),
            NO_VALUE,
            literal(value=True, kind=BOOL),
            literal(value=False, kind=BOOL),
        ),
    ),
    scalar(
        "series_iir",
        [_SERIES, parameter("numerators", DYNAMICS), parameter("denominators", DYNAMICS)],
        "dynamic",
        "The series through an infinite impulse response filter.",
        by_native("kqln_series_iir", DYNAMIC, DYNAMIC, DYNAMIC, DYNAMIC),
    ),
    scalar(
        "series_seasonal",
        [_SERIES, parameter("period", WHOLES)],
        "dynamic",
        "The mean of each phase of the period, repeated along the series. The period must be given.",
        by_native("kqln_series_seasonal", DYNAMIC, DYNAMIC, LONG),
    ),
    scalar(
        "series_decompose",
        [
            _SERIES,
            parameter("seasonality", WHOLES, optional=True),
            parameter("trend", TEXTS, optional=True),
            parameter("test_points", WHOLES, optional=True),
        ],
        "the columns baseline, seasonal, trend, residual",
        "The series as season, trend and rest. A period of its own (-1) is the strongest peak of the autocorrelation.",
        component("baseline", DYNAMIC, _DECOMPOSED),
    ),
    scalar(
        "series_decompose_anomalies",
        [
            _SERIES,
            parameter("threshold", NUMBERS, optional=True),
            parameter("seasonality", WHOLES, optional=True),
            parameter("trend", TEXTS, optional=True),
            parameter("test_points", WHOLES, optional=True),
            parameter("AD_method", TEXTS, optional=True),
        ],
        "the columns ad_flag, ad_score, baseline",
        "Which points stand out of season and trend. A period of its own (-1) is the strongest peak of the autocorrelation.",
        component("ad_flag", DYNAMIC, _ANOMALIES),
    ),
    scalar(
        "series_decompose_forecast",
        [
            _SERIES,
            parameter("points", WHOLES),
            parameter("seasonality", WHOLES, optional=True),
            parameter("trend", TEXTS, optional=True),
        ],
        "dynamic",
        "Season and trend, learnt without the last points and drawn over them.",
        _padded(
            by_native("kqln_series_decompose_forecast", DYNAMIC, DYNAMIC, LONG, LONG, STRING),
            NO_VALUE,
            literal(-1, LONG),
            literal("linefit", STRING),
        ),
    ),
    _one("series_stats_dynamic", "Least, greatest, mean, deviation and more, in a bag."),
    scalar(
        "series_stats",
        [_SERIES],
        "the columns min, min_idx, max, max_idx, avg, stdev, variance",
        "Least, greatest, mean and deviation of the series.",
        component("min", REAL, _STATS_BAG),
    ),
    _one("series_fit_line_dynamic", "The line of least squares, in a bag."),
    scalar(
        "series_fit_line",
        [_SERIES],
        "the columns rsquare, slope, variance, rvariance, interception, line_fit",
        "The line of least squares.",
        component("rsquare", REAL, _FIT_LINE_BAG),
    ),
    scalar(
        "series_fit_2lines",
        [_SERIES],
        "the columns rsquare, split_idx, variance, rvariance, line_fit",
        "The two lines of least squares that explain the series best.",
        component("rsquare", REAL, _FIT_2LINES_BAG),
    ),
)
