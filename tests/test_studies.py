"""The committed studies: their tables say what their files hold."""

import sys
from pathlib import Path

import pytest

STUDIES = Path(__file__).parents[1] / "studies"


@pytest.fixture
def table(monkeypatch):
    if not STUDIES.is_dir():
        pytest.skip("the studies are not here: a checkout has them")
    monkeypatch.syspath_prepend(str(STUDIES))
    import table

    yield table
    sys.modules.pop("table", None)


def test_the_table_of_the_confirmed_studies_is_that_of_their_files(table):
    confirmed = sorted(path.parent for path in STUDIES.glob("*/confirmed.csv"))
    assert confirmed
    page = (STUDIES / "README.md").read_text()
    assert page.split(table.BEGIN)[1].split(table.END)[0] == table.table(confirmed)


def test_each_study_says_what_it_shows():
    for settings in STUDIES.glob("*/study.yaml"):
        assert (settings.parent / "README.md").is_file(), settings.parent
