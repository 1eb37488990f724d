"""The command line: arguments to calls of the API. Every command imports what it needs when it runs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unetsearch import __version__
from unetsearch.errors import UnetsearchError, WorkFailedError
from unetsearch.interruption import interruptible

if TYPE_CHECKING:
    from rich.console import Console

    from unetsearch.search.events import Event

WIDE = 140
"""Columns of what is printed into a file or a pipe."""

app = typer.Typer(
    name="unetsearch",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

SpaceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SPACE", help="A search space: a YAML file, or quickstart, depth, unet-family, encoders, free-skips."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=VALUE", help="Overrides one value of the YAML; may be given several times."),
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Of a study that several machines share: postgresql+psycopg://..., or journal:PATH on a shared disk. "
        "UNETSEARCH_STORAGE may hold it instead.",
    ),
]
DataOption = Annotated[str | None, typer.Option(metavar="DIR", help="Folder of images and masks, or cells.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
SlotsOption = Annotated[int | None, typer.Option(min=1, help="Trainings side by side. [one a GPU; on a processor one]")]
StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="A study's folder.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"unetsearch {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Prints the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Finds the right U-Net for your images: how deep, which skips, how wide."""


@app.command()
def run(
    space: SpaceArgument,
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The study's folder. [studies/NAME-DATA]")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="How many networks to train in all.")] = None,
    time: Annotated[str | None, typer.Option(metavar="30m", help="How long to train in all: 90s, 30m, 2h.")] = None,
    device: DeviceOption = "auto",
    slots: SlotsOption = None,
    storage: StorageOption = None,
    seed: Annotated[int | None, typer.Option(help="Of the search and of every training.")] = None,
    overrides: SetOption = None,
) -> None:
    """Searches a space on your images and leaves a report; continues the study if its folder exists."""
    from unetsearch import api
    from unetsearch.progress import Display

    display = Display(_console())
    with interruptible() as check, display.live():

        def happened(event: "Event") -> None:
            check()
            display.happened(event)

        study = api.run(
            space,
            data=data,
            out=out,
            trials=trials,
            time=time,
            device=device,
            slots=slots,
            storage=storage,
            seed=seed,
            overrides=overrides or (),
            prepared=display.prepared,
            happened=happened,
        )
    display.front(study.records, study.space.objectives)
    typer.echo(f"report: {study.folder / 'report.html'}")
    if not any(record.distinct for record in study.records):
        raise WorkFailedError("no network was trained to the end; the reasons stand above")


@app.command()
def confirm(
    study: StudyArgument,
    folds: Annotated[int, typer.Option(min=1, max=20, help="Parts of the images, each of them left out once.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each network without each part.")] = 3,
    margin: Annotated[float, typer.Option(help="The loss in Dice that does not matter.")] = 0.01,
    nested: Annotated[
        bool | None,
        typer.Option(
            help="Repeats the search too, so that every image is tested once. [under 100 images, 10 groups, 6 to test]",
            show_default=False,
        ),
    ] = None,
    budgets: Annotated[
        str,
        typer.Option(
            metavar="1,4", help="The best of each depth with so many times the steps too: does the verdict stand?"
        ),
    ] = "1",
    time: Annotated[
        str | None, typer.Option(metavar="30m", help="How long to train in all, searches not counted: 30m, 2h.")
    ] = None,
    data: Annotated[str | None, typer.Option(metavar="DIR", help="The study's data, where they were moved.")] = None,
    device: DeviceOption = "auto",
    slots: SlotsOption = None,
    storage: StorageOption = None,
) -> None:
    """Trains the best networks again on other images; the report then leads with how deep is enough, or undecided."""
    from unetsearch.confirmation import confirm as confirmed
    from unetsearch.confirmation import read_budgets
    from unetsearch.progress_confirm import ConfirmationDisplay

    display = ConfirmationDisplay(_console())
    with interruptible() as check, display.live():

        def happened(event: "Event") -> None:
            check()
            display.happened(event)

        found = confirmed(
            study,
            data=data,
            folds=folds,
            seeds=seeds,
            margin=margin,
            nested=nested,
            budgets=read_budgets(budgets),
            time=time,
            device=device,
            slots=slots,
            storage=storage,
            happened=happened,
        )
    for line in found.lines:
        typer.echo(line)
    typer.echo(f"report: {found.report}")
    if found.confirmed is None:
        raise WorkFailedError("nothing is confirmed; the reasons stand above")


@app.command()
def depth(
    space: SpaceArgument,
    data: DataOption = None,
    device: DeviceOption = "auto",
    overrides: SetOption = None,
) -> None:
    """Estimates the Dice of every depth by one training of a nested network (U-Net++); changes nothing on disk."""
    from unetsearch import api, describe

    describe.print_depths(_console(), api.load_space(space, overrides or ()), data=data, device=device)


@app.command()
def report(study: StudyArgument, storage: StorageOption = None) -> None:
    """Rewrites the report and the tables from the study."""
    from unetsearch import api

    typer.echo(f"report: {api.report(study, storage)}")


@app.command("space")
def show_space(
    space: SpaceArgument,
    overrides: SetOption = None,
) -> None:
    """Validates a search space; shows its size, its range of costs and the baselines' place in it."""
    from unetsearch import api, describe

    describe.print_space(_console(), api.load_space(space, overrides or ()))


@app.command()
def show(
    architecture: Annotated[
        str | None,
        typer.Argument(
            metavar="ARCH", help="A published network (unet, unet++, unet3+, ...), STUDY#TRIAL, or a network's YAML."
        ),
    ] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Also draws it into an SVG file.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Also writes all of it as an HTML page.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="The image's height and width, or one number. [256]")
    ] = None,
    augmentation: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Instead: what augmentation makes of a data folder's images (or of cells)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The picture of --augmentation. [augmentation.png]")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=VALUE", help="How --augmentation reads the images: data.threshold=127."),
    ] = None,
) -> None:
    """Draws one architecture, with a table of its nodes: shapes, parameters, MACs, receptive fields."""
    from unetsearch import describe

    of_a_network = {"ARCH": architecture, "--svg": svg, "--html": html, "--size": size}
    of_images = {"--out": out, "--set": overrides}
    if augmentation is not None:
        if given := [name for name, value in of_a_network.items() if value is not None]:
            raise UnetsearchError(f"show: --augmentation draws images and no network: leave out {' and '.join(given)}")
        describe.print_augmentation(_console(), augmentation, out or Path("augmentation.png"), overrides or ())
        return
    if architecture is None:
        raise UnetsearchError("show: name an architecture (unet, STUDY#TRIAL, a YAML), or give --augmentation DATA")
    if given := [name for name, value in of_images.items() if value is not None]:
        raise UnetsearchError(f"show: {' and '.join(given)} are for --augmentation; --svg FILE draws a network")
    pixels = describe.read_size(size) if size is not None else None
    describe.print_architecture(_console(), architecture, size=pixels, svg=svg, html=html)


@app.command()
def schema() -> None:
    """Prints the JSON schema of the YAML, for editors that complete and check it."""
    import json

    from unetsearch.space.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


def _console() -> "Console":
    """The terminal's width, or a wide page where the output is no terminal."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, WIDE)
    return console


def main() -> None:
    """The entry point: errors of the input end with status 2, those of the machine with 1, each in one message."""
    try:
        app()
    except UnetsearchError as error:
        typer.echo(f"unetsearch: {error}", err=True)
        sys.exit(2)
    except WorkFailedError as error:
        typer.echo(f"unetsearch: {error}", err=True)
        sys.exit(1)
    except OSError as error:  # a full disk, a folder that went away; what was finished before is kept
        typer.echo(f"unetsearch: {error.filename or 'a file'}: {error.strerror or error}", err=True)
        sys.exit(1)
