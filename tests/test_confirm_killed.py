"""A confirmation whose processes are killed at any moment, again and again: it comes to the same end."""

import os
import re
import shutil
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

import unetsearch
from tests.conftest import lay_out
from tests.processes import unetsearch as started

LINES = (3, 9, 14)
"""After so many further lines it is killed, trainers and all: in the searches, and in the trainings."""

COMMAND = ("confirm", "--nested", "--folds", 2, "--seeds", 2, "--budgets", "1,2")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes cannot be killed like this on Windows")
def test_a_confirmation_survives_being_killed_at_any_moment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    unetsearch.run(
        "tiny.yaml", data="data", out="study", trials=4, overrides=["data.split.by=random", "training.steps=8"]
    )
    shutil.copytree("study", "whole")
    told = []
    for limit in (*LINES, None):
        process = started(*COMMAND, "study")
        for count, line in enumerate(process.stdout, start=1):
            told.append(line)
            if count == limit:
                break
        if limit is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert process.returncode == 0, "".join(told)
    repeated = Counter(line.split(":")[0].strip() for line in told if re.search(r"seed \d+.*:", line))
    assert repeated.most_common(1)[0][1] == 1, "none is trained twice"
    assert len(repeated) > 10
    undisturbed = started(*COMMAND, "whole")
    out, _ = undisturbed.communicate()
    assert undisturbed.returncode == 0, out
    assert verdict("study") == verdict("whole")
    one, other = (pd.read_csv(Path(study) / "confirmed.csv") for study in ("study", "whole"))
    pd.testing.assert_frame_equal(one.drop(columns="latency"), other.drop(columns="latency"))


def verdict(study):
    """What it says, without what it took."""
    text = (Path(study) / "verdict.txt").read_text()
    return re.sub(r"[\d.]+ ms|trainings, [^,]* of training", "", text)
