"""The stages composed: what the command line calls, and what a Python user imports."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from os.path import relpath
from pathlib import Path
from platform import machine, python_version, system
from typing import Any

import optuna
import pandas as pd
import torch

from unetsearch import __version__
from unetsearch.data.dataset import SegmentationData
from unetsearch.data.load import from_dataset, load_data
from unetsearch.errors import SpaceError, StudyError
from unetsearch.files import write_atomically
from unetsearch.graph.references import baseline_architecture
from unetsearch.graph.references import reference as find_reference
from unetsearch.network.backbones import find_backbone
from unetsearch.report.tables import front_rows
from unetsearch.report.views import ReportData
from unetsearch.report.write import write_report
from unetsearch.search.events import Event
from unetsearch.search.fit import check_fit
from unetsearch.search.folder import StudyFolder, create_folder, open_folder, owned
from unetsearch.search.messages import Setup
from unetsearch.search.preview import load_previews, save_preview, windows
from unetsearch.search.proposals import make_sampler
from unetsearch.search.records import TrialRecord, front_of
from unetsearch.search.slots import Slot
from unetsearch.search.storage import Studies, begin_studies, read_studies
from unetsearch.search.study import Search
from unetsearch.space.architecture import Architecture
from unetsearch.space.document import load_space as read_space
from unetsearch.space.document import search_settings
from unetsearch.space.resolved import dump_space, dump_value, resolved
from unetsearch.space.settings import EMBEDDED
from unetsearch.space.space import SearchSpace
from unetsearch.space.starters import find_space
from unetsearch.training.device import describe, find_device

IN_MEMORY = "in memory"
"""What stands for the path of a data set that came from Python."""

FACTS = "facts"
"""The user attribute of the Optuna study that holds what is known of data and machine."""


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
    return _read_space(find_space(str(source)), overrides)


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
    seed: int | None = None,
    overrides: Sequence[str] = (),
    prepared: Callable[[SegmentationData, SearchSpace, Path, str], None] | None = None,
    happened: Callable[[Event], None] | None = None,
) -> Study:
    """Searches, and leaves the report; continues the study if its folder exists.

    `data`: a folder, `cells`, or a torch Dataset of (image, mask) or (image, mask, group); else what the space names.
    `trials` and `time` (seconds, or `30m`) are totals over all runs of the study. `prepared` is told of the checked
    data, the folder and the device before anything is trained, `happened` of every event after that. Raises
    UnetsearchError, with nothing changed on disk, where the input is wrong.
    """
    if isinstance(space, SearchSpace) and overrides:
        raise SpaceError(["overrides are for a YAML file; change the SearchSpace itself"])
    space = space if isinstance(space, SearchSpace) else load_space(space, overrides)
    settings = search_settings({"trials": trials, "time": time, "seed": seed})
    space = replace(space, search=replace(space.search, **settings))
    where = find_device(device)
    loaded, space = _load(space, data)
    space = space.for_data(loaded.in_channels, loaded.out_channels)
    check_fit(space, loaded)
    path = Path(out) if out is not None else Path("studies") / f"{space.name}-{loaded.name}"
    _check_same_study(StudyFolder(path), space, loaded)
    folder = create_folder(path)
    with owned(folder), closing(_begin(folder, space, loaded, describe(where))) as studies:
        if prepared is not None:
            prepared(loaded, space, path, describe(where))
        setup = Setup(loaded, str(where), torch.get_num_threads())
        try:
            with Slot(setup) as slot:
                for event in Search(space, studies, slot, folder, windows(loaded)).run():
                    if happened is not None:
                        happened(event)
        finally:  # after Ctrl-C too, the report shows what is finished
            records = tuple(studies.records)
            _report(folder, space, studies, records)
    return Study(path, space, records)


def report(study: str | Path) -> Path:
    """Rewrites `trials.csv`, `front.csv` and `report.html` from the study, and gives the page's path."""
    folder = open_folder(Path(study))
    space, studies = _reopen(folder)
    with closing(studies):
        return _report(folder, space, studies, tuple(studies.records))


def front(study: str | Path) -> pd.DataFrame:
    """The front of a study's folder, one row a network, by rising parameters."""
    return read_study(study).front


def read_study(study: str | Path) -> Study:
    """A study from its folder. Raises StudyError where there is none."""
    folder = open_folder(Path(study))
    space, studies = _reopen(folder)
    with closing(studies):
        return Study(folder.path, space, tuple(studies.records))


def _read_space(path: Path, overrides: Sequence[str] = ()) -> SearchSpace:
    """A space with its backbones looked up. Raises SpaceError, also for a baseline whose values do not fit together."""
    return read_space(path, overrides, find_backbone, baseline_architecture)


def _load(space: SearchSpace, data: Any) -> tuple[SegmentationData, SearchSpace]:
    if data is None:
        return load_data(space.data), space
    if isinstance(data, str | Path):
        path = str(data) if str(data) in (*EMBEDDED, "") else str(Path(data).expanduser().absolute())
        space = replace(space, data=replace(space.data, path=path))
        return load_data(space.data), space
    return from_dataset(data, "dataset", space.data), replace(space, data=replace(space.data, path=IN_MEMORY))


def _check_same_study(folder: StudyFolder, space: SearchSpace, data: SegmentationData) -> None:
    """Raises StudyError where the folder holds a study of another space or other data."""
    if not folder.exists:
        return
    there, studies = _reopen(open_folder(folder.path))
    with closing(studies):
        facts = studies.search.user_attrs[FACTS]
    before, after = _comparable(there), _comparable(space)
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    advice = "give another folder with --out, or the same settings to continue it"
    if changed:
        lines = [f"  {key}: {before.get(key, 'nothing')} there, {after.get(key, 'nothing')} here" for key in changed]
        raise StudyError("\n".join([f"{folder.path}: holds a study of another space; {advice}", *lines]))
    if facts["fingerprint"] != data.fingerprint:
        raise StudyError(f"{folder.path}: holds a study of other data (images, masks or split changed); {advice}")


def _comparable(space: SearchSpace) -> dict[str, str]:
    """The settings that make a study what it is, by dotted name; its totals may grow, its data may move."""
    document = resolved(space)
    for name in ("trials", "time"):
        document["search"].pop(name, None)
    document["data"].pop("path", None)
    return dict(_flat(document, ""))


def _flat(document: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    flat = []
    for key, value in document.items():
        name = f"{prefix}{key}"
        flat += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, dump_value(value))]
    return flat


def _begin(folder: StudyFolder, space: SearchSpace, data: SegmentationData, device: str) -> Studies:
    """Opens the storage, with what is known of data and machine in it; last of all the settings are written.

    Until they are, no study was begun: killed before, the same command begins again.
    """
    studies = begin_studies(folder, space.name, space.objectives)
    if not folder.exists and studies.records:
        raise StudyError(f"{folder.path}: study.db holds trials, but study.yaml is missing; put it back, or give --out")
    studies.search.sampler = make_sampler(space.search, len(studies.search.get_trials(deepcopy=False)))
    facts = {
        "fingerprint": data.fingerprint,
        "data": data.name,
        "notes": list(data.notes),
        "classes": list(data.classes),
        "in_channels": data.in_channels,
        "out_channels": data.out_channels,
        "versions": _versions(device),
    }
    studies.search.set_user_attr(FACTS, facts)
    save_preview(folder, data, windows(data))
    write_atomically(folder.settings, dump_space(_portable(space, folder)).encode())
    return studies


def _portable(space: SearchSpace, folder: StudyFolder) -> SearchSpace:
    """The space with its data's path as seen from the study's folder, where one leads to the other."""
    if space.data.path in (*EMBEDDED, IN_MEMORY):
        return space
    try:
        path = relpath(Path(space.data.path).resolve(), folder.path.resolve())
    except ValueError:  # on another drive
        return space
    return replace(space, data=replace(space.data, path=Path(path).as_posix()))


def _reopen(folder: StudyFolder) -> tuple[SearchSpace, Studies]:
    """The space and the storage of a study's folder."""
    space = _read_space(folder.settings)
    studies = read_studies(folder, space.name, space.objectives)
    facts = studies.search.user_attrs[FACTS]
    return space.for_data(facts["in_channels"], facts["out_channels"]), studies


def _report(folder: StudyFolder, space: SearchSpace, studies: Studies, records: tuple[TrialRecord, ...]) -> Path:
    facts = studies.search.user_attrs[FACTS]
    shown = [record.name for record in records if record.baseline] + [
        record.name for record in front_of(records, space.objectives)
    ]
    return write_report(
        folder.path,
        ReportData(
            name=space.name,
            data_name=facts["data"],
            notes=tuple(facts["notes"]),
            classes=tuple(facts["classes"]),
            records=records,
            objectives=space.objectives,
            settings_yaml=folder.settings.read_text(encoding="utf-8"),
            previews=tuple(load_previews(folder, shown)),
            seconds=sum(record.seconds for record in records),
            versions=facts["versions"],
        ),
    )


def _versions(device: str) -> dict[str, str]:
    return {
        "unetsearch": __version__,
        "torch": torch.__version__,
        "optuna": optuna.__version__,
        "python": python_version(),
        "system": f"{system()} {machine()}",
        "device": device,
    }
