"""The table of the confirmed studies, from their own files, into README.md: `python studies/table.py`."""

import re
from pathlib import Path

import pandas as pd

from unetsearch.report.words import amount

STUDIES = Path(__file__).parent

BEGIN, END = "<!-- written by table.py -->\n", "<!-- to here -->\n"

BASELINES = {"unet": "U-Net of depth 4", "unet++": "U-Net++", "unet3+": "U-Net 3+"}


def table(folders: list[Path]) -> str:
    """A line for each study that has been confirmed: what was tested, the verdict, the network, the baselines."""
    head = ["study", "tested", "verdict", "network", "parameters", "Dice", *BASELINES.values()]
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *map(line, folders)]) + "\n"


def line(folder: Path) -> str:
    """Dices with their 95 % intervals, where they have one."""
    told = (folder / "verdict.txt").read_text(encoding="utf-8").splitlines()
    tested = pd.read_csv(folder / "confirmed.csv", dtype={"trial": str}).set_index("trial")
    verdict = told[0].split(": ", 1)[1].rstrip(".")
    images = next(line for line in told if line.startswith("Tested: ")).removeprefix("Tested: ").split(";")[0]
    found = next(re.match(r"Take #?([^ ,]+)", line) for line in told if line.startswith("Take "))
    assert found is not None
    # nested, what the searches chose is tested as one: the whole search's choice may be another than that of a depth
    taken = found[1] if found[1] in tested.index else next(name for name in tested.index if name not in BASELINES)
    row = tested.loc[taken]
    name = f"#{taken}" if taken.isdigit() else taken
    what = f"{name}: depth {row['depth']}, {row['skip']}, {row['encoder']}"
    rest = [f"{dice(tested.loc[name])} ({amount(tested.loc[name, 'params'])})" for name in BASELINES]
    cells = [f"[{folder.name}]({folder.name}/)", images, verdict, what, amount(row["params"]), dice(row), *rest]
    return f"| {' | '.join(cells)} |"


def dice(row: "pd.Series[float]") -> str:
    """`.861 (.852 to .870)`."""
    values = [f"{row[name]:.3f}".removeprefix("0") for name in ("dice", "low", "high") if pd.notna(row[name])]
    return values[0] if len(values) < 3 else f"{values[0]} ({values[1]} to {values[2]})"


def main() -> None:
    """Writes it."""
    page = STUDIES / "README.md"
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    confirmed = sorted(path.parent for path in STUDIES.glob("*/confirmed.csv"))
    page.write_text(before + BEGIN + table(confirmed) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
