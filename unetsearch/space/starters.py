"""The search spaces that come with unetsearch."""

from pathlib import Path

from unetsearch.errors import SpaceError, did_you_mean

_PACKAGE = Path(__file__).parents[1]
FOLDERS = (_PACKAGE / "search_spaces", _PACKAGE.parent / "search_spaces")
"""Where a wheel puts them, and where they lie in a checkout."""


def starters() -> dict[str, Path]:
    """The shipped spaces by their names."""
    folder = next((folder for folder in FOLDERS if folder.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def find_space(name: str) -> Path:
    """A file, or the shipped space of that name. Raises SpaceError where neither is there."""
    path = Path(name)
    try:
        if path.is_file():
            return path
    except OSError as error:
        raise SpaceError([f"{name}: cannot be read ({error.strerror or error})"]) from None
    shipped = starters()
    if name.removesuffix(".yaml") in shipped:
        return shipped[name.removesuffix(".yaml")]
    hint = did_you_mean(path.stem, shipped)
    raise SpaceError([f"{name}: no such file, and no space of that name; there are {', '.join(shipped)}{hint}"])
