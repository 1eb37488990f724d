"""A search that is ended: the first reason stands, whatever becomes of its report."""

from contextlib import nullcontext

import pytest
import torch

from unetsearch.errors import StudyError, WorkFailedError
from unetsearch.search.whole import search

FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize("error", [StudyError("no study"), WorkFailedError("the report cannot be written"), FULL])
def test_a_report_that_fails_does_not_hide_why_a_search_ended(runner, space, data, fake_pool, monkeypatch, error):
    def happened(event):
        raise KeyboardInterrupt

    def left(facts, studies):
        raise error

    monkeypatch.setattr("unetsearch.search.whole.Pool", lambda setups, stall: nullcontext(fake_pool()))
    with pytest.raises(KeyboardInterrupt):
        search(runner.folder, space, data, [torch.device("cpu")], begun=lambda: None, happened=happened, left=left)
