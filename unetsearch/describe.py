"""What a space and an architecture are, printed for a person: the commands `space`, `show` and `depth`."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from unetsearch import api
from unetsearch.augmented import STRENGTHS, augmentation_picture
from unetsearch.data.load import load_data
from unetsearch.errors import UnetsearchError, WorkFailedError
from unetsearch.files import write_atomically
from unetsearch.graph.build import build_graph
from unetsearch.graph.drawing.notes import Notes, Size, by_size, sees
from unetsearch.graph.drawing.page import draw_page
from unetsearch.graph.drawing.svg import draw_svg
from unetsearch.graph.drawing.text import draw_text
from unetsearch.graph.graph import Graph
from unetsearch.graph.references import REFERENCES, about, baseline_architecture, reference
from unetsearch.graph.sizes import LARGEST
from unetsearch.network.cost import Cost
from unetsearch.network.files import read_architecture
from unetsearch.one_shot import depth_profile
from unetsearch.report.images import as_png
from unetsearch.report.notes import counted_notes
from unetsearch.report.words import amount, duration, topology
from unetsearch.search.candidate import Candidate
from unetsearch.space.architecture import Architecture
from unetsearch.space.document import parse_space
from unetsearch.space.space import SearchSpace
from unetsearch.training.score import Score
from unetsearch.training.train import DivergedError

COUNTED = 2000
"""A space of at most so many points is counted whole; of a larger one, half as many points drawn at random."""

ESTIMATE = (
    "An estimate: all depths were trained at once and share an encoder. On four image sets it ranked depths hardly "
    "better than the count of parameters does (Kendall's tau .47 against .43 in the mean): trust it where a depth is "
    "clearly too shallow, not between depths within .02 of Dice. `unetsearch run depth` trains each by itself, and "
    "`unetsearch confirm` says which is enough."
)

TEXT_STYLES = {
    r"\.{2,}": "bright_black",
    r"\\|(?<=[\d*+\]])v\d+|\bv(?=:)": "dark_orange",
    r"/|\^\d*": "blue",
    r"\*": "bold red",
    r"\+": "bold magenta",
    r"\[[\d.]+\]": "magenta",
}
"""How the signs of a drawing in text are coloured: skips, what leads down, what leads up, heads, guidance, stages."""


def print_space(console: Console, space: SearchSpace) -> None:
    """The space's size, the range of its costs, how much of it the limits leave, and its baselines' place."""
    size, drawn = space.size, ""
    if size is not None and size <= COUNTED:
        points = [Candidate.at(point) for point in space.enumerate()]
    else:
        points = [Candidate.at(point) for point in map(space.sample, range(COUNTED // 2))]
        drawn = f", from {COUNTED // 2:,} points drawn at random"
    console.print(f"[bold]{space.name}[/]: {_points(size)}")
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


def _points(size: int | None) -> str:
    if size is None:
        return "a continuous space"
    return f"{size:,} points" if size < 10**12 else f"about 10^{len(str(size)) - 1} points"


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
    return read_architecture(path)


def read_size(text: str) -> Size:
    """The (height, width) of `256` or `320x480`. Raises UnetsearchError for anything else."""
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) > 2 or not all(side.strip().isdecimal() and 0 < int(side) <= LARGEST for side in sides):
        raise UnetsearchError(
            f"--size {text}: expected the pixels of a side, such as 256, or HEIGHTxWIDTH, such as 320x480, "
            f"each from 1 to {LARGEST:,}"
        )
    return int(sides[0]), int(sides[-1])


def print_architecture(
    console: Console,
    name: str,
    *,
    size: Size | None = None,
    svg: Path | None = None,
    html: Path | None = None,
) -> None:
    """A drawing and a table of the nodes of what `find_architecture` finds, for an image of `size`.

    Left out, it is 256x256 px, and for unpadded convolutions what gives the logits of the 2015 paper. `svg`, `html`:
    files that the drawing, and a page with all of it, are written to. Raises UnetsearchError where nothing of that name
    is found, the image is too small, or a file cannot be written.
    """
    architecture = find_architecture(name)
    graph = build_graph(architecture)
    notes, total = counted_notes(graph, size, measured=True)
    image = by_size(notes.size)
    words = [topology(architecture), f"{total.params:,} parameters, {amount(total.macs)} MACs of a {image} image"]
    text = "\n\n".join(" ".join(lines.split()) for lines in about(name).split("\n\n")) if name in REFERENCES else ""
    if svg is not None:
        _write(svg, draw_svg(graph, notes))
    if html is not None:
        _write(html, draw_page(graph, notes, name, words, text))

    console.print(words[0], highlight=False, markup=False)
    if text:
        console.print(f"\n{text}\n", highlight=False, markup=False)
    console.print(_coloured(draw_text(graph, notes, console.width)), soft_wrap=True)
    console.print()
    console.print(_nodes(graph, notes, total))
    for what, path in (("drawing", svg), ("page", html)):
        if path is not None:
            console.print(f"{what}: {path}", highlight=False, markup=False, soft_wrap=True)


def _nodes(graph: Graph, notes: Notes, total: Cost) -> Table:
    table = Table(title=f"Nodes (for a {by_size(notes.size)} image)", title_justify="left")
    for column in ("node", "shape", "block", "parameters", "MACs", "sees", "reads"):
        numbers = column in ("parameters", "MACs", "sees")
        table.add_column(column, justify="right" if numbers else "left", no_wrap=column != "reads")
    for node in graph.nodes:
        height, width = notes.sizes[node.name]
        table.add_row(
            node.name,
            f"{node.channels} x {height} x {width}",
            node.block.label,
            notes.params[node.name],
            notes.macs[node.name],
            sees(notes.fields[node.name]),
            ", ".join(edge.source for edge in node.inputs),
        )
    table.add_section()
    heads = f"{len(graph.heads)} head{'s' * (len(graph.heads) > 1)}"
    table.add_row("total", "", "", f"{total.params:,}", amount(total.macs), "", heads)
    return table


def _coloured(drawing: str) -> Text:
    """The drawing in text, its edges in the colours of the picture."""
    text = Text(drawing)
    for pattern, style in TEXT_STYLES.items():
        text.highlight_regex(pattern, style)
    return text


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise UnetsearchError(f"{path}: cannot be written ({error.strerror or error})") from None


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(islice(names, most))
    return shown + (f" and {len(names) - most} more" if len(names) > most else "") if names else "none"


def print_depths(console: Console, space: SearchSpace, *, data: str | None, device: str) -> None:
    """Trains one nested network, and prints what each depth within it scores. Raises as `depth_profile` does."""

    def scored(score: Score) -> None:
        console.print(f"step {score.step}: Dice {score.dice:.4f}", highlight=False)

    width, crop = space.min_width, space.recipe.crop
    console.print(
        f"one U-Net++ of width {width} and depth {space.max_depth}, {space.recipe.steps} steps, crops of {crop} px",
        highlight=False,
    )
    try:
        profile = depth_profile(space, data=data, device=device, scored=scored)
    except DivergedError as error:
        raise WorkFailedError(f"the training failed: {error}") from None
    table = Table("depth", "Dice", "parameters", "MACs")
    for column in table.columns[1:]:
        column.justify = "right"
    for nested in profile:
        table.add_row(str(nested.depth), f"{nested.dice:.4f}", amount(nested.params), f"{amount(nested.macs)}")
    console.print(table)
    console.print(ESTIMATE, highlight=False)


def print_augmentation(console: Console, data: str, out: Path, overrides: Sequence[str] = ()) -> None:
    """Draws what augmentation makes of the images of a folder, or of an embedded set, into a PNG file.

    `overrides`: how they are read, and the crop, as `run` takes them. Raises UnetsearchError where the file is named as
    another kind, the data cannot be read, or the file not written.
    """
    if out.suffix.lower() != ".png":
        raise UnetsearchError(f"--out {out}: the picture is a PNG; name a file that ends in .png")
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key == "data.path" or not key.startswith(("data.", "training.crop")):
            raise UnetsearchError(
                f"--set {override}: with --augmentation, data.* but data.path, and training.crop count"
            )
    space = parse_space("architecture: {depth: 1}", "", overrides)
    loaded = load_data(replace(space.data, path=data))
    picture = augmentation_picture(loaded, space.recipe)
    try:
        out.write_bytes(as_png(picture))
    except OSError as error:
        raise UnetsearchError(f"--out {out}: cannot be written ({error.strerror or error})") from None
    strengths = ", ".join(f"{strength:g}" for strength in STRENGTHS)
    console.print(f"{out}: crops of {loaded.name} by `training: {{augmentation: ...}}` of {strengths}", markup=False)
