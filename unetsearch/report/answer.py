"""The answer of a confirmation in sentences that a person can quote."""

from collections.abc import Iterator

from unetsearch.report.confirmation import Confirmation, Factor
from unetsearch.report.words import SCORES, amount, duration, topology
from unetsearch.statistics.differences import Interval
from unetsearch.statistics.verdict import in_words

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
    for factor in confirmed.factors:
        first = f"{data}: " if factor.name == "depth" else ""
        words = _flipped(confirmed, factor) or in_words(factor.verdict, *NOUNS[factor.name])
        yield first + (words if first else words[0].upper() + words[1:]) + "."
        if factor.name == "depth":
            yield from _network(confirmed, factor)
        if factor.needed and (more := _more(confirmed, factor)):
            yield more
    if not any(factor.name == "depth" for factor in confirmed.factors):
        yield f"{data}: networks of one depth only were searched; about depth nothing is said."
    if confirmed.against:
        word = SCORES[confirmed.score]
        yield (
            f"Over the strongest baseline ({confirmed.against.baseline}) the recommended network gains "
            f"{_signed(confirmed.against.gain)} {word}."
        )
    for budget, longer in confirmed.longer:
        if longer.verdict.decided == confirmed.factors[0].verdict.decided:
            yield f"With {budget:g} times the steps it is the same: {in_words(longer.verdict, *NOUNS['depth'])}."
    if confirmed.left_out:
        yield f"Left out, since their trainings failed: {', '.join(confirmed.left_out)}."
    yield from _what(confirmed)


def _flipped(confirmed: Confirmation, factor: Factor) -> str:
    """Where longer trainings say otherwise: undecided, with both answers. Else nothing."""
    others = [(budget, longer.verdict) for budget, longer in confirmed.longer] if factor.name == "depth" else []
    if all(found.decided == factor.verdict.decided for _, found in others):
        return ""
    possible = sorted({*factor.verdict.possible, *(label for _, found in others for label in found.possible)}, key=int)
    told = [f"with the search's steps, {in_words(factor.verdict, *NOUNS['depth'])}"]
    told += [f"with {budget:g} times the steps, {in_words(found, *NOUNS['depth'])}" for budget, found in others]
    *most, last = map(str, possible)
    among = f"between depths {', '.join(most)} and {last}" if most else f"on depth {last}"
    return f"undecided {among}, it hangs on the length of the training: {'; '.join(told)}"


def _network(confirmed: Confirmation, factor: Factor) -> Iterator[str]:
    chosen, word = factor.recommended, SCORES[confirmed.score]
    standing = next(each for each in factor.standings if each.record.hash == chosen.hash)
    all_the_same = "" if factor.verdict.decided is not None else ", all the same"
    line = (
        f"Take {chosen.name}{all_the_same} ({topology(chosen.architecture)}; {amount(chosen.params)} parameters, "
        f"{amount(chosen.macs)}MACs): {word} {standing.mean:.4f}."
    )
    best = max(factor.standings, key=lambda each: each.mean)
    if best.record.hash != chosen.hash:
        line += (
            f" The best of depth {best.label} has {best.mean:.4f}, with {_times(best.record.params, chosen.params)} "
            f"the parameters and {_times(best.record.macs, chosen.macs)} the MACs."
        )
    yield line


def _more(confirmed: Confirmation, factor: Factor) -> str:
    """What would probably settle it."""
    assert factor.needed is not None
    ways = []
    if factor.needed.groups:
        of_groups = "" if confirmed.groups == confirmed.images else "groups of "
        ways.append(f"{factor.needed.groups} {of_groups}test images")
    if factor.needed.units:
        ways.append(f"{factor.needed.units} folds")
    if not ways:
        return ""
    return f"{' or '.join(ways)} in all would probably settle it, if what was found stays as it is."


def _what(confirmed: Confirmation) -> Iterator[str]:
    plan = confirmed.plan
    groups = (
        "" if confirmed.groups == confirmed.images else f" of {confirmed.groups} group{'s' * (confirmed.groups > 1)}"
    )
    if plan.nested:
        how = f"each of {confirmed.images} images{groups} once, by what a search chose that never saw its part"
    else:
        how = f"{confirmed.images} images{groups} that no search has seen"
    yield (
        f"Tested: {how}; {plan.folds} folds x {plan.seeds} seeds, {confirmed.done} of {confirmed.of} trainings, "
        f"{duration(confirmed.seconds)} of training."
    )


def _signed(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return f"{interval.estimate:+.4f} (no interval)"
    return f"{interval.estimate:+.4f} ({interval.low:+.4f} to {interval.high:+.4f}, 95 %)"


def _times(one: int, other: int) -> str:
    return f"{one / other:.2g} times"
