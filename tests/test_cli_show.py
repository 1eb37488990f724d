"""What cannot be shown: exit status 2, one clear message, nothing left on disk."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def test_a_drawing_that_cannot_be_written_leaves_nothing(here, call):
    Path("folder").mkdir()
    status, _, err = call("show", "unet", "--svg", "folder")
    assert (status, err) == (2, "unetsearch: folder: cannot be written (Is a directory)\n")
    assert sorted(path.name for path in here.iterdir()) == ["data", "folder", "tiny.yaml"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "unetsearch: net.yaml: not an architecture, but list\n"),
        ("channels: [4, 8]", "unetsearch: net.yaml: in_channels: is missing\n"),
        (
            "{in_channels: 1, out_channels: 1, channels: [4, 8.5]}",
            "unetsearch: net.yaml: channels of level 1: expected a whole number from 1 to 65,536, got 8.5\n",
        ),
        (
            "{in_channels: 1, out_channels: 1, channels: [4, 8], encodr: plain}",
            "unetsearch: net.yaml: encodr: unknown key; expected one of in_channels, out_channels, channels, encoder, "
            "decoder, stem, skip, deep_supervision, combine, guidance, norm, activation, down, up, padding, dropout, "
            "dropout_at, bias, decoder_channels; did you mean 'encoder'?\n",
        ),
        (
            "{in_channels: 1, out_channels: 1, channels: [4, 8], deep_supervision: maybe}",
            "unetsearch: net.yaml: deep_supervision: expected true or false, got 'maybe'\n",
        ),
        (
            "architecture: {depth: 2}",
            "unetsearch: net.yaml: a search space, not an architecture; `unetsearch space` describes it\n",
        ),
        ("a: [", "unetsearch: net.yaml: cannot be read as YAML"),
    ],
)
def test_an_architecture_that_is_none(here, call, text, message):
    Path("net.yaml").write_text(text)
    status, _, err = call("show", "net.yaml")
    assert status == 2
    assert err.startswith(message)
    status, _, err = call("show", "unet9")
    assert (status, err) == (
        2,
        "unetsearch: 'unet9' is no reference (unet, unet-2015, unet-lecture, unet++, unet++-lecture, unet3+, resunet, "
        "mobile-unet, eff-unet), no STUDY#TRIAL and no file of an architecture\n",
    )


def test_what_augmentation_cannot_be_shown_of(here, call):
    assert call("show") == (
        2,
        "",
        "unetsearch: show: name an architecture (unet, STUDY#TRIAL, a YAML), or give --augmentation DATA\n",
    )
    assert call("show", "unet", "--augmentation", "data", "--svg", "a.svg") == (
        2,
        "",
        "unetsearch: show: --augmentation draws images and no network: leave out ARCH and --svg\n",
    )
    assert call("show", "unet", "--out", "a.png", "--set", "data.threshold=9") == (
        2,
        "",
        "unetsearch: show: --out and --set are for --augmentation; --svg FILE draws a network\n",
    )
    for setting in ("architecture.depth=3", "data.path=cells", "data={}"):
        assert call("show", "--augmentation", "data", "--out", "a.png", "--set", setting) == (
            2,
            "",
            f"unetsearch: --set {setting}: with --augmentation, data.* but data.path, and training.crop count\n",
        )
    assert not list(here.glob("a.*"))
    status, _, told = call("show", "--augmentation", "nowhere")
    assert status == 2
    assert "there is no such folder" in told
    status, _, told = call("show", "--augmentation", "data", "--out", "nowhere/a.png")
    assert (status, told) == (2, "unetsearch: --out nowhere/a.png: cannot be written (No such file or directory)\n")
    status, _, told = call("show", "--augmentation", "data", "--out", "a.html")
    assert (status, told) == (2, "unetsearch: --out a.html: the picture is a PNG; name a file that ends in .png\n")


def test_augmentation_is_shown_of_images_that_are_read_as_told(here, call):
    for path in (here / "data" / "masks").iterdir():
        with Image.open(path) as image:
            mask = np.asarray(image)
        smooth = 3 * np.arange(mask.size).reshape(mask.shape) % 90
        Image.fromarray(np.where(mask > 0, 200, smooth).astype(np.uint8)).save(path)
    status, _, told = call("show", "--augmentation", "data")
    assert status == 2
    assert "`data: {threshold: 100}`" in told
    status, out, told = call(
        "show", "--augmentation", "data", "--set", "data.threshold=100", "--set", "training.crop=8"
    )
    assert (status, told) == (0, "")
    assert out.startswith("augmentation.png: crops of data")
    with Image.open("augmentation.png") as picture:
        assert picture.width == 8 * (8 + 4) - 4
