import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from unetsearch.api import reference
from unetsearch.errors import UnetsearchError
from unetsearch.graph.build import build_graph
from unetsearch.graph.references import REFERENCES
from unetsearch.network.files import load_model, save_model
from unetsearch.network.network import build_network
from unetsearch.search.candidate import Candidate
from unetsearch.search.records import TrialRecord
from unetsearch.space.architecture import Architecture
from unetsearch.space.document import load_space
from unetsearch.space.space import make_architecture

GOLDEN = Path(__file__).parents[1] / "golden"
"""Files as version 0.1.0 wrote them, before encoders, free skips and guidance: every later version reads them."""


def test_an_old_model_gives_its_old_logits():
    architecture, network = load_model(GOLDEN / "model")
    assert architecture == reference("unet", width=4, depth=1)
    assert not network.training
    with torch.no_grad():
        row = network(torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8))[0, 0, 3]
    expected = [-0.0062047, -0.0771725, -0.1184432, -0.0870600, -0.0734490, -0.0165707, -0.1023478, -0.0647746]
    torch.testing.assert_close(row, torch.tensor(expected), rtol=0, atol=1e-5)


def test_old_records_are_read_and_their_networks_keep_their_hashes():
    documents = json.loads((GOLDEN / "records.json").read_text())
    for document in documents:
        record = TrialRecord.from_dict(document)
        assert Candidate.of(record.architecture, record.recipe).hash == record.hash == document["hash"]
        assert len(record.curve) == 2


def test_an_old_study_is_the_same_space():
    space = load_space(GOLDEN / "study.yaml")
    assert (space.name, space.max_depth, space.search.trials, space.size) == ("golden", 1, 1, None)
    assert len({space.sample(seed).architecture for seed in range(200)}) == 2 * 2 * (1 + 2 * 2)


@pytest.mark.parametrize(
    ("name", "values", "digest"),
    [
        ("unet", {}, "843881a044117f9f"),
        ("unet++", {"norm": None}, "963dbfc7648e1ee9"),
        ("unet3+", {"width": 4, "depth": 2, "deep_supervision": True}, "f26805342363516b"),
        ("unet++", {"width": 4, "depth": 2, "encoder": "residual"}, "b1df1ea5ebce9045"),
    ],
)
def test_hashes_do_not_change_between_versions(name, values, digest):
    assert build_graph(reference(name, **values)).hash == digest


FREE = make_architecture(
    {"depth": 2, "width": 4, "skip": "free", "sources": (((0, 2), ((0, 0), (1, 1), (2, 0))),)},
    in_channels=1,
    out_channels=2,
)
SAVED = {
    name: reference(name, in_channels=2, width=4, depth=2, guidance=name != "unet-2015") for name in REFERENCES
} | {"free": FREE}


@pytest.mark.parametrize("architecture", SAVED.values(), ids=SAVED)
def test_models_come_back_through_yaml_and_safetensors(architecture, tmp_path):
    network = build_network(build_graph(architecture)).eval()
    save_model(network, architecture, tmp_path / "deeper" / "model")
    again, loaded = load_model(tmp_path / "deeper" / "model")
    assert again == architecture
    assert Architecture.from_dict(json.loads(json.dumps(architecture.to_dict()))) == architecture
    x = torch.randn(1, architecture.in_channels, 60, 60)
    with torch.no_grad():
        assert torch.equal(loaded(x), network(x))
    assert {path.name for path in (tmp_path / "deeper" / "model").iterdir()} == {
        "architecture.yaml",
        "weights.safetensors",
    }


def test_the_file_names_nodes_as_the_papers_do():
    assert yaml.safe_load(yaml.safe_dump(FREE.to_dict()))["skip"] == {
        "rule": "free",
        "channels": None,
        "sources": {"X[1,1]": ["X[2,0]"], "X[0,2]": ["X[0,0]", "X[2,0]", "X[1,1]"]},
    }


def test_damaged_and_foreign_files(tmp_path):
    with pytest.raises(UnetsearchError, match=r"architecture\.yaml: cannot be read as YAML"):
        load_model(tmp_path)
    architecture = reference("unet", width=4, depth=1)
    save_model(build_network(build_graph(architecture)), architecture, tmp_path)
    save_file({"a": torch.zeros(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(UnetsearchError, match=r"does not hold the weights of architecture\.yaml"):
        load_model(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(UnetsearchError, match=r"weights\.safetensors: cannot be read as weights"):
        load_model(tmp_path)
    (tmp_path / "architecture.yaml").write_text("[1]")
    with pytest.raises(UnetsearchError, match="not an architecture, but list"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "nope"}, "timm/nope: timm has no such model"),
        ({"channels": [1, 2, 3, 4, 5]}, "timm/mobilenetv2_100: reductions or channels are not those of that backbone"),
    ],
)
def test_a_file_with_another_backbone_than_the_library_has(tmp_path, values, message):
    architecture = reference("mobile-unet", depth=2)
    save_model(build_network(build_graph(architecture)), architecture, tmp_path)
    document = yaml.safe_load((tmp_path / "architecture.yaml").read_text())
    document["encoder"] |= values
    (tmp_path / "architecture.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(UnetsearchError, match=message):
        load_model(tmp_path)
