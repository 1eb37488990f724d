"""What a space and an architecture are, printed for a person: the commands `space` and `show`."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from unetsearch import api
from unetsearch.errors import ArchitectureError, UnetsearchError
from unetsearch.graph.build import build_graph
from unetsearch.graph.drawing import draw_svg, draw_text
from unetsearch.graph.references import REFERENCES, baseline_architecture, reference
from unetsearch.network.cost import COST_IMAGE_SIZE, cost
from unetsearch.report.words import amount, duration, topology
from unetsearch.search.candidate import Candidate
from unetsearch.search.folder import write_atomically
from unetsearch.space.architecture import Architecture
from unetsearch.space.space import SearchSpace

COUNTED = 2000
"""A space of at most so many points is counted whole; of a larger one, half as many points drawn at random."""


def print_space(console: Console, space: SearchSpace) -> None:
    """The space's size, the range of its costs, how much of it the limits leave, and its baselines' place."""
    size, drawn = space.size, ""
    if size is not None and size <= COUNTED:
        points = [Candidate.at(point) for point in space.enumerate()]
    else:
        points = [Candidate.at(point) for point in map(space.sample, range(COUNTED // 2))]
        drawn = f", from {COUNTED // 2:,} points drawn at random"
    console.print(f"[bold]{space.name}[/]: {'a continuous space' if size is None else f'{size:,} points'}")
    if not drawn:
        networks = len({candidate.hash for candidate in points})
        console.print(f"different networks and trainings: {networks:,}")
    kept = sum(candidate.within(space.limits) for candidate in points)
    if kept < len(points):
        console.print(f"within the limits: {kept / len(points):.0%}")
    until = f"{space.search.trials} trials" + (f" or {duration(space.search.time)}" if space.search.time else "")
    console.print(f"a study ends after {until}")

    table = Table(title=f"Costs (1 input channel, 1 logit map, a 256x256 image{drawn})", title_justify="left")
    for column in ("", "parameters", "MACs"):
        table.add_column(column, justify="left" if not column else "right")
    by_params = sorted(points, key=lambda candidate: candidate.cost.params)
    for label, place in (("smallest", 0), ("median", len(points) // 2), ("largest", -1)):
        params, macs = by_params[place].cost.params, sorted(point.cost.macs for point in points)[place]
        table.add_row(label, amount(params), amount(macs))
    for baseline in space.baselines:
        counted = Candidate.of(baseline_architecture(space, baseline), space.recipe)
        above = sum(point.cost.params > counted.cost.params for point in points) / len(points)
        label = f"{baseline.name} (smaller than {above:.0%} of the space)"
        table.add_row(label, amount(counted.cost.params), amount(counted.cost.macs))
    console.print(table)


def find_architecture(name: str) -> Architecture:
    """A reference's name, `STUDY#TRIAL` (a number or a baseline's name), or a YAML file of an architecture.

    Raises UnetsearchError where nothing of that name is found.
    """
    if name in REFERENCES:
        return reference(name)
    path = Path(name)
    try:
        is_file = path.is_file()
    except OSError as error:
        raise UnetsearchError(f"{name}: cannot be read ({error.strerror or error})") from None
    study, mark, trial = name.rpartition("#")
    if mark and not is_file:
        records = api.read_study(study).records
        for record in records:
            if trial in (record.name, record.name.removeprefix("#")):
                return record.architecture
        raise UnetsearchError(f"{study}: no trial {trial!r}; it has {_listed([record.name for record in records])}")
    if not is_file:
        raise UnetsearchError(
            f"{name!r} is no reference ({', '.join(REFERENCES)}), no STUDY#TRIAL and no file of an architecture"
        )
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UnetsearchError(f"{path}: cannot be read as YAML ({error})") from None
    if not isinstance(document, dict):
        raise ArchitectureError(f"{path}: not an architecture, but {type(document).__name__}")
    try:
        return Architecture.from_dict(document)
    except ArchitectureError as error:
        raise ArchitectureError(f"{path}: {error}") from None


def print_architecture(console: Console, architecture: Architecture, svg: Path | None = None) -> None:
    """A drawing and a table of the nodes; with `svg`, also the drawing as a file."""
    graph = build_graph(architecture)
    total = cost(graph)
    console.print(topology(architecture), highlight=False)
    console.print(draw_text(graph), highlight=False, markup=False, soft_wrap=True)
    table = Table(title="Nodes (for a 256x256 image)", title_justify="left")
    for column in ("node", "shape", "block", "parameters", "MACs", "reads"):
        numbers = column in ("parameters", "MACs")
        table.add_column(column, justify="right" if numbers else "left", no_wrap=column != "reads")
    for node in graph.nodes:
        counted = total.nodes[node.name]
        height, width = (side >> node.level for side in COST_IMAGE_SIZE)
        block = f"{node.block.kind.removesuffix('_stem')} x{node.block.repeats}"
        reads = ", ".join(edge.source for edge in node.inputs)
        shape = f"{node.channels} x {height} x {width}"
        table.add_row(node.name, shape, block, amount(counted.params), amount(counted.macs), reads)
    table.add_section()
    table.add_row(
        "total",
        "",
        "",
        f"{total.params:,}",
        amount(total.macs),
        f"{len(graph.heads)} head{'s' * (len(graph.heads) > 1)}",
    )
    console.print(table, markup=False)
    if svg is not None:
        try:
            write_atomically(svg, draw_svg(graph).encode())
        except OSError as error:
            raise UnetsearchError(f"{svg}: cannot be written ({error.strerror or error})") from None
        console.print(f"drawing: {svg}", highlight=False)


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(islice(names, most))
    return shown + (f" and {len(names) - most} more" if len(names) > most else "") if names else "none"
