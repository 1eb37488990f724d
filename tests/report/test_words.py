"""Numbers and networks in the words of a person."""

import pytest

from unetsearch.report.words import amount, duration, mebibytes, milliseconds, topology, training

OBJECTIVES = ("dice", "params")


VOID = {"meta", "img", "br", "line", "rect", "path"}


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0"),
        (942, "942"),
        (1200, "1.20 k"),
        (51_234, "51.2 k"),
        (1_925_601, "1.93 M"),
        (137_900_000, "138 M"),
        (2.04e10, "20.4 G"),
    ],
)
def test_amounts(number, words):
    assert amount(number) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(4.4, "4 s"), (59.7, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_measured_costs():
    assert [milliseconds(seconds) for seconds in (0.00084, 0.0123, 0.12, 2.5)] == [
        "0.84 ms",
        "12.3 ms",
        "120 ms",
        "2500 ms",
    ]
    assert [mebibytes(number) for number in (800_000, 432_013_312)] == ["0.8 MiB", "412 MiB"]


def test_networks_in_words(make):
    deep = make(0, name="unet3+", depth=1, deep_supervision=True, encoder="residual").architecture
    assert topology(deep) == "depth 1, full-scale skips of 8 (deep supervision), residual encoder, 8-16"
    unusual = make(0, norm="group", up="bilinear", dropout=0.1, depth=1).architecture
    assert topology(unusual) == "depth 1, plain skips, plain encoder, 8-16, norm group, up bilinear, dropout 0.1"
    assert training({"depth": 3, "training.learning_rate": 0.0041234, "training.loss": "dice"}) == (
        "learning_rate 0.00412, loss dice"
    )
