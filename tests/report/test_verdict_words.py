"""The verdict as a sentence to quote."""

from dataclasses import replace

import pytest

from unetsearch.report.answer import verdict_in_words
from unetsearch.statistics.verdict import Standing, Verdict


def verdict(labels, decided=None, possible=(), upper=0.0, reason=""):
    standings = tuple(Standing(label, place, 0.8, 0.0, 0.0, upper) for place, label in enumerate(labels))
    return Verdict(0.01, decided, possible or (decided,), 0, standings, (reason,) if reason else ())


@pytest.mark.parametrize(
    ("found", "factor", "words"),
    [
        (verdict([1, 2], 2, upper=0.00591), "depth", "depth 2 is enough: a better one gains at most 0.006 Dice (95 %)"),
        (verdict(["plain", "free"], "free"), "skip", "the skip rule free is enough: no other one is better (95 %)"),
        (
            verdict([1, 2, 3, 4], possible=(2, 3, 4), reason="no loss is bounded under 0.01"),
            "depth",
            "undecided between depths 2, 3 and 4: no loss is bounded under 0.01",
        ),
        (
            verdict(["plain", "mobile"], possible=("plain", "mobile"), reason="2 folds: an interval needs 3"),
            "encoder",
            "undecided between the encoders plain and mobile: 2 folds: an interval needs 3",
        ),
        (
            verdict([4], possible=(4,), reason="4 is all there is: nothing to compare it with"),
            "depth",
            "undecided on depth 4: 4 is all there is: nothing to compare it with",
        ),
        (
            replace(verdict([1, 2], 2), missing=(3,)),
            "depth",
            "of depths 1 and 2 alone (depth 3 was not tested throughout): depth 2 is enough: no other one is better "
            "(95 %)",
        ),
    ],
)
def test_every_verdict_has_its_sentence(found, factor, words):
    assert verdict_in_words(found, factor, "Dice") == words


def test_the_bound_is_rounded_up_and_the_score_has_its_own_name():
    found = verdict([1, 2], 1, upper=0.00100001)
    words = "depth 1 is enough: a better one gains at most 0.0011 F1 of objects (95 %)"
    assert verdict_in_words(found, "depth", "F1 of objects") == words
