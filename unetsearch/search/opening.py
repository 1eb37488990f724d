"""A study begun, continued or read again: its settings, its storage, and what is known of its data and machine."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from os.path import relpath
from pathlib import Path
from platform import machine, python_version, system
from typing import Any
from uuid import uuid4

import optuna
import torch
import yaml

from unetsearch import __version__
from unetsearch.data.dataset import SegmentationData
from unetsearch.data.load import from_dataset, load_data
from unetsearch.data.separation import numbering
from unetsearch.errors import StudyError
from unetsearch.files import write_atomically
from unetsearch.graph.references import baseline_architecture
from unetsearch.network.backbones import find_backbone
from unetsearch.search.engines import public_url
from unetsearch.search.folder import StudyFolder, open_folder
from unetsearch.search.preview import save_preview, windows
from unetsearch.search.progress import progress_of
from unetsearch.search.proposals import make_sampler
from unetsearch.search.storage import Studies, begin_studies, read_studies
from unetsearch.space.document import load_space, parse_space
from unetsearch.space.resolved import dump_space, dump_value, resolved
from unetsearch.space.settings import EMBEDDED
from unetsearch.space.space import SearchSpace

IN_MEMORY = "in memory"
"""What stands for the path of a data set that came from Python."""

DATA_CHANGED = "images, masks, split, or numbers of objects changed"

FACTS = "facts"
"""The user attribute of the Optuna study that holds what is known of data and machine."""


def read_space(path: Path, overrides: Sequence[str] = ()) -> SearchSpace:
    """A space with its backbones looked up. Raises SpaceError, also for a baseline whose values do not fit together."""
    return load_space(path, overrides, find_backbone, baseline_architecture)


def load_for(space: SearchSpace, data: Any = None) -> tuple[SegmentationData, SearchSpace]:
    """The checked data of a space, and the space with their path.

    `data`: a folder, an embedded set, or a torch Dataset; None: what the space names.
    """
    if data is None:
        return load_data(space.data), space
    if isinstance(data, str | Path):
        path = str(data) if str(data) in (*EMBEDDED, "") else str(Path(data).expanduser().absolute())
        space = replace(space, data=replace(space.data, path=path))
        return load_data(space.data), space
    return from_dataset(data, "dataset", space.data), replace(space, data=replace(space.data, path=IN_MEMORY))


@dataclass(frozen=True, slots=True)
class Opened:
    """A study's space, its storage, and its facts. To be closed."""

    space: SearchSpace
    studies: Studies
    facts: Mapping[str, Any]

    def close(self) -> None:
        """Lets go of the storage."""
        self.studies.close()


def begin(
    folder: StudyFolder,
    space: SearchSpace,
    data: SegmentationData,
    device: str,
    storage: str | None = None,
    note: Callable[[str], None] | None = None,
) -> Studies:
    """Opens the storage, with what is known of data and machine in it; last of all the settings are written.

    Until they are, no study was begun in this folder: killed before, the same command begins again. `storage`: of a
    study that several machines share; `note` is told when its server is away. Raises StudyError where it holds one
    of another space or of other data.
    """
    name = space.name if storage is None else f"{space.name}-{data.name}"
    studies = begin_studies(folder, name, space.objectives, storage=storage, note=note)
    try:
        facts = studies.patient(lambda: studies.search.user_attrs).get(FACTS)
        if storage is None and not folder.exists and studies.records:
            lost = "study.db holds trials, but study.yaml is missing; put it back, or give --out"
            raise StudyError(f"{folder.path}: {lost}")
        if storage is not None and facts is not None:
            where = f"{public_url(storage)}, study {name}"
            advice = "give the study another name in the YAML, or the same settings to take part in it"
            there = parse_space(facts["space"], where, describe=find_backbone, check=baseline_architecture)
            _check_same(where, advice, there, space, facts, data)
        trials = len(studies.trials(studies.search))
        studies.search.sampler = make_sampler(space.search, trials, uuid4().hex if studies.shared else "")
        if storage is None or facts is None:
            studies.patient(lambda: studies.search.set_user_attr(FACTS, _facts(space, data, device)))
        save_preview(folder, data, windows(data))
        if storage is not None:
            write_atomically(folder.shared, yaml.safe_dump({"url": public_url(storage), "study": name}).encode())
        write_atomically(folder.settings, dump_space(_with_totals(_portable(space, folder), folder, studies)).encode())
    except BaseException:
        studies.close()
        raise
    return studies


def _with_totals(space: SearchSpace, folder: StudyFolder, studies: Studies) -> SearchSpace:
    """The space as it is written: totals that are reached already lower none by which the study was made."""
    records, spent = studies.read()
    if not folder.exists or progress_of(space, records, [stretch[1:] for stretch in spent]).over is None:
        return space
    before, now = read_space(folder.settings).search, space.search
    time = None if before.time is None or now.time is None else max(before.time, now.time)
    return replace(space, search=replace(now, trials=max(before.trials, now.trials), time=time))


def reopen(folder: StudyFolder, storage: str | None = None) -> Opened:
    """A study that was begun, to be read. `storage`: that of a shared one, if reading it needs credentials.

    Raises StudyError where there is none, or its storage cannot be read.
    """
    space = read_space(folder.settings)
    shared = folder.read_shared()
    if shared is None:
        studies = read_studies(folder, space.name, space.objectives)
    else:
        studies = read_studies(folder, shared["study"], space.objectives, storage=storage or shared["url"])
    facts = studies.search.user_attrs[FACTS]
    return Opened(space.for_data(facts["in_channels"], facts["out_channels"]), studies, facts)


def check_same_study(folder: StudyFolder, space: SearchSpace, data: SegmentationData, storage: str | None) -> None:
    """Raises StudyError where the folder holds a study of another space, of other data, or of another storage."""
    if not folder.exists:
        return
    folder = open_folder(folder.path)
    shared = folder.read_shared()
    advice = "give another folder with --out, or the same settings to continue it"
    if (shared is None) != (storage is None) or (shared and storage and shared["url"] != public_url(storage)):
        there = shared["url"] if shared else "its own study.db"
        raise StudyError(f"{folder.path}: the trials of this study are in {there}; {advice}")
    with closing(reopen(folder, storage)) as opened:
        _check_same(str(folder.path), advice, opened.space, space, opened.facts, data)


def _check_same(
    where: str, advice: str, there: SearchSpace, here: SearchSpace, facts: Mapping[str, Any], data: SegmentationData
) -> None:
    before, after = _comparable(there), _comparable(here)
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    if changed:
        lines = [f"  {key}: {before.get(key, 'nothing')} there, {after.get(key, 'nothing')} here" for key in changed]
        raise StudyError("\n".join([f"{where}: holds a study of another space; {advice}", *lines]))
    if other_data(facts, here, data):
        raise StudyError(f"{where}: holds a study of other data ({DATA_CHANGED}); {advice}")


def other_data(facts: Mapping[str, Any], space: SearchSpace, data: SegmentationData) -> bool:
    """Whether a study with these facts was one of other data; studies begun by 0.1.0 know of no objects."""
    objects = facts.get("objects")
    return bool(facts["fingerprint"] != data.fingerprint or objects not in (None, _numbering(space, data)))


def _numbering(space: SearchSpace, data: SegmentationData) -> str | None:
    """What tells the numbers of the objects from others, where they count: in scores, or for maps of weights."""
    mapped = "weight_map" in space.training or space.recipe.weight_map  # searched, or given
    counted = "object_f1" in space.objectives or mapped
    return sha256(repr(numbering(data)).encode()).hexdigest() if counted else None


def _comparable(space: SearchSpace) -> dict[str, str]:
    """The settings that make a study what it is, by dotted name; its totals may grow, its data may move."""
    document = resolved(space)
    for name in ("trials", "time", "stall"):
        document["search"].pop(name, None)
    document["data"].pop("path", None)
    return dict(_flat(document, ""))


def _flat(document: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    flat = []
    for key, value in document.items():
        name = f"{prefix}{key}"
        flat += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, dump_value(value))]
    return flat


def _facts(space: SearchSpace, data: SegmentationData, device: str) -> dict[str, Any]:
    versions = {
        "unetsearch": __version__,
        "torch": torch.__version__,
        "optuna": optuna.__version__,
        "python": python_version(),
        "system": f"{system()} {machine()}",
        "device": device,
    }
    return {
        "space": dump_space(replace(space, data=replace(space.data, path=data.name))),
        "fingerprint": data.fingerprint,
        "objects": _numbering(space, data),
        "data": data.name,
        "notes": list(data.notes),
        "classes": list(data.classes),
        "in_channels": data.in_channels,
        "out_channels": data.out_channels,
        "versions": versions,
    }


def _portable(space: SearchSpace, folder: StudyFolder) -> SearchSpace:
    """The space with its data's path as seen from the study's folder, where one leads to the other."""
    if space.data.path in (*EMBEDDED, IN_MEMORY):
        return space
    try:
        path = relpath(Path(space.data.path).resolve(), folder.path.resolve())
    except ValueError:  # on another drive
        return space
    return replace(space, data=replace(space.data, path=Path(path).as_posix()))
