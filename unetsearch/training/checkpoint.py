"""The state of a training in a file, so that it goes on where it was interrupted."""

import pickle
from collections.abc import Callable, Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unetsearch.files import write_atomically

State = dict[str, Any]
"""What a training gives its pulse: tensors, numbers, text, in dictionaries and lists."""

Pulse = Callable[[int, Callable[[], State]], None]
"""Called after each step with its number and a function that gives the state there."""

DIGEST = sha256().digest_size


class CheckpointError(Exception):
    """A checkpoint cannot be gone on from; the message says why."""


def write_checkpoint(path: Path, key: str, state: State) -> None:
    """Writes the state, whole or not at all. Raises OSError where it cannot be written.

    `key`: says which training it is; a checkpoint is read by the same key only.
    """
    buffer = BytesIO()
    torch.save({"key": key, "state": state}, buffer)
    content = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, sha256(content).digest() + content)  # torch itself finds no change of a tensor's bytes


def read_checkpoint(path: Path, key: str) -> State:
    """The state that `write_checkpoint` wrote, on the processor.

    Raises CheckpointError where the file cannot be read, is damaged or is that of another training, FileNotFoundError
    where there is none.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error})") from None
    if sha256(content[DIGEST:]).digest() != content[:DIGEST]:
        raise CheckpointError(f"{path} is damaged")
    try:
        document = torch.load(BytesIO(content[DIGEST:]), map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError):  # whole, but of a torch that writes otherwise
        raise CheckpointError(f"{path} is not a checkpoint of this version") from None
    if document["key"] != key:
        raise CheckpointError(f"{path} is a checkpoint of another training")
    state: State = document["state"]
    return state


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Where the generators are that dropout draws from: the processor's and the device's."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(device: torch.device, state: Mapping[str, Tensor]) -> None:
    """Puts them back there. A state of another kind of device says nothing about this one's."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"])
