"""Whether search and confirmation find a depth that sees enough: rings, of which only the middle is to be found.

    python benchmarks/rings.py [--seeds 5 6 ...]

Each foreground pixel of the embedded set `rings` lies at least 11 px from what tells it. A plain U-Net of depth 1 sees
9 px in every direction and cannot know it; one of depth 2 sees 22 px, the whole ring. For each seed (of the search and
of the split of the images) a space of depth 1 to 3 and two widths is searched and confirmed, test images apart. Writes
results/rings.md.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from machine import description

import unetsearch
from unetsearch.confirmation import confirm
from unetsearch.data.rings import NEEDED
from unetsearch.graph.build import build_graph
from unetsearch.graph.receptive import receptive_fields
from unetsearch.report.confirmation import Factor

SEEDS = (5, 6, 7, 8, 9)
"""On 0 to 4 the length of the trainings was chosen."""

RESULTS = Path(__file__).parent / "results"

SPACE = """
name: rings
data: {path: rings, split: {seed: SEED}}
architecture: {depth: [1, 2, 3], width: [4, 8]}
training: {steps: 600, evaluations: 4, crop: 64, learning_rate: 1e-2}
search: {trials: 6, seed: SEED}
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    given = parser.parse_args()
    rows = []
    for seed in given.seeds:
        rows.append(row(seed, verdict(seed)))
        print(rows[-1], flush=True)
    sees = ", ".join(f"{depth}: {radius(depth)} px" for depth in (1, 2, 3))
    lines = [
        "# A receptive field that is needed",
        "",
        description(),
        "",
        *(__doc__ or "").splitlines()[4:9],
        "",
        f"Needed: {NEEDED} px to the nearest part of the ring. Plain U-Nets of depth see in every direction: {sees}.",
        "",
        "| seed | verdict | Dice of depth 1 | 2 | 3 | depth 1 loses at least | it suffices, depth 1 rejected |",
        "|---" * 7 + "|",
        *rows,
    ]
    (RESULTS / "rings.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def verdict(seed: int) -> Factor:
    """Searched and confirmed."""
    with TemporaryDirectory() as folder:
        space = Path(folder) / "rings.yaml"
        space.write_text(SPACE.replace("SEED", str(seed)), encoding="utf-8")
        unetsearch.run(space, out=Path(folder) / "study", slots=2)
        found = confirm(Path(folder) / "study", folds=5, seeds=1, nested=False, slots=2)
    assert found.confirmed is not None
    return found.confirmed.factors[0]


def row(seed: int, factor: Factor) -> str:
    """A line of the table."""
    decided = factor.verdict.decided
    words = f"depth {decided}" if decided is not None else f"undecided: {', '.join(map(str, factor.verdict.possible))}"
    standings = {standing.label: standing for standing in factor.standings}
    dices = [f"{standings[depth].mean:.3f}" if depth in standings else "-" for depth in (1, 2, 3)]
    lower = standings[1].lower if 1 in standings else None
    right = decided is not None and radius(int(decided)) >= NEEDED and bool(lower)
    return f"| {seed} | {words} | {' | '.join(dices)} | {lower or 0:.3f} | {'yes' if right else 'no'} |"


def radius(depth: int) -> int:
    """Pixels that the output of a plain U-Net sees in every direction."""
    graph = build_graph(unetsearch.reference("unet", width=4, depth=depth))
    return int(receptive_fields(graph)[graph.heads[-1].node] or 0) // 2


if __name__ == "__main__":
    main()
