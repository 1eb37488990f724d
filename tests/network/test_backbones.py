import pytest
import torch
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from unetsearch.api import reference
from unetsearch.errors import ArchitectureError
from unetsearch.graph.build import build_graph
from unetsearch.graph.references import EFFICIENTNET_B0, MOBILENET_V2
from unetsearch.network.backbones import find_backbone
from unetsearch.network.cost import cost
from unetsearch.network.network import build_network
from unetsearch.network.pretrained import pretrained_file


def test_the_published_encoders_are_what_the_library_says():
    find_backbone.cache_clear()
    with torch.inference_mode():  # it is looked up in the middle of anything
        find_backbone("timm/mobilenetv2_100")
    for backbone in (MOBILENET_V2, EFFICIENTNET_B0):
        assert find_backbone(f"timm/{backbone.name}") == backbone


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet81", "timm/resnet81: timm has no such model; did you mean 'resnet18' or "),
        ("vgg16", "timm/vgg16: its stages reduce by 1, 2, 4, 8, 16, 32; levels need reductions that double from 2 or"),
        ("vit_tiny_patch16_224", "timm/vit_tiny_patch16_224: its stages reduce by 16, 16, 16"),
        (
            "swin_tiny_patch4_window7_224",
            "timm/swin_tiny_patch4_window7_224: does not take images of every size, such as 64x96 (Input height (96) "
            "doesn't match model (224).)",
        ),
        ("pvt_v2_b0", "timm/pvt_v2_b0: does not take images of every size, such as 4x4 ("),
        ("hardcorenas_a", "timm/hardcorenas_a: gives no features level by level ("),
        ("resnet18.foo", "timm/resnet18.foo: timm has no weights of that name; it has resnet18.a1_in1k, "),
        ("hrnet_w18_small", "timm/hrnet_w18_small: 39 of its parameters do nothing when it is cut at reduction 4"),
        ("inception_v3", "timm/inception_v3: its features of a 64x96 image are not the image's size divided by 2"),
        ("dla34", "timm/dla34: its stages reduce by 1, 2, 4, 8, 16, 32"),
    ],
)
def test_what_is_no_encoder_is_refused_with_the_reason(name, message):
    with pytest.raises(ArchitectureError) as caught:
        find_backbone(f"timm/{name}")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "depth", "message"),
    [
        ("resnet18", 6, "depth 6: timm/resnet18 has stages of the levels 1 to 5, so take a depth of 1 to 5"),
        ("convnext_atto", 1, "depth 1: timm/convnext_atto has stages of the levels 2 to 5, so take a depth of 2 to 5"),
    ],
)
def test_depths_beyond_its_stages(name, depth, message):
    with pytest.raises(ArchitectureError) as caught:
        reference("unet", encoder=f"timm/{name}", depth=depth)
    assert str(caught.value) == message


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_any_number_of_input_channels(channels):
    network = build_network(build_graph(reference("mobile-unet", in_channels=channels, depth=3))).eval()
    with torch.no_grad():
        assert network(torch.randn(1, channels, 37, 50)).shape == (1, 1, 37, 50)


def test_a_stem_of_plain_blocks_or_none():
    with_stem, without = (
        build_graph(reference("unet", encoder="timm/convnext_atto", stem=stem, depth=3, width=8))
        for stem in ("plain", "none")
    )
    assert [node.name for node in with_stem.nodes] == [
        *(f"X[{level},0]" for level in range(4)),
        *("X[2,1]", "X[1,2]", "X[0,3]"),
    ]
    assert [node.name for node in without.nodes] == ["X[2,0]", "X[3,0]", "X[2,1]", "X[1,2]", "X[0,3]"]
    sources = {node.name: [edge.source for edge in node.inputs] for node in without.nodes}
    assert sources["X[2,1]"] == ["X[2,0]", "X[3,0]"]
    assert (sources["X[1,2]"], sources["X[0,3]"]) == (["X[2,1]"], ["X[1,2]"])


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of weights, and no network to fill it from."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def no_network(*_, **__):
        raise ConnectionError("no route to the host")

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", no_network)
    return tmp_path


def remember(cache, name, weights):
    """Puts weights where the library's download would have put them."""
    import timm

    repository = timm.get_pretrained_cfg(name).hf_hub_id
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    save_file(weights, folder / "snapshots" / "abc" / "model.safetensors")


@pytest.mark.parametrize("channels", [3, 1])
def test_pretrained_weights_come_from_the_librarys_cache(cache, channels):
    import timm

    torch.manual_seed(5)
    source = timm.create_model("mobilenetv2_050")
    remember(cache, "mobilenetv2_050", source.state_dict())
    torch.manual_seed(6)
    values = {"in_channels": channels, "depth": 3, "encoder": "timm/mobilenetv2_050"}
    loaded = build_network(build_graph(reference("mobile-unet", pretrained=True, **values)))
    drawn = build_network(build_graph(reference("mobile-unet", **values)))
    deep = "backbone.model.model.blocks.1.0.conv_pw.weight"
    assert torch.equal(loaded.state_dict()[deep], source.state_dict()["blocks.1.0.conv_pw.weight"])
    assert not torch.equal(drawn.state_dict()[deep], loaded.state_dict()[deep])
    first = loaded.state_dict()["backbone.model.model.conv_stem.weight"]
    expected = source.state_dict()["conv_stem.weight"]
    torch.testing.assert_close(first, expected if channels == 3 else expected.sum(1, keepdim=True))


def test_pretrained_is_another_network_than_drawn():
    one, other = (build_graph(reference("mobile-unet", pretrained=flag)).hash for flag in (True, False))
    assert one != other


def test_without_network_and_cache_the_message_says_what_to_do(cache):
    with pytest.raises(ArchitectureError) as caught:
        build_network(build_graph(reference("mobile-unet", pretrained=True)))
    text = str(caught.value)
    assert text.startswith(
        "timm/mobilenetv2_100: its pretrained weights (timm/mobilenetv2_100.ra_in1k) are not on this machine and "
        "cannot be fetched now (no route to the host)."
    )
    assert "timm.create_model('mobilenetv2_100', pretrained=True)" in text
    assert text.endswith("or set pretrained: false")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("efficientnet_b6", "timm/efficientnet_b6: timm has no pretrained weights; set pretrained: false"),
        ("legacy_seresnet18", "timm/legacy_seresnet18: timm has weights only at http"),
    ],
)
def test_a_backbone_without_pretrained_weights(name, message):
    with pytest.raises(ArchitectureError) as caught:
        pretrained_file(name)
    assert str(caught.value).startswith(message)


def test_damaged_weights_are_told_before_any_training(cache):
    remember(cache, "mobilenetv2_050", {"a": torch.zeros(1)})
    file = next(cache.rglob("model.safetensors"))
    file.write_bytes(b"half a file")
    with pytest.raises(ArchitectureError, match=r"model\.safetensors is damaged \(.*\): remove it, to fetch it again"):
        pretrained_file("mobilenetv2_050")


def test_a_tag_makes_no_other_network_unless_its_weights_are_loaded():
    one, other = (build_graph(reference("unet", encoder=f"timm/{n}")) for n in ("resnet18", "resnet18.a1_in1k"))
    assert one.hash == other.hash
    values = {"encoder": "timm/resnet18.a1_in1k", "pretrained": True}
    assert build_graph(reference("unet", **values)).stages[0].backbone.name == "resnet18.a1_in1k"


def test_what_backbones_execute_is_counted_whatever_their_layers_are():
    """This one draws the kernels of its convolutions for each image: none of its layers is an ordinary convolution."""
    graph = build_graph(reference("unet", width=8, depth=4, in_channels=3, encoder="timm/tf_efficientnet_cc_b0_4e"))
    network = build_network(graph).eval()
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        network(torch.randn(1, 3, 64, 48))
    assert cost(graph, (64, 48)).macs == flops.get_total_flops() // 2


def test_what_does_not_fit_a_backbone_or_a_family():
    for values, message in (
        ({"pretrained": True}, "pretrained: only a timm/ backbone has weights to start from"),
        ({"pretrained": "yes"}, "pretrained: expected true or false, got 'yes'"),
        (
            {"encoder": "timm/rexnet_100", "norm": "group", "decoder": "residual"},
            "timm/rexnet_100: norm group with residual decoders needs stages of multiples of 4 channels, and it",
        ),
        (
            {"encoder": "timm/resnet18", "dropout": 0.5, "dropout_at": "contraction"},
            "dropout_at contraction: a timm/ backbone has no place for it",
        ),
    ):
        with pytest.raises(ArchitectureError) as caught:
            reference("unet", **values)
        assert str(caught.value).startswith(message)
    assert reference("mobile-unet", encoder="mobile").stem == "plain"
