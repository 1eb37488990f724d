"""A report's files, each written beside and then renamed."""

from pathlib import Path
from typing import Any

import pandas as pd

from unetsearch.files import write_atomically
from unetsearch.report.page import render_page
from unetsearch.report.tables import front_rows, trial_rows
from unetsearch.report.views import ReportData


def write_report(folder: Path, report: ReportData) -> Path:
    """Writes `trials.csv`, `front.csv` and `report.html`, and gives the page's path."""
    write_atomically(folder / "trials.csv", _csv(trial_rows(report.records, report.classes)))
    write_atomically(folder / "front.csv", _csv(front_rows(report.records, report.objectives, report.classes)))
    page = folder / "report.html"
    write_atomically(page, render_page(report).encode())
    return page


def _csv(rows: list[dict[str, Any]]) -> bytes:
    frame = pd.DataFrame(rows).convert_dtypes()  # whole numbers stay whole where some are missing
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text.encode()
