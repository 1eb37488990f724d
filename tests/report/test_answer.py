"""The sentences of a confirmation as a person reads them, and the page that begins with them."""

from dataclasses import replace

import pandas as pd
import pytest

from tests.report.confirming import STEP, exact, failure, network, noisy, plan_of, runs_of
from tests.report.test_page import check
from unetsearch.report.answer import answer
from unetsearch.report.confirmation import confirmation
from unetsearch.report.confirmation_figures import confirmed_front_figure, matrix_figure, profile_figure
from unetsearch.report.page import render_page
from unetsearch.report.write import write_report

FINALISTS = (
    network(0, 1, 0.7),
    network(1, 2, 0.8),
    network(3, 3, 0.9),
    network(0, 4, 0.75, baseline="unet", width=32),
)

GAINS = {1: 0.0, 2: 63 * STEP, 3: 64 * STEP, 4: 33 * STEP}
"""Depth 3 is better than depth 2 by one step, which is 0.00098."""

TAKEN = "#1 (depth 2, plain skips, plain encoder, 12-24-48; 2.00 k parameters, 2.00 MMACs): Dice 0.6475."


def confirmed(plan, value, records=FINALISTS):
    return confirmation(plan, runs_of(plan, value), records)


def told(plan, value, **values):
    return answer(confirmed(plan, value, **values), "cells")


def test_a_verdict_that_is_decided():
    assert told(plan_of(*FINALISTS), exact(GAINS)) == (
        "cells: depth 2 is enough: a better one gains at most 0.001 Dice (95 %).",
        f"Take {TAKEN} The best of depth 3 has 0.6484, with 1.5 times the parameters and 1.5 times the MACs.",
        "Over the strongest baseline (unet) the recommended network gains +0.0293 (+0.0293 to +0.0293, 95 %) Dice.",
        "Tested: 12 images that no search has seen; 3 folds x 2 seeds, 24 of 24 trainings, 4 min 00 s of training.",
    )


def test_the_deepest_may_be_the_one_that_is_needed():
    lines = told(plan_of(*FINALISTS), exact(GAINS | {3: 256 * STEP}))
    assert lines[:2] == (
        "cells: depth 3 is enough: no other one is better (95 %).",
        "Take #3 (depth 3, plain skips, plain encoder, 20-40-80-160; 3.00 k parameters, 3.00 MMACs): Dice 0.8359.",
    )


def test_a_verdict_that_is_undecided_says_what_would_settle_it():
    plan, value = plan_of(*FINALISTS), noisy({1: 0.0, 2: 0.06, 3: 0.063, 4: 0.0}, 0.02)
    found = confirmed(plan, value)
    (depth,) = found.factors
    assert (depth.verdict.decided, depth.verdict.possible) == (None, (2, 3))
    lines = answer(found, "cells")
    assert lines[0] == "cells: undecided between depths 2 and 3: no loss is bounded under 0.01."
    assert lines[1].startswith(f"Take {depth.recommended.name}, all the same (depth {depth.recommended.name[1:]}, ")
    assert depth.needed.groups > 12
    assert lines[2] == (
        f"{depth.needed.groups} test images or {depth.needed.units} folds in all would probably settle the depth, "
        "if what was found stays as it is."
    )


def test_one_depth_only():
    plan = plan_of(FINALISTS[1], FINALISTS[3])
    assert told(plan, exact(GAINS)) == (
        "cells: networks of one depth only were searched; about depth nothing is said.",
        f"Take {TAKEN}",
        "Over the strongest baseline (unet) the recommended network gains +0.0293 (+0.0293 to +0.0293, 95 %) Dice.",
        "Tested: 12 images that no search has seen; 3 folds x 2 seeds, 12 of 12 trainings, 2 min 00 s of training.",
    )


@pytest.mark.parametrize("nested", [False, True])
def test_of_one_stack_nothing_is_claimed_beyond_it(nested):
    plan = plan_of(*FINALISTS, groups=("all",) * 12)
    if nested:
        plan = replace(plan, nested=True, finalists=plan.finalists * 3)
    how = "each of 12 images of 1 group once, by what a search chose that never saw its part"
    who = "what the search chose" if nested else "the recommended network"
    assert told(plan, exact(GAINS)) == (
        "cells: undecided between depths 1, 2 and 3: all test images are of one group: nothing is claimed beyond it.",
        "Take #3, all the same (depth 3, plain skips, plain encoder, 20-40-80-160; 3.00 k parameters, 3.00 MMACs): "
        f"{'what the searches chose of depth 3 has ' if nested else ''}Dice 0.6484.",
        f"Over the strongest baseline (unet) {who} gains +0.0303 (no interval) Dice.",
        *("Parameters, MACs and times are of what the whole search chose; the folds may have tested other networks.",)
        * nested,
        f"Tested: {how if nested else '12 images of 1 group that no search has seen'}; 3 folds x 2 seeds, "
        f"24 of 24 trainings, 4 min 00 s of training{', the searches not counted' * nested}.",
    )


def test_one_fold_does_not_see_the_noise_between_training_sets():
    lines = told(plan_of(*FINALISTS, folds=1, seeds=3), exact(GAINS))
    assert lines[0] == "cells: depth 2 is enough: a better one gains at most 0.001 Dice (95 %)."
    assert lines[2] == "All runs leave out the same fold: the noise between training sets is not seen."
    assert "; 1 fold x 3 seeds, 12 of 12 trainings" in lines[-1]
    (first, *_) = told(plan_of(*FINALISTS, folds=1, seeds=1), exact(GAINS))
    assert first == "cells: undecided between depths 1, 2 and 3: 1 seed: an interval needs 3."
    found = confirmed(plan_of(*FINALISTS, folds=1, seeds=3), noisy({1: 0.0, 2: 0.06, 3: 0.063, 4: 0.0}, 0.02))
    assert f" or {found.factors[0].needed.units} seeds in all would probably settle the depth" in answer(found, "")[3]


@pytest.mark.parametrize("nested", [False, True])
def test_fewer_images_than_folds(nested):
    plan = plan_of(*FINALISTS, images=3)
    if nested:
        plan = replace(plan, nested=True, finalists=plan.finalists * 3)
    lines = told(plan, exact(GAINS))
    assert lines[0] == "cells: undecided between depths 1, 2 and 3: 3 groups of test images: an interval needs 6."
    assert lines[-1].startswith("Tested: each of 3 images once" if nested else "Tested: 3 images that")


def test_what_could_not_be_trained_is_named():
    plan = plan_of(*FINALISTS)
    runs = runs_of(plan, exact(GAINS))
    lost = [run for run in runs if run.key.hash == FINALISTS[2].hash]
    found = confirmation(plan, [run for run in runs if run not in lost], FINALISTS, [failure(run) for run in lost])
    lines = answer(found, "cells")
    assert lines[0] == "cells: depth 2 is enough: no other one is better (95 %)."
    assert lines[-2:] == (
        "Left out, since trainings of theirs failed: #3.",
        "Tested: 12 images that no search has seen; 3 folds x 2 seeds, 18 of 24 trainings, 3 min 00 s of training.",
    )


def test_skips_and_encoders_have_verdicts_of_their_own():
    others = (network(5, 2, name="unet++"), network(6, 2, name="resunet"))
    lines = told(plan_of(FINALISTS[1], *others, seeds=1), exact(GAINS), records=(FINALISTS[1], *others))
    assert lines == (
        "cells: networks of one depth only were searched; about depth nothing is said.",
        f"Take {TAKEN}",
        "The skip rule plain is enough: no other one is better (95 %).",
        "The encoder plain is enough: no other one is better (95 %).",
        "Tested: 12 images that no search has seen; 3 folds x 1 seed, 9 of 9 trainings, 1 min 30 s of training.",
    )


def test_another_score_is_called_by_its_name():
    turned = [
        replace(own, curve=tuple(replace(score, object_f1=1 - score.dice) for score in own.curve)) for own in FINALISTS
    ]
    gains = {depth: -gain for depth, gain in GAINS.items()}
    lines = told(plan_of(*turned, score="object_f1"), exact(gains), records=turned)
    assert lines[0] == "cells: depth 2 is enough: a better one gains at most 0.001 F1 of objects (95 %)."
    assert "2.00 MMACs): F1 of objects 0.4756." in lines[1]
    assert lines[2].endswith("gains +0.0293 (+0.0293 to +0.0293, 95 %) F1 of objects.")


def test_depths_that_failed_are_no_single_depth():
    plan = plan_of(*FINALISTS)
    runs = runs_of(plan, exact(GAINS))
    lost = [run for run in runs if run.key.hash in {FINALISTS[0].hash, FINALISTS[1].hash}]
    found = confirmation(plan, [run for run in runs if run not in lost], FINALISTS, [failure(run) for run in lost])
    lines = answer(found, "cells")
    assert lines[0] == "cells: no two depths could be tested in every part; about depth nothing is said."
    assert "Left out, since trainings of theirs failed: #0, #1." in lines


def test_networks_that_learnt_nothing_decide_nothing():
    lines = answer(confirmation(plan_of(*FINALISTS), runs_of(plan_of(*FINALISTS), lambda *_: 0.0), FINALISTS), "cells")
    assert lines[0] == "cells: undecided between depths 1, 2 and 3: every network scored 0: nothing was learned."


def test_how_many_times_the_costs():
    large = replace(FINALISTS[2], params=1_234_000, macs=25_400_000)
    lines = told(plan_of(*FINALISTS[:2], large), exact(GAINS))
    assert lines[1].endswith("with 617 times the parameters and 13 times the MACs.")
    small = replace(FINALISTS[2], params=1_940, macs=1_000_000)
    lines = told(plan_of(*FINALISTS[:2], small), exact(GAINS))
    assert lines[1].endswith("with 0.97 times the parameters and 0.50 times the MACs.")


def test_where_the_latency_is_known_it_is_a_cost_too(report):
    plan = plan_of(*FINALISTS)
    known = {FINALISTS[1].hash: 0.004, FINALISTS[2].hash: 0.01}
    found = confirmation(plan, runs_of(plan, exact(GAINS)), FINALISTS, latency=known)
    costs = "2.00 k parameters, 2.00 MMACs, 4.00 ms an image of 256x256): Dice 0.6475. The best of depth 3 has 0.6484, "
    assert f"{costs}with 1.5 times the parameters, 1.5 times the MACs and 2.5 times the time." in answer(found, "")[1]
    page = check(render_page(replace(report, confirmed=found)))
    assert "<td>2.00 k</td><td>2.00 M</td><td>4.00 ms</td><td class=l>#1: depth 2" in page
    assert "<td>1.00 k</td><td>1.00 M</td><td>-</td><td class=l>#0: depth 1" in page


def test_the_files_beside_the_page(report, tmp_path):
    found = confirmation(plan_of(*FINALISTS), runs_of(plan_of(*FINALISTS), exact(GAINS)), FINALISTS)
    write_report(tmp_path, replace(report, confirmed=found))
    lines = answer(found, report.data_name)
    assert (tmp_path / "verdict.txt").read_text().splitlines() == list(lines)
    rows = pd.read_csv(tmp_path / "confirmed.csv", dtype={"trial": str}).set_index("trial")
    assert list(rows.index) == ["3", "1", "unet", "0"], "the best first"
    assert rows["dice"].to_dict() == {
        each.record.name.removeprefix("#"): pytest.approx(each.mean.estimate, abs=1e-6) for each in found.tested
    }
    assert (rows["low"] < rows["dice"]).all()
    assert (rows["dice"] < rows["high"]).all()
    assert rows.loc["unet", ["search", "params", "depth", "trainings"]].tolist() == [0.75, 4000, 4, 6]
    write_report(tmp_path, report)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"trials.csv", "front.csv", "report.html"}, "what is no longer so is not left behind"


def test_the_page_leads_with_the_verdict_and_asks_no_network(report):
    found = confirmed(plan_of(*FINALISTS), exact(GAINS))
    page = check(render_page(replace(report, confirmed=found)))
    first = page.index(
        '<div class="answer"><p>cells &amp; co: depth 2 is enough: a better one gains at most 0.001 Dice'
    )
    assert page.count('<div class="answer">', 0, first) == 0
    titles = ["The depth verdict", "The tested networks", "What the search saw", "The front", "Data and settings"]
    places = [page.index(f"<h2>{title}</h2>") for title in titles]
    assert [first, *places] == sorted([first, *places])
    assert "The skips" not in page
    plain = check(render_page(report))
    assert "What the search saw" not in plain
    assert "The depth verdict" not in plain


def test_the_tables_of_the_page(report):
    found = confirmed(plan_of(*FINALISTS), exact(GAINS))
    page = check(render_page(replace(report, confirmed=found)))
    row = "<tr><td class=l>1</td><td>0.5859</td><td>0.0625</td><td>0.0625</td><td>0.0625</td>"
    assert (
        row
        + "<td>1.00 k</td><td>1.00 M</td><td>-</td><td class=l>#0: depth 1, plain skips, plain encoder, 8-16</td></tr>"
        in page
    )
    assert "<tr><td class=l>#1</td><td>0.6475</td><td>" in page
    assert "<td>0.8000</td><td>2.00 k</td><td>2.00 M</td>" in page, "beside what the search saw"
    found = confirmed(plan_of(*FINALISTS, groups=("all",) * 12), exact(GAINS))
    assert "<td>0.0625</td><td>-</td><td>-</td>" in check(render_page(replace(report, confirmed=found)))


def test_the_figures_show_the_numbers():
    found = confirmed(plan_of(*FINALISTS), noisy({1: 0.0, 2: 0.06, 3: 0.063, 4: 0.0}, 0.02))
    (depth,) = found.factors
    trace = profile_figure(found, depth).data[0]
    assert list(trace.x) == ["1", "2", "3"]
    assert list(trace.y) == [standing.loss for standing in depth.standings]
    ends = [loss + more for loss, more in zip(trace.y, trace.error_y.array, strict=True)]
    assert ends == pytest.approx([standing.upper for standing in depth.standings])
    matrix = matrix_figure(found, depth).data[0]
    gain = depth.gains[2][0]
    assert matrix.text[2][0] == f"{gain.estimate:+.4f}<br>{gain.low:+.4f} to {gain.high:+.4f}"
    front = confirmed_front_figure(found)
    assert {tuple(trace.y) for trace in front.data} == {
        (tested.record.final.dice, tested.mean.estimate) for tested in found.tested
    }
    assert {trace.name for trace in front.data} == {"#0", "#1", "#3", "unet"}
    bare = confirmed(plan_of(*FINALISTS, groups=("all",) * 12), exact(GAINS))
    assert list(profile_figure(bare, bare.factors[0]).data[0].error_y.array) == [0.0, 0.0, 0.0]
    assert matrix_figure(bare, bare.factors[0]).data[0].text[2][0] == "+0.0625"
