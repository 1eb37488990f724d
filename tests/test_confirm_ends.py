"""How a confirmation ends before it is done, what it reads of the study, and how it tells of a single thing."""

from contextlib import nullcontext
from dataclasses import replace

import pytest

from tests.test_confirm import made, study  # noqa: F401 (fixtures)
from unetsearch import confirmation
from unetsearch.confirmation import confirm
from unetsearch.search.events import Confirming, Noted, SearchedAgain
from unetsearch.search.opening import Opened


def interrupting(kind):
    def happened(event):
        if isinstance(event, kind):
            raise KeyboardInterrupt

    return happened


def test_a_report_that_fails_does_not_hide_why_it_ended(study, monkeypatch):  # noqa: F811
    def full(folder, report):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("unetsearch.report.write.write_report", full)
    with pytest.raises(KeyboardInterrupt):
        confirm(study, nested=False, folds=2, seeds=1, happened=interrupting(Confirming))


def test_a_storage_that_is_closed_is_not_read(study, monkeypatch):  # noqa: F811
    close = Opened.close

    def closed(opened):
        close(opened)
        opened.studies.baselines = opened.studies.search = None

    monkeypatch.setattr(Opened, "close", closed)
    with pytest.raises(KeyboardInterrupt):
        confirm(study, nested=True, folds=2, seeds=1, happened=interrupting(SearchedAgain))


def test_a_single_training_that_is_left(study, monkeypatch):  # noqa: F811
    class Spent:
        left = 1

        def __init__(self, *wanted, **values):
            pass

        def run(self):
            return iter(())

    monkeypatch.setattr("unetsearch.confirmation.Pool", lambda setups, stall: nullcontext())
    monkeypatch.setattr("unetsearch.confirmation.Repetition", Spent)
    events = []
    confirm(study, nested=False, folds=2, seeds=1, happened=events.append)
    assert events[-1] == Noted("the time is spent, 1 training is left: a longer --time goes on with it")


def test_a_single_fold_that_is_possible(study, monkeypatch):  # noqa: F811
    same_data, told = confirmation._same_data, []

    def one_group(*known):
        data = same_data(*known)
        return replace(data, groups=tuple(f"t{i}" if i in data.split.test else "a" for i in range(len(data.images))))

    def happened(event):
        told.append(event.text)
        raise KeyboardInterrupt

    monkeypatch.setattr(confirmation, "_same_data", one_group)
    with pytest.raises(KeyboardInterrupt):
        confirm(study, nested=False, folds=5, happened=happened)
    assert told == ["5 folds were asked for, but there is 1 group: 1 fold"]
