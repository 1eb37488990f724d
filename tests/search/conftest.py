"""A study small enough for a test: a little data, a space made by hand, a slot that does not train."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from unetsearch.data.dataset import SegmentationData, Split
from unetsearch.search.folder import StudyFolder, create_folder
from unetsearch.search.messages import Job
from unetsearch.search.preview import windows
from unetsearch.search.proposals import make_sampler
from unetsearch.search.slots import TrainingFailedError
from unetsearch.search.storage import Studies, begin_studies
from unetsearch.search.study import Search
from unetsearch.space.recipe import Recipe
from unetsearch.space.settings import SearchSettings
from unetsearch.space.space import SearchSpace
from unetsearch.space.values import Choice, Option, Range, fixed
from unetsearch.training.score import Score


@pytest.fixture(scope="session")
def data() -> SegmentationData:
    random = np.random.default_rng(0)
    masks = tuple((random.random((24, 20)) < 0.3).astype(np.uint8) for _ in range(5))
    images = tuple((mask[None] * 150 + random.integers(0, 50, (1, 24, 20))).astype(np.uint8) for mask in masks)
    return SegmentationData(
        name="tiny",
        images=images,
        masks=masks,
        stems=tuple("abcde"),
        groups=tuple("abcde"),
        classes=("0", "1"),
        split=Split(train=(0, 1), validation=(2, 3), test=(4,), by="random"),
        notes=("five tiny images",),
        fingerprint="f",
    )


@pytest.fixture
def space() -> SearchSpace:
    """Twelve points, three of which are the same network as another: full-scale skips do not ask for `up`."""
    skip = Choice((Option("plain"), Option("full_scale", {"channels": fixed(4)})))
    return SearchSpace(
        name="tiny",
        architecture={
            "depth": Choice((Option(1), Option(2), Option(3))),
            "width": fixed(4),
            "skip": skip,
            "up": Choice((Option("transposed"), Option("bilinear"))),
        },
        recipe=Recipe(steps=4, evaluations=2, crop=16, batch_size=2),
        search=SearchSettings(trials=5),
    )


@pytest.fixture
def endless(space) -> SearchSpace:
    """The same with a continuous learning rate: no two points are alike."""
    return replace(space, training={"learning_rate": Range(1e-3, 1e-2, log=True)})


@dataclass
class FakeSlot:
    """Scores without training: Dice grows with the depth. `fail`: reasons by the number of the job."""

    fail: dict[int, Exception] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)

    def warm_up(self):
        pass

    def train(self, job):
        self.jobs.append(job)
        for step in (2, 4):
            dice = 0.5 + 0.1 * job.architecture.depth + 0.01 * step
            yield Score(
                step=step,
                loss=1.0,
                dice=dice,
                iou=dice / 2,
                dice_by_class=(dice,),
                iou_by_class=(dice / 2,),
                seconds=step,
            )
            if error := self.fail.get(len(self.jobs)):
                raise error


@pytest.fixture
def fake_slot():
    return FakeSlot


@pytest.fixture
def diverged():
    return TrainingFailedError("the loss was nan")


@dataclass
class Runner:
    """Runs searches in one folder, as separate runs of the command would."""

    folder: StudyFolder
    data: SegmentationData

    def open(self, space: SearchSpace) -> Studies:
        studies = begin_studies(self.folder, space.name, space.objectives)
        studies.search.sampler = make_sampler(space.search, len(studies.search.get_trials(deepcopy=False)))
        return studies

    def search(self, space: SearchSpace, slot) -> Search:
        return Search(space, self.open(space), slot, self.folder, windows(self.data))

    def run(self, space: SearchSpace, slot=None, trials=None):
        if trials is not None:
            space = replace(space, search=replace(space.search, trials=trials))
        slot = slot or FakeSlot()
        search = self.search(space, slot)
        return list(search.run()), search.records


@pytest.fixture
def runner(tmp_path, data) -> Runner:
    return Runner(create_folder(tmp_path / "study"), data)
