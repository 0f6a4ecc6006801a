"""Arithmetic over series: JSON arrays in, JSON arrays or numbers out. What is not a number counts as missing."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

Number = int | float
Series = list[Number | None]


def _number(value: Any) -> Number | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _read(text: str) -> Series | None:
    """The series; None where the text holds no array."""
    found = json.loads(text)
    return [_number(each) for each in found] if isinstance(found, list) else None  # pyright: ignore[reportUnknownVariableType]


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _write(values: Sequence[Any]) -> str:
    return json.dumps([_finite(value) for value in values])


# -- element by element ----------------------------------------------------------------------------------------


def _binary(operation: Callable[[Number, Number], Any]) -> Callable[[str, str], str | None]:
    def apply(left: str, right: str) -> str | None:
        pair = _pair(left, right)
        if pair is None:
            return None
        return _write(
            [None if a is None or b is None else operation(a, b) for a, b in zip(*pair, strict=True)]
        )

    return apply


def _pair(left: str, right: str) -> tuple[Series, Series] | None:
    """Two series of one length: a number stands for as many of it, a shorter array is padded with nothing."""
    one, other = json.loads(left), json.loads(right)
    if not isinstance(one, list) and not isinstance(other, list):
        return None
    length = max(len(each) for each in (one, other) if isinstance(each, list))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]

    def spread(value: Any) -> Series:
        if isinstance(value, list):
            found = [_number(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
            return found + [None] * (length - len(found))
        return [_number(value)] * length

    return spread(one), spread(other)


def _unary(operation: Callable[[Number], Any]) -> Callable[[str], str | None]:
    def apply(text: str) -> str | None:
        values = _read(text)
        return (
            None if values is None else _write([None if each is None else operation(each) for each in values])
        )

    return apply


def _real(operation: Callable[[float], float]) -> Callable[[Number], float]:
    """A real function that answers NaN where mathematics has no answer."""

    def guarded(value: Number) -> float:
        try:
            return float(operation(float(value)))
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return guarded


def _divide(a: Number, b: Number) -> float:
    if b == 0:
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a)
    return a / b


def _pow(a: Number, b: Number) -> float:
    try:
        found = float(a) ** float(b)
    except (ZeroDivisionError, OverflowError):
        return math.inf
    return math.nan if isinstance(found, complex) else found


def _log(value: float) -> float:
    return -math.inf if value == 0 else math.log(value)


def _sign(value: Number) -> int:
    return (value > 0) - (value < 0)


# -- to one number ---------------------------------------------------------------------------------------------


def _whole(text: str) -> list[float] | None:
    """The series where none of it is missing."""
    values = _read(text)
    if values is None or any(each is None for each in values):
        return None
    return [float(each) for each in values if each is not None]


def _total(text: str) -> float | None:
    values = _read(text)
    return None if values is None else float(sum(each for each in values if each is not None))


def _product(text: str) -> float | None:
    values = _read(text)
    return None if values is None else float(math.prod(each for each in values if each is not None))


def _magnitude(text: str) -> float | None:
    values = _whole(text)
    return None if values is None else math.sqrt(sum(each * each for each in values))


def _dot(left: str, right: str) -> float | None:
    pair = _pair(left, right)
    if pair is None:
        return None
    return float(sum(a * b for a, b in zip(*pair, strict=True) if a is not None and b is not None))


def _cosine(left: str, right: str) -> float | None:
    one, other = _whole(left), _whole(right)
    if one is None or other is None or len(one) != len(other):
        return None
    lengths = math.sqrt(sum(a * a for a in one)) * math.sqrt(sum(b * b for b in other))
    return _divide(sum(a * b for a, b in zip(one, other, strict=True)), lengths)


def _pearson(left: str, right: str) -> float | None:
    one, other = _whole(left), _whole(right)
    if one is None or other is None or len(one) != len(other) or not one:
        return None
    mean_a, mean_b = sum(one) / len(one), sum(other) / len(other)
    covariance = sum((a - mean_a) * (b - mean_b) for a, b in zip(one, other, strict=True))
    spread = math.sqrt(sum((a - mean_a) ** 2 for a in one)) * math.sqrt(sum((b - mean_b) ** 2 for b in other))
    return _divide(covariance, spread)


# -- filling gaps ----------------------------------------------------------------------------------------------


def _forward(values: Series) -> Series:
    last: Number | None = None
    filled: Series = []
    for value in values:
        last = value if value is not None else last
        filled.append(last)
    return filled


def _placed(text: str, placeholder: str) -> Series | None:
    """The series with the placeholder's value taken as missing too."""
    values, missing = _read(text), json.loads(placeholder)
    return None if values is None else [None if each == missing else each for each in values]


def _fill_forward(text: str, placeholder: str) -> str | None:
    values = _placed(text, placeholder)
    return None if values is None else _write(_forward(values))


def _fill_backward(text: str, placeholder: str) -> str | None:
    values = _placed(text, placeholder)
    return None if values is None else _write(_forward(values[::-1])[::-1])


def _fill_const(text: str, constant: str, placeholder: str) -> str | None:
    values, fill = _placed(text, placeholder), json.loads(constant)
    return None if values is None else _write([fill if each is None else each for each in values])


def _fill_linear(text: str, placeholder: str, edges: bool, constant: str) -> str | None:
    values = _placed(text, placeholder)
    if values is None:
        return None
    known = [at for at, value in enumerate(values) if value is not None]
    if not known:
        return _write([json.loads(constant)] * len(values))
    filled: list[Any] = [None if value is None else float(value) for value in values]
    for before, after in pairwise(known):
        a, b = filled[before], filled[after]
        for at in range(before + 1, after):
            filled[at] = a + (b - a) * (at - before) / (after - before)
    if edges:
        first, last = known[0], known[-1]
        filled[:first] = [filled[first]] * first
        filled[last + 1 :] = [filled[last]] * (len(values) - last - 1)
    return _write(filled)


# -- filters and fits ------------------------------------------------------------------------------------------


def _fir(text: str, weights: str, normalize: bool, center: bool) -> str | None:
    values, taps = _read(text), _read(weights)
    if values is None or not taps or any(tap is None for tap in taps):
        return None
    factors = [tap for tap in taps if tap is not None]
    total = sum(factors)
    if normalize and total != 0:
        factors = [factor / total for factor in factors]
    shift = len(factors) // 2 if center else 0

    def at(index: int) -> Number:
        value = values[index] if 0 <= index < len(values) else None
        return 0 if value is None else value

    return _write(
        [
            sum(factor * at(index + shift - lag) for lag, factor in enumerate(factors))
            for index in range(len(values))
        ]
    )


def _iir(text: str, numerators: str, denominators: str) -> str | None:
    values, ahead, back = _read(text), _whole(numerators), _whole(denominators)
    if values is None or not ahead or not back or back[0] == 0:
        return None
    found: list[float] = []
    for index in range(len(values)):
        inner = sum(
            factor * (values[index - lag] or 0) for lag, factor in enumerate(ahead) if index - lag >= 0
        ) - sum(factor * found[index - lag] for lag, factor in enumerate(back) if lag and index - lag >= 0)
        found.append(inner / back[0])
    return _write(found)


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((each - mean) ** 2 for each in values) / (len(values) - 1) if len(values) > 1 else 0.0


def _stats(text: str) -> str | None:
    values = _read(text)
    if values is None:
        return None
    known = [(value, at) for at, value in enumerate(values) if value is not None]
    if not known:
        return None
    numbers = [float(value) for value, _ in known]
    least = min(known, key=lambda each: each[0])
    most = max(known, key=lambda each: each[0])
    variance = _variance(numbers)
    return json.dumps(
        {
            "min": float(least[0]),
            "min_idx": least[1],
            "max": float(most[0]),
            "max_idx": most[1],
            "avg": sum(numbers) / len(numbers),
            "stdev": math.sqrt(variance),
            "variance": variance,
            "sum": sum(numbers),
            "len": len(values),
        }
    )


def _fit_line(text: str) -> str | None:
    """The least squares line, with how much of the variance it explains."""
    values = _whole(text)
    if not values:
        return None
    count = len(values)
    mean_x, mean_y = (count - 1) / 2, sum(values) / count
    spread = sum((x - mean_x) ** 2 for x in range(count))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(values)) / spread if spread else 0.0
    interception = mean_y - slope * mean_x
    line = [interception + slope * x for x in range(count)]
    variance = _variance(values)
    residual = _variance([y - fit for y, fit in zip(values, line, strict=True)])
    return json.dumps(
        {
            "rsquare": 1 - residual / variance if variance else 1.0,
            "slope": slope,
            "variance": variance,
            "rvariance": residual,
            "interception": interception,
            "line_fit": line,
        }
    )


def _line(values: Sequence[float]) -> list[float]:
    """The least squares line through the values, at their places."""
    count = len(values)
    mean_x, mean_y = (count - 1) / 2, sum(values) / count
    spread = sum((x - mean_x) ** 2 for x in range(count))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(values)) / spread if spread else 0.0
    return [mean_y + slope * (x - mean_x) for x in range(count)]


def _residuals(values: Sequence[float]) -> list[float]:
    """The sum of squared residuals of the line through the first values, for each number of them."""
    found = [0.0]
    sum_x = sum_y = sum_xx = sum_xy = sum_yy = 0.0
    shift = values[0] if values else 0.0  # what sums of squares lose when numbers are large
    for x, value in enumerate(values):
        y = value - shift
        sum_x, sum_y, sum_xx, sum_xy, sum_yy = (
            sum_x + x,
            sum_y + y,
            sum_xx + x * x,
            sum_xy + x * y,
            sum_yy + y * y,
        )
        count = x + 1
        spread = sum_xx - sum_x * sum_x / count
        shared = sum_xy - sum_x * sum_y / count
        rest = sum_yy - sum_y * sum_y / count - (shared * shared / spread if spread else 0.0)
        found.append(max(rest, 0.0))
    return found


def _fit_2lines(text: str) -> str | None:
    """Two least squares lines, cut where they leave the least of the variance unexplained."""
    values = _whole(text)
    if values is None or len(values) < 2:
        return None
    left = _residuals(values)
    right = _residuals(values[::-1])[::-1]
    split = min(range(1, len(values)), key=lambda at: left[at] + right[at])
    line = [*_line(values[:split]), *_line(values[split:])]
    variance = _variance(values)
    residual = _variance([y - fit for y, fit in zip(values, line, strict=True)])
    return json.dumps(
        {
            "rsquare": 1 - residual / variance if variance else 1.0,
            "split_idx": split,
            "variance": variance,
            "rvariance": residual,
            "line_fit": line,
        }
    )


def _seasonal(text: str, period: int) -> str | None:
    values = _whole(text)
    if not values or period <= 0:
        return None
    means = [
        sum(values[phase::period]) / len(values[phase::period]) for phase in range(min(period, len(values)))
    ]
    return _write([means[at % period] for at in range(len(values))])


_TWO: Final = "VARCHAR VARCHAR"

FUNCTIONS: Final[Mapping[str, tuple[Callable[..., Any], str, str]]] = MappingProxyType(
    {
        "series_add": (_binary(lambda a, b: a + b), _TWO, "VARCHAR"),
        "series_subtract": (_binary(lambda a, b: a - b), _TWO, "VARCHAR"),
        "series_multiply": (_binary(lambda a, b: a * b), _TWO, "VARCHAR"),
        "series_divide": (_binary(_divide), _TWO, "VARCHAR"),
        "series_pow": (_binary(_pow), _TWO, "VARCHAR"),
        "series_equals": (_binary(lambda a, b: a == b), _TWO, "VARCHAR"),
        "series_not_equals": (_binary(lambda a, b: a != b), _TWO, "VARCHAR"),
        "series_greater": (_binary(lambda a, b: a > b), _TWO, "VARCHAR"),
        "series_greater_equals": (_binary(lambda a, b: a >= b), _TWO, "VARCHAR"),
        "series_less": (_binary(lambda a, b: a < b), _TWO, "VARCHAR"),
        "series_less_equals": (_binary(lambda a, b: a <= b), _TWO, "VARCHAR"),
        "series_abs": (_unary(abs), "VARCHAR", "VARCHAR"),
        "series_sign": (_unary(_sign), "VARCHAR", "VARCHAR"),
        "series_ceiling": (_unary(math.ceil), "VARCHAR", "VARCHAR"),
        "series_floor": (_unary(math.floor), "VARCHAR", "VARCHAR"),
        "series_exp": (_unary(_real(math.exp)), "VARCHAR", "VARCHAR"),
        "series_log": (_unary(_real(_log)), "VARCHAR", "VARCHAR"),
        "series_sin": (_unary(_real(math.sin)), "VARCHAR", "VARCHAR"),
        "series_cos": (_unary(_real(math.cos)), "VARCHAR", "VARCHAR"),
        "series_tan": (_unary(_real(math.tan)), "VARCHAR", "VARCHAR"),
        "series_asin": (_unary(_real(math.asin)), "VARCHAR", "VARCHAR"),
        "series_acos": (_unary(_real(math.acos)), "VARCHAR", "VARCHAR"),
        "series_atan": (_unary(_real(math.atan)), "VARCHAR", "VARCHAR"),
        "series_sum": (_total, "VARCHAR", "DOUBLE"),
        "series_product": (_product, "VARCHAR", "DOUBLE"),
        "series_magnitude": (_magnitude, "VARCHAR", "DOUBLE"),
        "series_dot_product": (_dot, _TWO, "DOUBLE"),
        "series_cosine_similarity": (_cosine, _TWO, "DOUBLE"),
        "series_pearson_correlation": (_pearson, _TWO, "DOUBLE"),
        "series_fill_forward": (_fill_forward, _TWO, "VARCHAR"),
        "series_fill_backward": (_fill_backward, _TWO, "VARCHAR"),
        "series_fill_const": (_fill_const, "VARCHAR VARCHAR VARCHAR", "VARCHAR"),
        "series_fill_linear": (_fill_linear, "VARCHAR VARCHAR BOOLEAN VARCHAR", "VARCHAR"),
        "series_fir": (_fir, "VARCHAR VARCHAR BOOLEAN BOOLEAN", "VARCHAR"),
        "series_iir": (_iir, "VARCHAR VARCHAR VARCHAR", "VARCHAR"),
        "series_stats_dynamic": (_stats, "VARCHAR", "VARCHAR"),
        "series_fit_line_dynamic": (_fit_line, "VARCHAR", "VARCHAR"),
        "series_fit_2lines": (_fit_2lines, "VARCHAR", "VARCHAR"),
        "series_seasonal": (_seasonal, "VARCHAR BIGINT", "VARCHAR"),
    }
)
