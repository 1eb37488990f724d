"""Finalists, folds and slots for tests of a confirmation."""

from dataclasses import dataclass, replace

from tests.search.conftest import FakePool
from unetsearch.data.dataset import Split
from unetsearch.graph.references import reference
from unetsearch.search.candidate import Candidate
from unetsearch.search.messages import Done
from unetsearch.space.recipe import Recipe
from unetsearch.training.score import Score

TEST = (4, 5)

SPLITS = (
    Split(train=(0, 1), validation=(2, 3), test=TEST, by="random"),
    Split(train=(2, 3), validation=(0, 1), test=TEST, by="random"),
)

RECIPE = Recipe(steps=4, evaluations=2, crop=16, batch_size=2)


def score(step, values):
    """Of images with these Dices."""
    dice = sum(values) / len(values)
    return Score(
        step=step,
        loss=1.0,
        dice=dice,
        iou=dice / 2,
        dice_by_class=(dice,),
        iou_by_class=(dice / 2,),
        seconds=1.0,
        by_image={"dice": tuple(values), "iou": tuple(value / 2 for value in values)},
    )


def finalist(number, depth, dice=0.7, **values):
    made = Candidate.of(reference("unet", width=4 + 4 * number, depth=depth, **values), RECIPE).record(number)
    return replace(made, curve=(replace(score(RECIPE.steps, (dice,)), by_image={}),), seconds=1.0)


@dataclass
class ConfirmPool(FakePool):
    """Scores each image by itself: a tenth for every level of depth, a hundredth for its index."""

    def value(self, job, image):
        return round(0.1 * job.architecture.depth + 0.01 * image, 6)

    def train(self, job, number):
        assert job.split is not None
        if failure := self.fail.get(number):
            yield failure
        yield score(job.recipe.steps, [self.value(job, image) for image in job.split.validation])
        yield Done()
