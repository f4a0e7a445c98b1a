"""Line charts as SVG text: recall against rate, and whatever else has two axes. No library, so that results can be drawn anywhere.

Recall is drawn on a scale of -log10(1 - recall), where 0.9, 0.99 and 0.999 are equally far apart, because that is how its price grows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 860, 520
LEFT, RIGHT, TOP, BOTTOM = 80, 200, 40, 60
COLORS = ("#0b6e4f", "#c1292e", "#1f5fbf", "#e08e0b", "#7b3fa0", "#0f8b9d", "#8c564b", "#d6478a", "#5c6b73", "#93a20a")
DASHES = ("", "6 3", "2 3", "9 3 2 3")


class Axis(NamedTuple):
    """A scale from values to 0..1, with the values that get a label."""

    title: str
    scale: Callable[[float], float]
    ticks: Sequence[float]


def recall_axis(lowest: float, title: str = "recall@10") -> Axis:
    ticks = [tick for tick in (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999) if tick >= lowest]
    return _axis(title, lambda value: -math.log10(1 - min(value, 0.9999)), [min(lowest, ticks[0]), *ticks], ticks)


def log_axis(title: str, values: Sequence[float]) -> Axis:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)) + 1e-9)
    ticks = [step * 10.0**power for power in range(low, max(high, low + 1)) for step in (1, 2, 5)] + [10.0 ** max(high, low + 1)]
    inside = [tick for tick in ticks if min(values) / 2.01 <= tick <= max(values) * 2.01]
    return _axis(title, math.log10, [*values, *inside], inside)


def _axis(title: str, raw: Callable[[float], float], spanned: Sequence[float], ticks: Sequence[float]) -> Axis:
    low, high = raw(min(spanned)), raw(max(spanned))
    return Axis(title, lambda value: (raw(value) - low) / ((high - low) or 1.0), ticks)


def chart(title: str, horizontal: Axis, vertical: Axis, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """An SVG document with one line per name; points in the order given."""

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + horizontal.scale(x) * (WIDTH - LEFT - RIGHT)
        return round(across, 1), round(HEIGHT - BOTTOM - vertical.scale(y) * (HEIGHT - TOP - BOTTOM), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>',
        *_grid(horizontal, vertical, place),
    ]
    for number, (name, points) in enumerate(lines.items()):
        color, dash = COLORS[number % len(COLORS)], DASHES[number // len(COLORS) % len(DASHES)]
        path = " ".join(f"{x},{y}" for x, y in (place(*point) for point in points))
        style = f'fill="none" stroke="{color}" stroke-width="2"' + (f' stroke-dasharray="{dash}"' if dash else "")
        parts.append(f'<polyline points="{path}" {style}/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="2" fill="{color}"/>' for x, y in (place(*point) for point in points)]
        at = TOP + 14 + 18 * number
        parts.append(f'<line x1="{WIDTH - RIGHT + 14}" y1="{at - 4}" x2="{WIDTH - RIGHT + 38}" y2="{at - 4}" {style}/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 44}" y="{at}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _grid(horizontal: Axis, vertical: Axis, place: Callable[[float, float], tuple[float, float]]) -> list[str]:
    low, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for tick in horizontal.ticks:
        x = place(tick, vertical.ticks[0])[0]
        parts.append(f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{low}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="{low + 18}" text-anchor="middle">{_short(tick)}</text>')
    for tick in vertical.ticks:
        y = place(horizontal.ticks[0], tick)[1]
        parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{right}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{_short(tick)}</text>')
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 16}" text-anchor="middle">{escape(horizontal.title)}</text>')
    middle = (TOP + low) / 2
    parts.append(f'<text x="18" y="{middle}" text-anchor="middle" transform="rotate(-90 18 {middle})">{escape(vertical.title)}</text>')
    return parts


def _short(value: float) -> str:
    """1000000 as 1M, 20000 as 20k, 0.95 as it is."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
