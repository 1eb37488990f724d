"""The figure of search_efficiency.py: steps until each method's front has a share of the best hypervolume.

    python benchmarks/efficiency_figure.py

Reads results/search_efficiency.csv, writes results/search_efficiency.png. Needs the `figures` extra and a Chromium.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from plotly.subplots import make_subplots

RESULTS = Path(__file__).parent / "results"

SHARES = (0.9, 0.95, 0.99)

COLOURS = {"without pruning": "#9aa5b1", "with pruning": "#0b6bcb", "other loops": "#d97706"}


def main() -> None:
    rows = pd.read_csv(RESULTS / "search_efficiency.csv")
    rows = rows[rows["stretched"] == 0]
    sets = list(rows["set"].unique())
    titles = [f"{name}, to {share:.0%}" for name in sets for share in SHARES]
    figure = make_subplots(
        len(sets), len(SHARES), subplot_titles=titles, shared_yaxes=True, horizontal_spacing=0.02, vertical_spacing=0.12
    )
    for place, name in enumerate(sets):
        for column, share in enumerate(SHARES):
            for kind, colour in COLOURS.items():
                here = rows[(rows["set"] == name) & (rows["method"].map(kind_of) == kind)]
                steps = here.groupby("method", sort=False)[f"steps_to_{share}"]
                middle, low, high = (steps.quantile(q, interpolation="nearest") / 240 for q in (0.5, 0.25, 0.75))
                reached = np.isfinite(middle)
                figure.add_bar(
                    y=[method.removesuffix(", none").removesuffix(", pareto") for method in middle.index],
                    x=middle.where(reached),
                    error_x={
                        "array": (high - middle).where(np.isfinite(high), 0),
                        "arrayminus": middle - low,
                        "thickness": 1,
                    },
                    orientation="h",
                    marker_color=colour,
                    name=kind,
                    showlegend=not place and not column,
                    row=place + 1,
                    col=column + 1,
                )
    figure.update_layout(
        barmode="group",
        template="simple_white",
        legend={"orientation": "h", "y": -0.06},
        margin={"l": 160, "r": 20, "t": 90, "b": 20},
        title="Full trainings until the found front has this share of the best hypervolume "
        "(median, quartiles; no bar: most repeats never came there)",
        title_font_size=14,
    )
    figure.update_yaxes(autorange="reversed")
    figure.write_image(RESULTS / "search_efficiency.png", width=1300, height=850)


def kind_of(method: str) -> str:
    """Whether a method is one of ours without or with pruning, or another loop."""
    return {"none": "without pruning", "pareto": "with pruning"}.get(method.rpartition(", ")[2], "other loops")


if __name__ == "__main__":
    main()
