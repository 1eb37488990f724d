"""One run of a search, from an open folder to what is known of its trials."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any

import torch

from unetsearch.data.dataset import SegmentationData
from unetsearch.errors import UnetsearchError, WorkFailedError
from unetsearch.search.events import Event, Noted
from unetsearch.search.folder import StudyFolder
from unetsearch.search.messages import Setup
from unetsearch.search.opening import FACTS, begin
from unetsearch.search.pool import Pool
from unetsearch.search.preview import windows
from unetsearch.search.progress import progress_of
from unetsearch.search.records import TrialRecord
from unetsearch.search.storage import Studies
from unetsearch.search.study import Search
from unetsearch.space.space import SearchSpace
from unetsearch.training.device import describe, slot_threads

Left = Callable[[Mapping[str, Any], Studies], object]
"""Called with what is known of data and machine, and with the storage, when a search ends."""


def search(
    folder: StudyFolder,
    space: SearchSpace,
    data: SegmentationData,
    devices: Sequence[torch.device],
    *,
    storage: str | None = None,
    begun: Callable[[], None],
    happened: Callable[[Event], None],
    left: Left,
) -> list[TrialRecord]:
    """Searches in a folder that this process owns. `devices`: one a slot; no more are used than there is left to train.

    `begun` is called before anything is trained, `happened` with every event after that, `left` at the end, after an
    interruption too.
    """
    words = describe(devices[0])
    with closing(begin(folder, space, data, words, storage, lambda text: happened(Noted(text)))) as studies:
        begun()
        facts = studies.patient(lambda: studies.search.user_attrs)[FACTS]
        most = max(1, space.search.trials - progress_of(space, studies.records).trials + len(space.baselines))
        with Pool(setups(space, data, devices)[:most], stall=space.search.stall) as pool:
            machine = f"{folder.path.name}/" if storage else ""  # each machine has a folder of its own
            run = Search(space, studies, pool, folder, windows(data), machine)
            try:
                for event in run.run():
                    happened(event)
            except BaseException:
                run.close()
                # after Ctrl-C too, the report shows what is finished; it hides no error that came before
                with suppress(UnetsearchError, WorkFailedError, OSError):
                    left(facts, studies)
                raise
            run.close()
        left(facts, studies)
        return run.records


def setups(space: SearchSpace, data: SegmentationData, devices: Sequence[torch.device]) -> list[Setup]:
    """What each slot's trainer is told first."""
    threads, objects = slot_threads(len(devices)), "object_f1" in space.objectives
    return [
        Setup(data, str(device), threads, objects=objects, sharing=list(devices).count(device)) for device in devices
    ]
