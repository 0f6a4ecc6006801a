"""A line of numbers, as small as a word: the points of an SVG polyline."""

from collections.abc import Sequence
from typing import Final

WIDTH: Final = 120
HEIGHT: Final = 28


def points(values: Sequence[float]) -> str:
    """From the left to the right edge, zero at the bottom; '' for fewer than two values."""
    if len(values) < 2:
        return ""
    high = max(max(values), 0.0) or 1.0
    step = WIDTH / (len(values) - 1)
    return " ".join(
        f"{index * step:.1f},{HEIGHT - 1 - (HEIGHT - 2) * max(value, 0.0) / high:.1f}"
        for index, value in enumerate(values)
    )
