"""Bad input: exit status 2, one clear message, no traceback, nothing changed on disk."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "architecture.dept=3",
            "--set architecture.dept=3  architecture.dept: unknown key; expected one of depth, width, growth, encoder, "
            "decoder, norm, activation, down, up, dropout, guidance, skip; did you mean 'depth'?",
        ),
        (
            "architecture.skip=denze",
            "--set architecture.skip=denze  architecture.skip: expected one of plain, dense, full_scale, free, got "
            "'denze'; did you mean 'dense'?",
        ),
        (
            "training.loss=[dice_ce, unet3+]",
            "--set training.loss=[dice_ce, unet3+]  training.loss: unet3+ needs a training.crop of at least 176 px "
            "(MS-SSIM: an 11 px window on the coarsest of 5 scales), got 16",
        ),
        (
            "training.loss=lovas",
            "--set training.loss=lovas  training.loss: expected one of dice_ce, cross_entropy, dice, focal, iou, "
            "tversky, lovasz, ms_ssim, unet++-2018, unet++, unet3+, got 'lovas'; did you mean 'lovasz'?",
        ),
        (
            "training.head_weights=one",
            "--set training.head_weights=one  training.head_weights: expected numbers, 0 or from a millionth to a "
            "million, the first above 0, such as 1 0.5, got 'one'",
        ),
        (
            "training.head_weights=0 1",
            "--set training.head_weights=0 1  training.head_weights: expected numbers, 0 or from a millionth to a "
            "million, the first above 0, such as 1 0.5, got '0 1'",
        ),
        (
            "training.class_weights=1 0",
            "--set training.class_weights=1 0  training.class_weights: expected equal, median_frequency, or a number "
            "for each class, 0 or from a millionth to a million, background first, not all others 0, got '1 0'",
        ),
        (
            "training.class_weights=0 1e-45",
            "--set training.class_weights=0 1e-45  training.class_weights: expected equal, median_frequency, or a "
            "number for each class, 0 or from a millionth to a million, background first, not all others 0, got "
            "'0 1e-45'",
        ),
        (
            "training.head_weights=[1, 0.5]",
            "--set training.head_weights=[1, 0.5]  training.head_weights: a list is of choices; the numbers of one "
            "are a text: '1 0.5'",
        ),
        (
            "training.class_weights=median_freq",
            "--set training.class_weights=median_freq  training.class_weights: expected equal, median_frequency, or a "
            "number for each class, 0 or from a millionth to a million, background first, not all others 0, got "
            "'median_freq'; did you mean 'median_frequency'?",
        ),
    ],
)
def test_a_wrong_key_and_a_wrong_value(here, call, setting, message):
    assert call("run", "tiny.yaml", "--data", "data", "--set", setting) == (2, "", f"unetsearch: {message}\n")
    assert not Path("studies").exists()


def spoil(kind):
    """Makes the data set wrong in one way."""
    if kind == "missing mask":
        Path("data/masks/3.png").unlink()
    elif kind == "another size":
        Image.fromarray(np.zeros((9, 9), np.uint8)).save("data/masks/3.png")
    elif kind == "unreadable":
        Path("data/images/3.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    elif kind == "empty folder":
        for path in Path("data").rglob("*.png"):
            path.unlink()
    elif kind == "anti-aliased":
        for path in Path("data/masks").iterdir():
            mask = Image.open(path)
            width, height = mask.size
            mask.resize((width // 2, height // 2), Image.Resampling.BILINEAR).resize(
                (width, height), Image.Resampling.BICUBIC
            ).save(path)


LAYOUT = (
    "A data folder holds images/ and masks/ with the same file names; or the same inside train/, val/ and test/; "
    "or x.png beside x_mask.png."
)
MESSAGES = {
    "missing mask": f"1 problem\nimages/3.png: has no mask\n{LAYOUT}",
    "another size": "1 problem\nmasks/3.png: 9x9, but its image is 23x24: export both at the same size",
    "unreadable": "1 problem\nimages/3.png: is damaged or cut off: copy or export it again",
    "empty folder": "2 problems\nimages/: no PNG, JPEG, TIFF or BMP files in it\n"
    f"masks/: no PNG, JPEG, TIFF or BMP files in it\n{LAYOUT}",
    "anti-aliased": "1 problem\n8 of 8 masks are smoothed (masks/1.png has 54 values, most of them along outlines): "
    "save masks as PNG without smoothing, or set `data: {threshold: 127}`",
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_data_that_cannot_be_trained_on(here, call, kind):
    spoil(kind)
    status, out, err = call("run", "tiny.yaml", "--data", "data")
    assert (status, out) == (2, "")
    assert err == f"unetsearch: data folder {here / 'data'}: {MESSAGES[kind]}\n"
    assert not Path("studies").exists()


def test_a_depth_too_deep_for_the_images(here, call):
    status, out, err = call(
        "run", "tiny.yaml", "--data", "data", "--set", "architecture.depth=4", "--set", "training.crop=32"
    )
    assert (status, out) == (2, "")
    assert err == (
        "unetsearch: depth 4 needs images of at least 32 px, but data has images of 20 px (0 is 20x24): "
        "take a depth of at most 3\n"
    )
    assert not Path("studies").exists()


@pytest.mark.parametrize("arguments", [["run", "nothing"], ["space", "nothing"]])
def test_no_such_space(here, call, arguments):
    assert call(*arguments) == (
        2,
        "",
        "unetsearch: nothing: no such file, and no space of that name; there are depth, encoders, free-skips, "
        "quickstart, unet-family\n",
    )


def test_limits_that_no_network_keeps(here, call):
    status, out, err = call("run", "tiny.yaml", "--data", "data", "--set", "limits.params=10")
    assert (status, out) == (2, "")
    assert err == (
        "unetsearch: limits: none of its points keeps them: the fewest parameters are 1,677, the fewest MACs "
        "56,623,104; raise the limits, or let width and depth be smaller\n"
    )
    assert not Path("studies").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--device", "gpu"],
            "unetsearch: --device gpu: no such device; expected auto, cpu, cuda, cuda:1 or mps\n",
        ),
        (
            ["--device", "meta"],
            "unetsearch: --device meta: not supported; expected auto, cpu, cuda, cuda:1 or mps\n",
        ),
        (["--time", "soon"], "unetsearch: time: expected a time such as 90s, 30m or 2h, got 'soon'\n"),
        (["--time", "0s"], "unetsearch: time: expected a time such as 90s, 30m or 2h, got '0s'\n"),
        (["--seed", "-1"], "unetsearch: seed: expected a whole number from 0 to 2,147,483,648, got -1\n"),
    ],
)
def test_wrong_options(here, call, arguments, message):
    assert call("run", "tiny.yaml", "--data", "data", *arguments) == (2, "", message)
    assert not Path("studies").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "architecture.encoder=timm/resnet81",
            "--set architecture.encoder=timm/resnet81  architecture.encoder: timm/resnet81: timm has no such model; "
            "did you mean 'resnet18' or ",
        ),
        (
            "architecture.encoder=timm/convnext_atto",
            "--set architecture.encoder=timm/convnext_atto  architecture.encoder: depth 1: timm/convnext_atto has "
            "stages of the levels 2 to 5, so take a depth of 2 to 5\n",
        ),
        (
            "architecture.encoder=timm/vit_tiny_patch16_224",
            "--set architecture.encoder=timm/vit_tiny_patch16_224  architecture.encoder: timm/vit_tiny_patch16_224: "
            "its stages reduce by 16, 16, 16, 16, 16, 16, ...; levels need reductions that double from 2 or from 4\n",
        ),
        (
            "architecture.guidance=true",
            "architecture.guidance: the classification-guided module learns which classes an image has, but every "
            "training image of data has foreground: add images without it, or set guidance: false\n",
        ),
        (
            "baselines=[{unet3+: {depth: 2, guidance: true}}]",
            "the baseline unet3+ of depth 2: the classification-guided module learns which classes an image has, but",
        ),
        (
            "baselines=[{unet-2015: {depth: 2}}]",
            "the baseline unet-2015 of depth 2 has unpadded convolutions and reads 20 px around each crop, mirrored at "
            "the image's border: it needs images of at least 21 px, but data has images of 20 px: take a depth of at "
            "most 1, or padded convolutions (the reference unet)\n",
        ),
        (
            "baselines=[{mobile-unet: {depth: 6}}]",
            "--set baselines=[{mobile-unet: {depth: 6}}]  baselines[0].mobile-unet: depth 6: timm/mobilenetv2_100 has",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_what_would(here, call, setting, message):
    crop = "training.crop=128"  # large enough for every depth here
    status, out, err = call("run", "tiny.yaml", "--data", "data", "--set", crop, "--set", setting)
    assert (status, out) == (2, "")
    assert err.startswith(f"unetsearch: {message}")
    assert not Path("studies").exists()


def test_pretrained_weights_are_looked_for_before_any_training(here, call, monkeypatch):
    def no_network(*_, **__):
        raise ConnectionError("no route to the host")

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", no_network)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(here / "cache"))
    setting = "architecture.encoder={timm/mobilenetv2_050: {pretrained: [true, false]}}"
    status, out, err = call("run", "tiny.yaml", "--data", "data", "--set", setting)
    assert (status, out) == (2, "")
    assert "timm/mobilenetv2_050: its pretrained weights" in err
    assert "or set pretrained: false" in err
    assert not Path("studies").exists()


def test_a_map_of_weights_that_changes_nothing(here, call):
    sets = ("--set", "training.weight_map=[true, false]", "--set")
    told = (
        "training.weight_map: it weighs pixels in cross-entropy and focal loss, and dice has neither; nor are objects "
    )
    assert call("run", "tiny.yaml", "--data", "data", *sets, "training.loss=dice") == (
        2,
        "",
        f"unetsearch: {told}numbered in data, to be told apart: take another loss, such as dice_ce, or leave it out\n",
    )
    assert call("run", "tiny.yaml", "--data", "data", *sets, "training.loss=[dice, lovasz]")[0] == 2
    assert not Path("studies").exists()
    baseline = ("--set", "training.weight_map=true", "--set", "baselines=[{unet: {depth: 1}}]", "--trials", "1")
    assert call("run", "tiny.yaml", "--data", "data", "--set", "training.loss=[dice, iou]", *baseline)[0] == 0, (
        "baselines are trained by dice_ce"
    )
    for images in Path("data/masks").iterdir():
        place = Path("data/instances", images.name)
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(images.read_bytes())
    assert (
        call("run", "tiny.yaml", "--data", "data", *sets, "training.loss=dice", "--trials", "1", "--out", "b")[0] == 0
    )


def test_weights_for_another_number_of_classes(here, call):
    for setting in ("1 2 3", "[equal, 1 2 3]"):
        status, out, told = call("run", "tiny.yaml", "--data", "data", "--set", f"training.class_weights={setting}")
        assert (status, out) == (2, "")
        assert told == (
            "unetsearch: training.class_weights: '1 2 3' are 3 numbers, but there are 2 classes "
            "(background, foreground): give one for each, background first\n"
        )
    assert not Path("studies").exists()
