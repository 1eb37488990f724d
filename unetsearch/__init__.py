"""unetsearch: neural architecture search over U-Net topologies.

The public names are loaded on first use, so that importing the package (or asking for `--help`) loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unetsearch.api import front, load_space, reference, run
    from unetsearch.confirmation import confirm
    from unetsearch.errors import UnetsearchError
    from unetsearch.graph.build import build_graph, prune
    from unetsearch.network.cost import cost
    from unetsearch.network.files import load_model, save_model
    from unetsearch.network.network import build_network, carry_weights

__version__ = "0.1.0"

_HOME = {
    "UnetsearchError": "unetsearch.errors",
    "build_graph": "unetsearch.graph.build",
    "build_network": "unetsearch.network.network",
    "carry_weights": "unetsearch.network.network",
    "confirm": "unetsearch.confirmation",
    "cost": "unetsearch.network.cost",
    "front": "unetsearch.api",
    "load_model": "unetsearch.network.files",
    "load_space": "unetsearch.api",
    "prune": "unetsearch.graph.build",
    "reference": "unetsearch.api",
    "run": "unetsearch.api",
    "save_model": "unetsearch.network.files",
}

__all__ = [
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


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'unetsearch' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
