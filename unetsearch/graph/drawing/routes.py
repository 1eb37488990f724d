"""The way of an edge through a drawing: past the boxes that it does not lead to."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import copysign

Point = tuple[float, float]

ASIDE = (0.0, 0.1, 0.2, 0.32, 0.46, 0.62, 0.8)
"""How far a way may lie aside of the straight one, as a share of its length."""

SAMPLES = 28
CLEARANCE = 5.0
"""Pixels between a way and the boxes that it passes."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its centre."""

    x: float
    y: float
    width: float
    height: float

    def holds(self, point: Point, margin: float = 0.0) -> bool:
        """Whether a point is inside, or nearer than `margin`."""
        return abs(point[0] - self.x) < self.width / 2 + margin and abs(point[1] - self.y) < self.height / 2 + margin

    def border(self, towards: Point) -> Point:
        """Where the way from the centre towards a point leaves the box."""
        dx, dy = towards[0] - self.x, towards[1] - self.y
        scale = min(self.width / 2 / abs(dx) if dx else 1.0, self.height / 2 / abs(dy) if dy else 1.0, 1.0)
        return self.x + dx * scale, self.y + dy * scale


@dataclass(frozen=True, slots=True)
class Curve:
    """A cubic Bezier curve."""

    start: Point
    first: Point
    second: Point
    end: Point

    def at(self, t: float) -> Point:
        """The point at t from 0 to 1."""
        s = 1 - t
        a, b, c, d = s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t
        return (
            a * self.start[0] + b * self.first[0] + c * self.second[0] + d * self.end[0],
            a * self.start[1] + b * self.first[1] + c * self.second[1] + d * self.end[1],
        )

    def hits(self, others: Sequence[Box], page: Box, enough: int) -> int:
        """How often it touches other boxes, or leaves the page, counted up to `enough`."""
        points = [self.at(index / SAMPLES) for index in range(1, SAMPLES)]
        count = sum(not page.holds(point) for point in points)
        for box in others:
            if count >= enough:
                break
            count += sum(box.holds(point, CLEARANCE) for point in points)
        return count


def straight(source: Box, target: Box) -> Curve:
    """The line between two boxes' borders, on the way between their centres."""
    return _bent(source, target, 0.0, 0.0)


def over(source: Box, target: Box, height: float, shift: float) -> Curve:
    """From the top of one box to the top of another on the same level, `height` above them.

    It leaves `shift` to the left of the first one's centre and lands so far to the right of the second one's.
    """
    top = source.y - source.height / 2
    start, end = (source.x - shift, top), (target.x + shift, top)
    lift = height / 0.75  # a cubic curve reaches three quarters of its controls
    lean = min(0.12 * abs(end[0] - start[0]), 26.0)
    return Curve(start, (start[0] + lean, top - lift), (end[0] - lean, top - lift), end)


def route(
    source: Box, target: Box, others: Sequence[Box], page: Box, side: int = 1, more: float = 0.0
) -> tuple[Curve, int]:
    """The straightest way that passes all other boxes and stays on the page, or the one that hits least; and its hits.

    `side`: 1 rather bends clockwise, -1 the other way. `more`: what a bent way bends besides, so that those from
    further away arrive beside the nearer ones.
    """
    best, fewest = straight(source, target), len(others) * SAMPLES
    for first, second in ((side * first, side * second) for first, second in BENDS):
        besides = copysign(more, first + second) if first or second else 0.0
        curve = _bent(source, target, first + besides, second + besides)
        hits = curve.hits(others, page, fewest)
        if hits < fewest:
            best, fewest = curve, hits
        if not hits:
            break
    return best, fewest


def _bends() -> list[tuple[float, float]]:
    """How far the two controls of a way lie aside, the straightest first, rather clockwise: positive."""
    sides = [sign * aside for aside in ASIDE for sign in ((1, -1) if aside else (1,))]
    pairs = [(first, second) for first in sides for second in sides]

    def bend(pair: tuple[float, float]) -> float:
        return abs(pair[0]) + abs(pair[1]) + 0.9 * abs(pair[0] - pair[1]) + 0.3 * (sum(pair) < 0)

    return sorted(pairs, key=bend)


BENDS = _bends()


def _bent(source: Box, target: Box, first: float, second: float) -> Curve:
    """With controls at a third and two thirds of the way, so far aside."""
    dx, dy = target.x - source.x, target.y - source.y
    controls = [
        (source.x + dx * along - aside * dy * 4 / 3, source.y + dy * along + aside * dx * 4 / 3)
        for along, aside in ((1 / 3, first), (2 / 3, second))
    ]
    return Curve(source.border(controls[0]), controls[0], controls[1], target.border(controls[1]))
