"""The answer of a confirmation in sentences that a person can quote."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

from unetsearch.report.confirmation import Confirmation, Factor
from unetsearch.report.confirmed_scores import Unlearnt
from unetsearch.report.words import SCORES, amount, duration, milliseconds, several, topology
from unetsearch.search.records import TrialRecord
from unetsearch.statistics.differences import Interval
from unetsearch.statistics.verdict import Label, Verdict

NOUNS = {
    "depth": ("depth", "depths"),
    "skip": ("the skip rule", "the skip rules"),
    "encoder": ("the encoder", "the encoders"),
}
"""What the labels of a factor are called, one and several of them."""


def answer(confirmed: Confirmation, data: str) -> tuple[str, ...]:
    """The verdict on `data`, the data set's name, first; then the network to take, and what else was found."""
    return tuple(_lines(confirmed, data))


def _lines(confirmed: Confirmation, data: str) -> Iterator[str]:
    depth = next((factor for factor in confirmed.factors if factor.name == "depth"), None)
    so_far = f"so far, with {several(confirmed.pending, 'training')} to come, " if confirmed.pending else ""
    if depth is None:
        yield f"{data}: {so_far}{_one_depth(confirmed)}; about depth nothing is said."
        yield from _network(confirmed, next(iter(confirmed.factors), None))
    for factor in confirmed.factors:
        first = f"{data}: {so_far}" if factor.name == "depth" else ""
        words = _turned(confirmed, factor) or _verdict(confirmed, factor)
        yield first + (words if first else _sentence(words)) + "."
        if factor.name == "depth":
            yield from _network(confirmed, factor)
            yield from (f"{_sentence(reason)}." for reason in _not_claimed(factor.verdict))
        if factor.needed:
            yield from _more(confirmed, factor)
    if confirmed.against:
        who = "what the search chose" if confirmed.plan.nested else "the recommended network"
        taken = confirmed.factors[0].recommended.baseline if confirmed.factors and not confirmed.plan.nested else None
        strongest = "strongest other baseline" if taken else "strongest baseline"
        yield (
            f"Over the {strongest} ({confirmed.against.baseline}) {who} gains "
            f"{_signed(confirmed.against.gain)} {SCORES[confirmed.score]}."
        )
    for budget, longer in confirmed.longer:
        if not confirmed.turned:
            yield f"With {budget:g} times the steps{_alike(depth, longer)}: {_verdict(confirmed, longer)}."
    told = {1.0, *(budget for budget, _ in confirmed.longer)}
    for budget in confirmed.plan.budgets:
        if budget not in told:
            yield f"With {budget:g} times the steps nothing is tested yet."
    if confirmed.left_out:
        yield f"Left out, since trainings of theirs failed: {', '.join(confirmed.left_out)}."
    yield from _unlearnt(confirmed.unlearnt)
    yield from _what(confirmed)


def _turned(confirmed: Confirmation, factor: Factor) -> str:
    """Where longer trainings turn the depth that is decided: undecided, with both answers. Else nothing."""
    if factor.name != "depth" or not confirmed.turned:
        return ""
    told = [f"with the search's steps, {_verdict(confirmed, factor)}"]
    told += [f"with {budget:g} times the steps, {_verdict(confirmed, longer)}" for budget, longer in confirmed.longer]
    among = _listed("depth", confirmed.turned)
    return f"undecided between {among}, it hangs on the length of the training: {'; '.join(told)}"


def _unlearnt(found: Sequence[Unlearnt]) -> Iterator[str]:
    """Of one that learns now and then, few trainings tell little; of one that never does, they tell enough."""
    steps = {each.budget: "" if each.budget == 1 else f"{each.budget:g} times the steps" for each in found}
    never = [
        f"{each.name} ({' with '.join(filter(None, (several(each.trainings, 'training'), steps[each.budget])))})"
        for each in found
        if each.nothing == each.trainings
    ]
    some = [
        f"{each.name} in {each.nothing} of {each.trainings}" + (f" ({own})" if (own := steps[each.budget]) else "")
        for each in found
        if each.nothing < each.trainings
    ]
    if never:
        yield f"Learnt nothing in any training: {', '.join(never)}."
    if some:
        yield f"Learnt nothing in some trainings, so that little is known of how good they are: {', '.join(some)}."


def _alike(factor: Factor | None, longer: Factor) -> str:
    if factor is None:
        return ""
    if (longer.verdict.decided, longer.verdict.possible) == (factor.verdict.decided, factor.verdict.possible):
        return " it is the same"
    return " it is not settled" if longer.verdict.decided is None else " it is settled"


def _verdict(confirmed: Confirmation, factor: Factor) -> str:
    return verdict_in_words(factor.verdict, factor.name, SCORES[confirmed.score])


def verdict_in_words(verdict: Verdict, factor: str, score: str) -> str:
    """A verdict as a sentence to quote; `factor`: one of NOUNS, `score`: as a person reads it."""
    if verdict.missing:
        compared, lost = (
            _listed(factor, labels) for labels in ([own.label for own in verdict.standings], verdict.missing)
        )
        only = verdict_in_words(replace(verdict, missing=()), factor, score)
        were = "was" if len(verdict.missing) == 1 else "were"
        return f"of {compared} alone ({lost} {were} not tested throughout): {only}"
    if verdict.decided is not None:
        bound = next(own.upper or 0.0 for own in verdict.standings if own.label == verdict.decided)
        gains = f"a better one gains at most {ceil(bound * 1e4) / 1e4:g} {score}" if bound else "no other one is better"
        return f"{_listed(factor, (verdict.decided,))} is enough: {gains} (95 %)"
    among = f"{'between' if len(verdict.possible) > 1 else 'on'} {_listed(factor, verdict.possible)}"
    return f"undecided {among}: {verdict.reasons[0]}"


def _listed(factor: str, labels: Sequence[Label]) -> str:
    """`depth 2`, `depths 1, 2 and 3`."""
    noun, plural = NOUNS[factor]
    *others, last = map(str, labels)
    return f"{plural} {', '.join(others)} and {last}" if others else f"{noun} {last}"


def _one_depth(confirmed: Confirmation) -> str:
    plan = confirmed.plan
    depths = {record.architecture.depth for fold in range(plan.folds) for record in plan.points_of(fold)}
    if len(depths) < 2:
        return "networks of one depth only were searched"
    return "no two depths could be tested in every part"


def _not_claimed(verdict: Verdict) -> tuple[str, ...]:
    """What the verdict itself does not tell of its reasons."""
    return verdict.reasons if verdict.decided is not None else verdict.reasons[1:]


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]


def _network(confirmed: Confirmation, factor: Factor | None) -> Iterator[str]:
    """The network to take, by the first factor that there is; else the one that the search puts first."""
    if factor is None:
        points = [each for each in confirmed.tested if each.record.baseline is None]
        for first in sorted(points, key=lambda each: -each.record.final.of(confirmed.score))[:1]:
            yield _take(confirmed, first.record, first.mean.estimate, "", decided=True) + "."
        return
    chosen = factor.recommended
    standing = next(each for each in factor.standings if each.record.hash == chosen.hash)
    decided = factor.verdict.decided is not None and not (factor.name == "depth" and confirmed.turned)
    of_label = f" of {_listed(factor.name, (standing.label,))}"
    line = _take(confirmed, chosen, standing.mean, of_label, decided=decided) + "."
    if chosen.state == "pruned":
        line += " The search ended its own training early: no weights of it are kept."
    best = max(factor.standings, key=lambda each: each.mean)
    if best.record.hash != chosen.hash:
        who = "What they chose of" if confirmed.plan.nested else "The best of"
        line += f" {who} {NOUNS[factor.name][0]} {best.label} has {best.mean:.4f}, "
        line += f"with {_beside(confirmed, best.record, chosen)}."
    yield line


def _take(confirmed: Confirmation, record: TrialRecord, mean: float, of_label: str, *, decided: bool) -> str:
    """Nested, the score is no network's own, but that of what each search chose, `of_label`."""
    all_the_same = "" if decided else ", all the same"
    costs = f"{amount(record.params)} parameters, {amount(record.macs)}MACs"
    if latency := confirmed.latency.get(record.hash):
        costs += f", {milliseconds(latency)} an image of 256x256"
    network = f"{topology(record.architecture)}; {costs}"
    whose = f"what the searches chose{of_label} has " if confirmed.plan.nested else ""
    return f"Take {record.name}{all_the_same} ({network}): {whose}{SCORES[confirmed.score]} {mean:.4f}"


def _beside(confirmed: Confirmation, record: TrialRecord, other: TrialRecord) -> str:
    """What a network costs, in times what another one does."""
    times = [f"{_times(record.params, other.params)} the parameters", f"{_times(record.macs, other.macs)} the MACs"]
    if (own := confirmed.latency.get(record.hash)) and (theirs := confirmed.latency.get(other.hash)):
        times.append(f"{_times(own, theirs)} the time")
    *most, last = times
    return f"{', '.join(most)} and {last}"


def _more(confirmed: Confirmation, factor: Factor) -> Iterator[str]:
    """What would probably settle it; nothing where nothing can be bounded, and so nothing be foretold."""
    assert factor.needed is not None
    ways = []
    if factor.needed.groups:
        of_groups = "" if confirmed.groups == confirmed.images else "groups of "
        ways.append(f"{factor.needed.groups} {of_groups}test images")
    if factor.needed.units:
        ways.append(f"{factor.needed.units} {factor.unit}s")
    name = NOUNS[factor.name][0].removeprefix("the ")
    if ways:
        yield f"{' or '.join(ways)} in all would probably settle the {name}, if what was found stays as it is."
    elif factor.standings[0].upper is not None:
        more = f"more test images nor more {factor.unit}s"
        yield f"Neither {more} alone would settle the {name}, if what was found stays as it is."


def _what(confirmed: Confirmation) -> Iterator[str]:
    plan = confirmed.plan
    images = several(confirmed.images, "image")
    if confirmed.groups < confirmed.images:
        images += f" of {several(confirmed.groups, 'group')}"
    if plan.nested:
        how = f"each of {images} once, by what a search chose that never saw its part"
    else:
        how = f"{images} that no search has seen"
    runs = f"{several(plan.folds, 'fold')} x {several(plan.seeds, 'seed')}"
    if confirmed.compared < plan.folds * plan.seeds:
        runs += f" ({confirmed.compared} of these {plan.folds * plan.seeds} tested every network, and are compared)"
    searches = ", the searches not counted" if plan.nested else ""
    spent = f"{confirmed.done} of {confirmed.of} trainings, {duration(confirmed.seconds)} of training{searches}"
    if plan.nested:
        yield "Parameters, MACs and times are of what the whole search chose; the folds may have tested other networks."
    yield f"Tested: {how}; {runs}, {spent}."


def _signed(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return f"{interval.estimate:+.4f} (no interval)"
    return f"{interval.estimate:+.4f} ({interval.low:+.4f} to {interval.high:+.4f}, 95 %)"


def _times(one: float, other: float) -> str:
    """`0.52 times`, `3.4 times`, `120 times`."""
    return f"{one / other:.{2 if one < other else 1 if one < 10 * other else 0}f} times"
