from pathlib import Path

import pytest
import torch

from unetsearch.training.checkpoint import CheckpointError, read_checkpoint, write_checkpoint

STATE = {
    "network": {"weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(7)},
    "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999)}]},
    "scores": [{"step": 10, "dice_by_class": [0.5]}],
    "step": 13,
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoints" / "a"


def test_what_was_written_is_read(path):
    write_checkpoint(path, "key", STATE)
    state = read_checkpoint(path, "key")
    assert torch.equal(state["network"]["weight"], STATE["network"]["weight"])
    assert state["optimizer"] == STATE["optimizer"]
    assert (state["scores"], state["step"]) == (STATE["scores"], 13)
    assert [file.name for file in path.parent.iterdir()] == ["a"]


def test_the_memory_layout_of_a_tensor_is_kept(path):
    tensor = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    write_checkpoint(path, "key", {"weight": tensor})
    assert read_checkpoint(path, "key")["weight"].is_contiguous(memory_format=torch.channels_last)


def test_a_missing_file_is_no_fault(path):
    with pytest.raises(FileNotFoundError):
        read_checkpoint(path, "key")


def test_a_checkpoint_of_another_training_is_refused(path):
    write_checkpoint(path, "key", STATE)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, "another key")
    assert str(caught.value) == f"{path} is a checkpoint of another training"


@pytest.mark.parametrize("length", [0, 5, 32, 100, -1])
def test_a_truncated_file_is_damaged(path, length):
    write_checkpoint(path, "key", STATE)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, "key")
    assert str(caught.value) == f"{path} is damaged"


def test_one_changed_bit_of_a_weight_is_found(path):
    """torch.load itself would give the changed weight."""
    write_checkpoint(path, "key", STATE)
    content = bytearray(path.read_bytes())
    place = content.index(torch.tensor([4.0, 5.0]).numpy().tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        read_checkpoint(path, "key")


def test_a_folder_in_its_place_is_named(path):
    path.mkdir(parents=True)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, "key")
    assert str(caught.value) == f"{path} cannot be read (Is a directory)"


def test_a_full_disk_leaves_the_checkpoint_before(path):
    resource = pytest.importorskip("resource", reason="this system does not bound the size of files")
    write_checkpoint(path, "key", STATE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_checkpoint(path, "key", STATE | {"step": 14})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_checkpoint(path, "key")["step"] == 13
    assert [file.name for file in path.parent.iterdir()] == ["a"]


def test_no_object_of_another_class_is_loaded(path):
    write_checkpoint(path, "key", {"surprise": Path("x")})
    with pytest.raises(CheckpointError, match="is not a checkpoint of this version"):
        read_checkpoint(path, "key")
