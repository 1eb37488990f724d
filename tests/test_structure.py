"""The structure as a test: who may import whom, and what is public."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import unetsearch

PACKAGE = Path(unetsearch.__file__).parent

EARLIER = {
    "errors": set(),
    "files": set(),
    "interruption": {"errors"},
    "native": {"errors", "files"},
    "space": {"errors"},
    "graph": {"errors", "space"},
    "network": {"errors", "space", "graph"},
    "data": {"errors", "space"},
    "training": {"errors", "space", "graph", "network", "data"},
    "statistics": set(),
    "search": {"errors", "space", "graph", "network", "data", "training", "statistics"},
    "report": {"errors", "space", "graph", "network", "data", "training", "statistics", "search"},
    "api": {"errors", "space", "graph", "network", "data", "training", "statistics", "search", "report"},
}
for later in ("network", "data", "training", "search", "report", "api"):
    EARLIER[later] |= {"files"}
for later in ("network", "training"):
    EARLIER[later] |= {"native"}
EARLIER |= {"confirmation": {*EARLIER["api"], "api"}, "progress_confirm": EARLIER["api"]}
EARLIER |= {"augmented": EARLIER["api"], "progress": {*EARLIER["api"], "api"}}
EARLIER |= {"one_shot": EARLIER["api"]}
EARLIER |= {"describe": {*EARLIER["api"], "api", "augmented", "one_shot"}}
EARLIER |= {
    "cli": {*EARLIER["describe"], "describe", "interruption", "progress", "confirmation", "progress_confirm"},
    "__main__": {"cli"},
    "__init__": {*EARLIER["api"], "api", "confirmation"},
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The unetsearch modules that a file imports, as dotted names without the first."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "unetsearch":
            rest = node.module.split(".")[1:]
            found |= {".".join(rest)} if rest else {alias.name for alias in node.names if alias.name != "__version__"}
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("unetsearch.") for a in node.names if a.name.startswith("unetsearch.")}
    return found


def stage(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_from_later_stages_to_earlier_ones(path):
    own = stage(path)
    allowed = EARLIER[own] | {own}
    assert {module.split(".")[0] for module in imports(path)} <= allowed


def test_no_module_imports_itself_by_a_detour():
    def name(path: Path) -> str:
        return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")

    graph = {name(path): imports(path) for path in MODULES if name(path) != "__init__"}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way, module))
        if module not in done:
            for other in graph.get(module, ()):
                visit(other, (*way, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_two_things(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 320


def test_space_graph_and_report_know_no_torch():
    for path in MODULES:
        if stage(path) in ("space", "graph", "report", "statistics"):
            text = path.read_text(encoding="utf-8")
            assert "import torch" not in text, path
            assert "from torch" not in text, path


def loaded_by(code: str) -> set[str]:
    out = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(out.stdout.split())


def test_importing_unetsearch_loads_nothing_heavy():
    heavy = {"torch", "optuna", "pandas", "plotly", "numpy", "pydantic"}
    assert not heavy & loaded_by("import unetsearch")
    assert not heavy & loaded_by("import unetsearch.cli")


def test_the_public_names():
    assert unetsearch.__all__ == [
        "UnetsearchError",
        "build_graph",
        "build_network",
        "carry_weights",
        "confirm",
        "cost",
        "front",
        "load_model",
        "load_space",
        "prune",
        "reference",
        "run",
        "save_model",
    ]
    for name in unetsearch.__all__:
        assert callable(getattr(unetsearch, name))
        assert getattr(unetsearch, name).__doc__
    with pytest.raises(AttributeError, match="module 'unetsearch' has no attribute 'nothing'"):
        _ = unetsearch.nothing


def test_every_module_says_what_it_is():
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert not text or ast.get_docstring(ast.parse(text)), path
