"""A study small enough for a test: a little data, a space made by hand, slots that do not train."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from tests.search.machines import candidate, machine, name, start, storage  # noqa: F401 (fixtures)
from tests.search.trainers import trainer  # noqa: F401 (a fixture)
from unetsearch.data.dataset import SegmentationData, Split
from unetsearch.search.folder import StudyFolder, create_folder
from unetsearch.search.messages import Done, Failed, Job, Measured, Stopped
from unetsearch.search.preview import windows
from unetsearch.search.proposals import make_sampler
from unetsearch.search.storage import Studies, begin_studies
from unetsearch.search.study import Search
from unetsearch.space.architecture import Architecture
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


@pytest.fixture
def job(space, data, tmp_path):
    point = space.sample(0)
    return Job(
        architecture=point.architecture,
        recipe=point.recipe,
        seed=0,
        folder=str(tmp_path / "models" / "0"),
        preview=windows(data),
    )


@dataclass
class Clock:
    """A time that passes only where it is told to."""

    now: float = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in ("study", "running"):
        monkeypatch.setattr(f"unetsearch.search.{module}.time", clock)
    return clock


@dataclass
class FakePool:
    """Scores without training: Dice grows with the depth. `fail`: reasons by the number of the job.

    `scores(job)` may be replaced: it gives the Dice after each evaluation. Slots take turns.
    """

    fail: dict[int, Failed | BaseException] = field(default_factory=dict)
    size: int = 1
    clock: "Clock | None" = None
    jobs: list[Job] = field(default_factory=list)
    measured: list[Architecture] = field(default_factory=list)
    most: int = 0
    _trainings: dict[int, Iterator] = field(default_factory=dict)
    _turns: deque = field(default_factory=deque)

    @property
    def idle(self):
        return tuple(slot for slot in range(self.size) if slot not in self._trainings)

    def start(self, slot, job):
        assert slot in self.idle
        self.jobs.append(job)
        self._trainings[slot] = self.train(job, len(self.jobs))
        self._turns.append(slot)
        self.most = max(self.most, len(self._turns))

    def stop(self, slot):
        self._trainings[slot] = iter([Stopped()])

    def pause(self, slot):
        self.stop(slot)

    def measure(self, slot, architecture, meanwhile=lambda: None):
        assert slot in self.idle
        self.measured.append(architecture)
        return Measured(latency=0.01 * architecture.depth, memory=1000 * architecture.depth)

    def next(self, timeout):
        if not self._turns:
            return None
        if self.clock:
            self.clock.now += 1
        slot = self._turns.popleft()
        answer = next(self._trainings[slot])
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Done | Stopped | Failed):
            del self._trainings[slot]
        else:
            self._turns.append(slot)
        return slot, answer

    def close(self, save_within=0.0):
        self._trainings.clear()
        self._turns.clear()

    def scores(self, job):
        return [0.5 + 0.1 * job.architecture.depth + 0.01 * step for step in (2, 4)]

    def train(self, job, number):
        dices = self.scores(job)
        for part, dice in enumerate(dices, start=1):
            yield Score(
                step=round(job.recipe.steps * part / len(dices)),
                loss=1.0,
                dice=dice,
                iou=dice / 2,
                dice_by_class=(dice,),
                iou_by_class=(dice / 2,),
                seconds=float(part),
            )
            if failure := self.fail.get(number):
                yield failure
        yield Done()


@pytest.fixture
def fake_pool():
    return FakePool


@pytest.fixture
def long(endless):
    return replace(endless, recipe=replace(endless.recipe, steps=120, evaluations=12))


@pytest.fixture
def slow_pool(fake_pool):
    """Twelve evaluations, with a Dice that grows with the depth."""

    class Slow(fake_pool):
        def scores(self, job):
            return [0.1 * job.architecture.depth + 0.001 * step for step in range(12)]

    return Slow


@pytest.fixture
def diverged():
    return Failed("the loss was nan")


@dataclass
class Runner:
    """Runs searches in one folder, as separate runs of the command would; without pruning unless it is asked for."""

    folder: StudyFolder
    data: SegmentationData
    pruner: str = "none"
    storage: str | None = None

    def open(self, space: SearchSpace) -> Studies:
        studies = begin_studies(self.folder, space.name, space.objectives, storage=self.storage)
        studies.search.sampler = make_sampler(space.search, len(studies.search.get_trials(deepcopy=False)))
        return studies

    def search(self, space: SearchSpace, pool) -> Search:
        space = replace(space, search=replace(space.search, pruner=self.pruner))
        return Search(space, self.open(space), pool, self.folder, windows(self.data))

    def run(self, space: SearchSpace, pool=None, trials=None):
        if trials is not None:
            space = replace(space, search=replace(space.search, trials=trials))
        search = self.search(space, pool or FakePool())
        try:
            return list(search.run()), search.records
        finally:
            search.close()


@pytest.fixture
def runner(tmp_path, data) -> Runner:
    return Runner(create_folder(tmp_path / "study"), data)
