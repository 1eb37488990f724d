"""What a person reads while a study is confirmed."""

from dataclasses import replace
from io import StringIO

from rich.console import Console

from tests.search.confirming import SPLITS, finalist, score
from unetsearch.progress_confirm import ConfirmationDisplay
from unetsearch.search.confirm import Planned
from unetsearch.search.confirmed import Key
from unetsearch.search.events import Confirming, Ended, Noted, Repeated, SearchedAgain


def shown(*events):
    console = Console(file=StringIO(), width=200)
    display = ConfirmationDisplay(console)
    with display.live():
        for event in events:
            display.happened(event)
    return console.file.getvalue().splitlines()


def repeated(split=SPLITS[0], scores=(0.5, 0.75), **values):
    each = Planned("#4", finalist(4, 2), Key("a", "crossed 2", fold=1, seed=0, **values), split)
    each.score = score(4, scores)
    return Repeated("#4", each.run(10.0), each.score, Confirming(3, 8, 60.0, 3600.0, None))


def test_a_line_for_each_training():
    assert shown(Confirming(2, 8, 40.0, 3600.0, None), repeated()) == [
        "trainings: 2 of 8 are done",
        "      #4  without fold 2, seed 1: Dice 0.6250, IoU 0.3125 on 2 test images   [3 of 8, about 1 min 40 s left]",
    ]


def test_tunings_are_scored_on_validation_images():
    assert shown(repeated(budget=4.0, rate=0.5, tuning=True)) == [
        "      #4  without fold 2, seed 1, 4 times the steps, 0.5 times the rate (tuning): "
        "Dice 0.6250, IoU 0.3125 on 2 validation images   [3 of 8, about 1 min 40 s left]"
    ]


def test_one_image():
    (line,) = shown(repeated(replace(SPLITS[0], validation=(2,)), (0.5,)))
    assert "Dice 0.5000, IoU 0.2500 on 1 test image   [" in line


def test_the_searches_of_a_nested_one():
    assert shown(SearchedAgain(2, 5), Ended("60 of 60 trials are trained"), Noted("a [note]")) == [
        "search without part 2 of 5: what it chooses is tested on that part",
        "search without part 2 of 5: 60 of 60 trials are trained",
        "a [note]",
    ]
