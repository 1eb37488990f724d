"""Trials an hour of two slots with one thread each against one slot with one thread, side by side.

    python benchmarks/slots.py

The same network is trained again and again on the embedded cells, with another learning rate each time. Measured from
the first training's begin to the last one's end, so that starting processes does not count. Writes results/slots.md.
"""

import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from machine import description

import unetsearch
from unetsearch.search.events import Event, Finished, Started

RESULT = Path(__file__).parent / "results" / "slots.md"

SPACE = """
name: slots
architecture: {depth: 3, width: 8}
training: {steps: 60, evaluations: 3, crop: 64, learning_rate: {low: 1e-3, high: 1e-2, log: true}}
search: {sampler: random, pruner: none}
"""

TRIALS = 8
REPEATS = 5


def main() -> None:
    torch.set_num_threads(2)
    pairs = []
    for repeat in range(REPEATS):
        order = (1, 2) if repeat % 2 else (2, 1)
        rates = {slots: trials_an_hour(slots) for slots in order}
        pairs.append((rates[1], rates[2]))
        print(
            f"one slot {rates[1]:.0f}, two slots {rates[2]:.0f} trials an hour: {rates[2] / rates[1]:.2f}", flush=True
        )
    ones, twos = zip(*pairs, strict=True)
    ratios = sorted(two / one for one, two in pairs)
    lines = [
        "# Two slots against one",
        "",
        description(),
        "",
        *(line for line in (__doc__ or "").splitlines()[4:6]),
        "",
        "| slots | threads each | trials an hour (median) |",
        "|---|---|---|",
        f"| 1 | 1 | {median(ones):.0f} |",
        f"| 2 | 1 | {median(twos):.0f} |",
        "",
        f"Ratio: {median(ratios):.2f} (median of {REPEATS} pairs; {ratios[0]:.2f} to {ratios[-1]:.2f}).",
    ]
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def trials_an_hour(slots: int) -> float:
    """One study of TRIALS trainings."""
    torch.set_num_threads(slots)  # one thread a slot
    times: list[float] = []

    def happened(event: Event) -> None:
        if (isinstance(event, Started) and not times) or isinstance(event, Finished):
            times.append(perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        space = Path(folder) / "space.yaml"
        space.write_text(SPACE, encoding="utf-8")
        unetsearch.run(space, out=Path(folder) / "study", trials=TRIALS, device="cpu", slots=slots, happened=happened)
    return TRIALS / (times[-1] - times[0]) * 3600


if __name__ == "__main__":
    main()
