"""A trained network in a folder: its architecture as YAML, its weights as safetensors."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import yaml
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from unetsearch.errors import ArchitectureError, UnetsearchError
from unetsearch.files import write_atomically
from unetsearch.graph.build import build_graph
from unetsearch.network.backbones import find_backbone
from unetsearch.network.network import Network, build_network
from unetsearch.space.architecture import Architecture
from unetsearch.space.backbone import Backbone

ARCHITECTURE = "architecture.yaml"
WEIGHTS = "weights.safetensors"


def save_model(network: nn.Module, architecture: Architecture, folder: str | Path) -> None:
    """Writes `architecture.yaml` and `weights.safetensors` into the folder, which is made where it is missing."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    write_atomically(path / ARCHITECTURE, yaml.safe_dump(architecture.to_dict(), sort_keys=False).encode())
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(path / WEIGHTS, save(weights))


def load_model(folder: str | Path) -> tuple[Architecture, Network]:
    """The architecture and its network with the weights that `save_model` wrote, in evaluation mode, on the processor.

    Raises UnetsearchError where a file is missing, damaged, or does not belong to the other.
    """
    path = Path(folder)
    architecture = read_architecture(path / ARCHITECTURE)
    network = build_network(build_graph(_unpretrained(architecture)))
    weights = _weights(path / WEIGHTS)
    own = {name: tensor.shape for name, tensor in network.state_dict().items()}
    if {name: tensor.shape for name, tensor in weights.items()} != own:
        raise UnetsearchError(f"{path}: {WEIGHTS} does not hold the weights of {ARCHITECTURE}")
    network.load_state_dict(dict(weights))
    return architecture, network.eval()


def read_architecture(path: Path) -> Architecture:
    """The architecture of a YAML or JSON file. Raises UnetsearchError where it is none."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UnetsearchError(f"{path}: cannot be read as YAML ({error})") from None
    if not isinstance(document, dict):
        raise ArchitectureError(f"{path}: not an architecture, but {type(document).__name__}")
    try:
        architecture = Architecture.from_dict(document)
        _check_backbone(architecture)
        return architecture
    except ArchitectureError as error:
        raise ArchitectureError(f"{path}: {error}") from None


def _check_backbone(architecture: Architecture) -> None:
    """Raises ArchitectureError where the file tells another backbone than the library has by that name."""
    told = architecture.encoder
    if isinstance(told, Backbone) and replace(find_backbone(told.name), pretrained=told.pretrained) != told:
        raise ArchitectureError(f"{architecture.encoder_name}: reductions or channels are not those of that backbone")


def _unpretrained(architecture: Architecture) -> Architecture:
    """The same network without a look for pretrained weights: trained ones are at hand."""
    if not isinstance(architecture.encoder, Backbone):
        return architecture
    return replace(architecture, encoder=replace(architecture.encoder, pretrained=False))


def _weights(path: Path) -> Mapping[str, Tensor]:
    try:
        return load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise UnetsearchError(f"{path}: cannot be read as weights ({error})") from None
