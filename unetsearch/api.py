"""The stages composed: what the command line calls, and what a Python user imports."""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from unetsearch.data.dataset import SegmentationData
from unetsearch.errors import SpaceError
from unetsearch.graph.references import reference as find_reference
from unetsearch.network.backbones import find_backbone
from unetsearch.report.tables import front_rows
from unetsearch.report.write import leave_report
from unetsearch.search.batch_size import settle_batch_size
from unetsearch.search.events import Event
from unetsearch.search.fit import check_fit
from unetsearch.search.folder import StudyFolder, open_folder, own_folder
from unetsearch.search.opening import check_same_study, load_for, read_space, reopen
from unetsearch.search.records import TrialRecord
from unetsearch.search.whole import search
from unetsearch.space.architecture import Architecture
from unetsearch.space.document import search_settings
from unetsearch.space.space import SearchSpace
from unetsearch.space.starters import find_space
from unetsearch.training.device import describe, find_device, slot_devices

STORAGE = "UNETSEARCH_STORAGE"
"""The environment variable that stands for `storage`, so that a password need not be an argument."""


@dataclass(frozen=True, slots=True)
class Study:
    """A study that was run: its folder, and what is known of its trials."""

    folder: Path
    space: SearchSpace
    records: tuple[TrialRecord, ...]

    @property
    def front(self) -> pd.DataFrame:
        """The front, one row a network, by rising parameters."""
        return pd.DataFrame(front_rows(self.records, self.space.objectives))


def load_space(source: str | Path, overrides: Sequence[str] = ()) -> SearchSpace:
    """A search space from a YAML file, or one that comes with unetsearch by its name, such as `quickstart`.

    `overrides`: `a.b=value`, as `--set` takes them. Raises SpaceError with every problem found.
    """
    return read_space(find_space(str(source)), overrides)


def reference(name: str, *, in_channels: int = 1, out_channels: int = 1, **values: Any) -> Architecture:
    """A published network as an architecture; any value can be overridden by its name.

    `unet`, `unet-2015`, `unet-lecture`, `unet++`, `unet++-lecture`, `unet3+`, `resunet`, `mobile-unet`, `eff-unet`:
    `unetsearch show NAME` tells paper, settings and departures. Values: depth, width, growth, encoder (a family or
    `timm/<name>`), decoder, norm (None leaves it out), activation, down, up, dropout, dropout_at, bias, padding,
    guidance, deep_supervision, combine; channels for unet3+; stem and pretrained for a backbone. Raises
    ArchitectureError for an unknown name or a value that does not fit.
    """
    return find_reference(name, in_channels=in_channels, out_channels=out_channels, describe=find_backbone, **values)


def run(
    space: str | Path | SearchSpace,
    *,
    data: Any = None,
    out: str | Path | None = None,
    trials: int | None = None,
    time: str | float | None = None,
    device: str = "auto",
    slots: int | None = None,
    storage: str | None = None,
    seed: int | None = None,
    overrides: Sequence[str] = (),
    prepared: Callable[[SegmentationData, SearchSpace, Path, str], None] | None = None,
    happened: Callable[[Event], None] | None = None,
) -> Study:
    """Searches, and leaves the report; continues the study if its folder exists.

    `data`: a folder, `cells`, or a torch Dataset of (image, mask) or (image, mask, group); else what the space names.
    `trials` and `time` (seconds, or `30m`) are totals over all runs of the study. `slots`: trainings side by side;
    left out, one a GPU, on a processor one. `storage`: a database (`postgresql+psycopg://...`) or `journal:PATH`, for
    one study on several machines; left out, what UNETSEARCH_STORAGE says, else a file in the study's folder.
    `prepared` is told of the checked data, the folder and the device before anything is trained, `happened` of every
    event after that. Raises UnetsearchError, with nothing changed on disk, where the input is wrong.
    """
    if isinstance(space, SearchSpace) and overrides:
        raise SpaceError(["overrides are for a YAML file; change the SearchSpace itself"])
    space = space if isinstance(space, SearchSpace) else load_space(space, overrides)
    settings = search_settings({"trials": trials, "time": time, "seed": seed})
    space = replace(space, search=replace(space.search, **settings))
    where = find_device(device)
    devices = slot_devices(where, slots)
    storage = storage or os.environ.get(STORAGE)
    loaded, space = load_for(space, data)
    space = space.for_data(loaded.in_channels, loaded.out_channels)
    check_fit(space, loaded)
    path = Path(out) if out is not None else Path("studies") / f"{space.name}-{loaded.name}"
    space = settle_batch_size(space, loaded, devices, StudyFolder(path), storage)
    check_same_study(StudyFolder(path), space, loaded, storage)
    with own_folder(path) as folder:
        records = search(
            folder,
            space,
            loaded,
            devices,
            storage=storage,
            begun=lambda: prepared(loaded, space, path, describe(where)) if prepared is not None else None,
            happened=happened or (lambda _: None),
            left=lambda facts, studies: leave_report(folder, space, facts, studies),
        )
    return Study(path, space, tuple(records))


def report(study: str | Path, storage: str | None = None) -> Path:
    """Rewrites `trials.csv`, `front.csv` and `report.html` from the study, and gives the page's path.

    `storage`: that of a study which several machines share, where reading it needs a user and a password; left out,
    what UNETSEARCH_STORAGE says.
    """
    folder = open_folder(Path(study))
    with closing(reopen(folder, storage or os.environ.get(STORAGE))) as opened:
        return leave_report(folder, opened.space, opened.facts, opened.studies)


def front(study: str | Path, storage: str | None = None) -> pd.DataFrame:
    """The front of a study's folder, one row a network, by rising parameters. `storage` as in `report`."""
    return read_study(study, storage).front


def read_study(study: str | Path, storage: str | None = None) -> Study:
    """A study from its folder. Raises StudyError where there is none. `storage` as in `report`."""
    folder = open_folder(Path(study))
    with closing(reopen(folder, storage or os.environ.get(STORAGE))) as opened:
        return Study(folder.path, opened.space, tuple(opened.studies.records))
