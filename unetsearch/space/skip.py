"""The skip rule of an architecture; under `free`, the sources that every decoder node chose."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from unetsearch.errors import ArchitectureError
from unetsearch.space.checks import check_count, check_literal

SkipRule = Literal["plain", "dense", "full_scale", "free"]

Position = tuple[int, int]
"""(level, column); column 0 is the encoder."""

Sources = tuple[tuple[Position, tuple[Position, ...]], ...]
"""Decoder nodes with what each reads, each after all it reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """The rule that lays the edges.

    `channels`: what every edge is projected to, as U-Net 3+ has it; full_scale skips need it, free ones may have it
    (None: edges as U-Net and U-Net++ have them). `sources` (free only): what each decoder node reads.
    """

    rule: SkipRule = "plain"
    channels: int | None = None
    sources: Sources | None = None

    def __post_init__(self) -> None:
        check_literal("skip", self.rule, SkipRule)
        if self.rule != "free" and (self.rule == "full_scale") != (self.channels is not None):
            raise ArchitectureError(
                f"skip {self.rule}: channels={self.channels}; full_scale skips need the channels of an edge, "
                "free skips may have them, the other rules take none"
            )
        if self.channels is not None:
            check_count("skip.channels", self.channels)
        if (self.rule == "free") != (self.sources is not None):
            raise ArchitectureError(f"skip {self.rule}: sources are needed by free skips, and by no other rule")

    def check_depth(self, depth: int) -> None:
        """Raises ArchitectureError unless free sources lie within the depth, in earlier columns, and lead to a head."""
        if self.sources is None:
            return
        told = {node for node, _ in self.sources}
        for node, sources in self.sources:
            if node not in decoder_positions(depth):
                raise ArchitectureError(f"skip.sources: {node_name(*node)} is no decoder node of depth {depth}")
            for source in sources:
                if source not in legal_sources(depth, node):
                    raise ArchitectureError(
                        f"skip.sources: {node_name(*node)} cannot read {node_name(*source)}; "
                        f"it may read any node of an earlier column, of levels 0 to {depth}"
                    )
                if source[1] and source not in told:
                    raise ArchitectureError(
                        f"skip.sources: {node_name(*node)} reads {node_name(*source)}, whose own sources are missing"
                    )
        if (0, depth) not in told:
            raise ArchitectureError(f"skip.sources: {node_name(0, depth)}, which has the final head, is missing")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, the sources by node names."""
        document: dict[str, Any] = {"rule": self.rule, "channels": self.channels}
        if self.sources is not None:
            document["sources"] = {node_name(*n): [node_name(*s) for s in read] for n, read in self.sources}
        return document


def node_name(level: int, column: int) -> str:
    """The U-Net++ notation, `X[level,column]`."""
    return f"X[{level},{column}]"


def parse_sources(document: object) -> Sources:
    """The sources of what `Skip.to_dict` wrote. Raises ArchitectureError where it is something else."""
    if not isinstance(document, dict) or not all(isinstance(sources, list) for sources in document.values()):
        raise ArchitectureError("skip.sources: expected node names with lists of node names, such as X[0,1]: [X[0,0]]")
    read = [(_position(node), tuple(map(_position, sources))) for node, sources in document.items()]
    return tuple(sorted(read, key=lambda item: (item[0][1], item[0][0])))


def _position(name: object) -> Position:
    match = re.fullmatch(r"X\[(\d+),(\d+)\]", str(name))
    if match is None:
        raise ArchitectureError(f"skip.sources: expected a node such as X[0,1], got {name!r}")
    return int(match[1]), int(match[2])


def decoder_positions(depth: int) -> list[Position]:
    """The triangle of U-Net++: every X[level, column] behind the encoder, by column and level."""
    return [(level, column) for column in range(1, depth + 1) for level in range(depth - column + 1)]


def legal_sources(depth: int, node: Position) -> list[Position]:
    """What a decoder node may read: every node of an earlier column, on any level."""
    return [(level, column) for column in range(node[1]) for level in range(depth - column + 1)]


def free_edges(depth: int) -> Iterator[tuple[Position, Position]]:
    """Every choice that free skips have at a depth: (node, source)."""
    for node in decoder_positions(depth):
        for source in legal_sources(depth, node):
            yield node, source


def mend(depth: int, chosen: Mapping[Position, Collection[Position]], top: int = 0) -> Sources:
    """Any choice of sources as a network: what was drawn is kept as far as something reads it.

    The rule: sources that do not exist (the encoder's levels above `top`) are dropped; a node without a source reads
    the node below it in the column before, as in a U-Net; nodes that do not lead to the final node X[0, depth] are
    left out; where nothing is left that reads the bottleneck X[depth, 0], the final node does.
    """
    read: dict[Position, list[Position]] = {}
    wanted = {(0, depth)}
    for level, column in sorted(decoder_positions(depth), key=lambda node: -node[1]):
        if (level, column) in wanted:
            sources = {source for source in chosen.get((level, column), ()) if source[1] or source[0] >= top}
            read[level, column] = sorted(sources or {(level + 1, column - 1)}, key=lambda s: (s[1], s[0]))
            wanted |= set(read[level, column])
    if (depth, 0) not in wanted:
        read[0, depth].append((depth, 0))
    return tuple((node, tuple(read[node])) for node in decoder_positions(depth) if node in read)
