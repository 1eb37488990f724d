"""A report's files, each written beside and then renamed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from unetsearch.errors import WorkFailedError
from unetsearch.files import write_atomically
from unetsearch.report.answer import answer
from unetsearch.report.confirmation import Confirmation, confirmation
from unetsearch.report.page import render_page
from unetsearch.report.tables import confirmed_rows, factor_rows, front_rows, trial_rows
from unetsearch.report.views import ReportData
from unetsearch.search.confirmed import read_confirmed
from unetsearch.search.folder import StudyFolder
from unetsearch.search.preview import load_previews
from unetsearch.search.progress import progress_of
from unetsearch.search.records import front_of
from unetsearch.search.storage import Studies
from unetsearch.space.space import SearchSpace


def what_is_confirmed(studies: Studies) -> Confirmation | None:
    """What was confirmed of a study so far; None where nothing was."""
    confirmed = read_confirmed(studies)
    if confirmed is None:
        return None
    return confirmation(confirmed.plan, confirmed.runs, studies.records, confirmed.failures, confirmed.latency)


def leave_report(folder: StudyFolder, space: SearchSpace, facts: Mapping[str, Any], studies: Studies) -> Path:
    """Writes the report and the tables of a study's folder, and gives the page's path.

    Raises WorkFailedError where they cannot be written.
    """
    records = sorted(studies.records, key=lambda record: (record.baseline is None, record.number))
    shown = [record.name for record in records if record.baseline] + [
        record.name for record in front_of(records, space.objectives)
    ]
    data = ReportData(
        name=space.name,
        data_name=facts["data"],
        notes=tuple(facts["notes"]),
        classes=tuple(facts["classes"]),
        records=tuple(records),
        objectives=space.objectives,
        settings_yaml=folder.settings.read_text(encoding="utf-8"),
        previews=tuple(load_previews(folder, shown)),
        seconds=progress_of(space, records).seconds,
        versions=facts["versions"],
        confirmed=what_is_confirmed(studies),
        size=space.size,
    )
    try:
        return write_report(folder.path, data)
    except OSError as error:
        reason = error.strerror or error
        raise WorkFailedError(f"{folder.path}: the report cannot be written ({reason}); the trials are kept") from None


def write_report(folder: Path, report: ReportData) -> Path:
    """Writes `trials.csv`, `front.csv` and `report.html`, and gives the page's path.

    Of what is confirmed `confirmed.csv`, `factors.csv` and `verdict.txt`, the verdict in sentences.
    """
    write_atomically(folder / "trials.csv", _csv(trial_rows(report.records, report.classes)))
    write_atomically(folder / "front.csv", _csv(front_rows(report.records, report.objectives, report.classes)))
    if report.confirmed is None:
        for name in ("confirmed.csv", "factors.csv", "verdict.txt"):  # of an earlier plan
            (folder / name).unlink(missing_ok=True)
    else:
        write_atomically(folder / "confirmed.csv", _csv(confirmed_rows(report.confirmed)))
        write_atomically(folder / "factors.csv", _csv(factor_rows(report.confirmed)))
        lines = answer(report.confirmed, report.data_name)
        write_atomically(folder / "verdict.txt", "".join(f"{line}\n" for line in lines).encode())
    page = folder / "report.html"
    write_atomically(page, render_page(report).encode())
    return page


def _csv(rows: list[dict[str, Any]]) -> bytes:
    frame = pd.DataFrame(rows).convert_dtypes()  # whole numbers stay whole where some are missing
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text.encode()
