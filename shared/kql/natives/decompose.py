"""Seasons, trends and what stands out of them, as Kusto's engine was measured to take series apart.

The season is the median of each phase, the trend is fitted to what remains, and a residual is scored by how far it lies
beyond the 10th or 90th percentile of all. Those were read off its answers to the last digit. How it finds a period by
itself is not documented: here it is the strongest peak of the autocorrelation, if that is strong.
"""

import cmath
import json
import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from types import MappingProxyType
from typing import Any, Final

_SCALE: Final = 2.7726056055079
"""Makes a score of 1.5 beyond the 10th and 90th percentile mean what Tukey's 1.5 means beyond the quartiles."""
_STRONG: Final = 0.7


def _values(text: str) -> list[float] | None:
    """The series with gaps filled from before, and then from behind; None where it is none."""
    found = json.loads(text)
    if not isinstance(found, list) or not found:
        return None
    numbers: list[float | None] = [
        float(each) if isinstance(each, int | float) and not isinstance(each, bool) else None
        for each in found  # pyright: ignore[reportUnknownVariableType]
    ]
    if all(each is None for each in numbers):
        return None
    last = next(each for each in numbers if each is not None)
    filled: list[float] = []
    for each in numbers:
        last = last if each is None else each
        filled.append(last)
    return filled


def _transform(values: Sequence[complex]) -> list[complex]:
    """The fast Fourier transform of a power of two of values."""
    if len(values) == 1:
        return list(values)
    even, odd = _transform(values[::2]), _transform(values[1::2])
    half = len(even)
    turned = [cmath.exp(-2j * math.pi * at / len(values)) * each for at, each in enumerate(odd)]
    return [even[at] + turned[at] for at in range(half)] + [even[at] - turned[at] for at in range(half)]


def _autocorrelation(values: Sequence[float]) -> list[float]:
    mean = sum(values) / len(values)
    size = 1 << (2 * len(values) - 1).bit_length()
    padded = [complex(each - mean) for each in values] + [0j] * (size - len(values))
    spectrum = _transform(padded)
    power = _transform([complex(abs(each) ** 2) for each in spectrum])
    whole = power[0].real
    return [each.real / whole if whole > 0 else 0.0 for each in power[: len(values)]]


def _period(values: Sequence[float]) -> int:
    """The period that the series repeats itself with; 0 for none."""
    count = len(values)
    found = _autocorrelation(values)
    peaks = [
        lag
        for lag in range(2, count // 2 + 1)
        if found[lag] > found[lag - 1]
        and found[lag] >= found[min(lag + 1, count - 1)]
        and found[lag] * count / (count - lag) >= _STRONG
    ]
    return max(peaks, key=lambda lag: found[lag], default=0)


def _line(values: Sequence[float], count: int) -> list[float]:
    """The least squares line through the values, drawn over `count` points."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in range(len(values)))
    slope = sum((at - middle) * (each - mean) for at, each in enumerate(values)) / spread if spread else 0.0
    return [mean + slope * (at - middle) for at in range(count)]


def _parts(
    values: Sequence[float], period: int, trend: str, test_points: int
) -> tuple[list[float], list[float]] | None:
    """Seasonal and trend; the last `test_points` are not learnt from. None where the arguments mean nothing."""
    count = len(values)
    learnt: Sequence[float] = values[: count - test_points] if 0 <= test_points < count else ()
    if not learnt or trend not in ("avg", "linefit", "none") or period < -1:
        return None
    cycle = _period(learnt) if period == -1 else period
    if cycle > 1 and cycle <= len(learnt):
        phases = [median(learnt[phase::cycle]) for phase in range(cycle)]
        seasonal = [phases[at % cycle] for at in range(count)]
    else:
        seasonal = [0.0] * count
    rest = [value - season for value, season in zip(learnt, seasonal, strict=False)]
    if trend == "linefit":
        return seasonal, _line(rest, count)
    return seasonal, [sum(rest) / len(rest) if trend == "avg" else 0.0] * count


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = (len(ordered) - 1) * share
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _scores(residuals: Sequence[float], method: str) -> list[float]:
    low, high, scale = (0.25, 0.75, 1.0) if method == "tukey" else (0.1, 0.9, _SCALE)
    ordered = sorted(residuals)
    bottom, top = _quantile(ordered, low), _quantile(ordered, high)
    span = top - bottom
    if span <= 0:
        return [0.0] * len(residuals)
    return [(max(each - top, 0.0) + min(each - bottom, 0.0)) / span * scale for each in residuals]


def _decompose(text: str, period: int, trend: str, test_points: int) -> str | None:
    values = _values(text)
    parts = _parts(values, period, trend, test_points) if values else None
    if values is None or parts is None:
        return None
    seasonal, slope = parts
    baseline = [season + level for season, level in zip(seasonal, slope, strict=True)]
    return json.dumps(
        {
            "baseline": baseline,
            "seasonal": seasonal,
            "trend": slope,
            "residual": [value - base for value, base in zip(values, baseline, strict=True)],
        }
    )


def _anomalies(
    text: str, threshold: float, period: int, trend: str, test_points: int, method: str
) -> str | None:
    values = _values(text)
    parts = _parts(values, period, trend, test_points) if values else None
    if values is None or parts is None or method not in ("ctukey", "tukey"):
        return None
    baseline = [season + level for season, level in zip(*parts, strict=True)]
    scores = _scores([value - base for value, base in zip(values, baseline, strict=True)], method)
    return json.dumps(
        {
            "ad_flag": [(score >= threshold) - (score <= -threshold) for score in scores],
            "ad_score": scores,
            "baseline": baseline,
        }
    )


def _forecast(text: str, points: int, period: int, trend: str) -> str | None:
    values = _values(text)
    parts = _parts(values, period, trend, points) if values else None
    if parts is None:
        return None
    return json.dumps([season + level for season, level in zip(*parts, strict=True)])


FUNCTIONS: Final[Mapping[str, tuple[Callable[..., Any], str, str]]] = MappingProxyType(
    {
        "series_decompose": (_decompose, "VARCHAR BIGINT VARCHAR BIGINT", "VARCHAR"),
        "series_decompose_anomalies": (
            _anomalies,
            "VARCHAR DOUBLE BIGINT VARCHAR BIGINT VARCHAR",
            "VARCHAR",
        ),
        "series_decompose_forecast": (_forecast, "VARCHAR BIGINT BIGINT VARCHAR", "VARCHAR"),
    }
)
