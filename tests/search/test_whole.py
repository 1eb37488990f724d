"""A search that is ended: the first reason stands, whatever becomes of its report."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from unetsearch.errors import StudyError, WorkFailedError
from unetsearch.search.whole import search

FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize(("trials", "slots"), [(1, 1), (3, 3), (900, 50)])
def test_no_more_slots_are_begun_than_there_is_to_train(runner, space, data, fake_pool, monkeypatch, trials, slots):
    begun = []
    monkeypatch.setattr(
        "unetsearch.search.whole.Pool", lambda setups, stall: begun.append(setups) or nullcontext(fake_pool())
    )
    monkeypatch.setattr("unetsearch.search.whole.Search.run", lambda self: [])
    wanted = replace(space, baselines=(), search=replace(space.search, trials=trials))
    nothing = {"begun": lambda: None, "happened": lambda event: None, "left": lambda facts, studies: None}
    search(runner.folder, wanted, data, [torch.device("cpu")] * 50, **nothing)
    told = [(len(setups), {(setup.sharing, setup.threads) for setup in setups}) for setups in begun]
    assert told == [(slots, {(50, 1)})], "each as if all were begun: what is measured hangs on the threads"


@pytest.mark.parametrize("error", [StudyError("no study"), WorkFailedError("the report cannot be written"), FULL])
def test_a_report_that_fails_does_not_hide_why_a_search_ended(runner, space, data, fake_pool, monkeypatch, error):
    def happened(event):
        raise KeyboardInterrupt

    def left(facts, studies):
        raise error

    monkeypatch.setattr("unetsearch.search.whole.Pool", lambda setups, stall: nullcontext(fake_pool()))
    with pytest.raises(KeyboardInterrupt):
        search(runner.folder, space, data, [torch.device("cpu")], begun=lambda: None, happened=happened, left=left)
