"""What a drawing tells of a network beside its wiring, with its costs counted."""

from unetsearch.errors import ArchitectureError
from unetsearch.graph.drawing.notes import Notes, Size, take_notes, usual_size
from unetsearch.graph.graph import Graph
from unetsearch.graph.receptive import Extent
from unetsearch.network.cost import Cost, cost
from unetsearch.network.receptive import stage_extents
from unetsearch.report.words import amount


def counted_notes(graph: Graph, size: Size | None = None, *, measured: bool = False) -> tuple[Notes, Cost]:
    """The notes for an image of `size` (left out: the usual one), and the costs.

    `measured`: what a backbone sees is found by running it, which may take seconds; else it is not known. Raises
    ArchitectureError where the image is smaller than the network allows.
    """
    size = size or usual_size(graph)
    total = cost(graph, size)
    notes = take_notes(
        graph,
        size,
        _stages(graph) if measured else None,
        {node: amount(counted.params) for node, counted in total.nodes.items()},
        {node: amount(counted.macs) for node, counted in total.nodes.items()},
    )
    return notes, total


def _stages(graph: Graph) -> tuple[Extent | None, ...] | None:
    """What a backbone's stages see; None where there is none, or where it cannot be measured."""
    if not graph.stages:
        return None
    try:
        return stage_extents(graph.stages[0].backbone.name, len(graph.stages))
    except ArchitectureError:
        return None
