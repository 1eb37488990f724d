import io
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from rich.console import Console

from unetsearch import cli
from unetsearch.describe import find_architecture, print_architecture, read_size
from unetsearch.errors import UnetsearchError
from unetsearch.graph.references import REFERENCES, about, reference


def shown(name, width=80, **options):
    out = io.StringIO()
    print_architecture(Console(file=out, width=width), name, **options)
    return out.getvalue()


def row(text, node):
    """A node's row of the table, cell by cell."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"│ {node} ")]
    return [cell.strip() for cell in line.strip("│").split("│")]


@pytest.mark.parametrize("name", REFERENCES)
def test_every_published_network_is_shown_with_its_paper(name):
    text = shown(name)
    assert max(map(len, text.splitlines())) <= 80
    first, rest = about(name).split("\n\n", 1)
    words = " ".join(text.split())
    assert " ".join(first.split()) in words
    assert " ".join(rest.split()) in words
    for node in find_architecture(name).channels:
        assert str(node) in text


def test_a_unet_with_its_nodes():
    text = shown("unet", width=120)
    assert "depth 4, plain skips, plain encoder, 64-128-256-512-1024" in text
    assert row(text, "X[4,0]") == ["X[4,0]", "1024 x 16 x 16", "plain x2", "14.2 M", "3.62 G", "140 px", "X[3,0]"]
    assert row(text, "X[0,4]")[-2:] == ["204 px", "X[0,0], X[1,3]"]
    assert row(text, "total") == ["total", "", "", "31,036,481", "48.1 G", "", "1 head"]


def test_the_2015_unet_has_the_sizes_of_its_paper():
    text = shown("unet-2015")
    sizes = {node: row(text, node)[1] for node in ("X[0,0]", "X[4,0]", "X[0,4]")}
    assert sizes == {"X[0,0]": "64 x 568 x 568", "X[4,0]": "1024 x 28 x 28", "X[0,4]": "64 x 388 x 388"}
    assert row(shown("unet-2015", size=(188, 204)), "X[0,4]")[1] == "64 x 4 x 20"


def test_another_image_and_a_backbone_at_odd_sizes():
    assert row(shown("unet", size=(128, 200)), "X[3,0]")[1] == "512 x 16 x 25"
    text = shown("mobile-unet", size=(100, 70))
    assert row(text, "X[5,0]") == ["X[5,0]", "320 x 4 x 3", "stage 5", "1.27 M", "17.0 M", "491 px", "X[4,0]"]
    assert row(text, "X[0,5]")[1] == "16 x 128 x 96", "padded to a multiple of 32"


def test_what_reads_the_whole_image_and_what_is_not_known(monkeypatch):
    assert row(shown("eff-unet"), "X[1,0]")[5] == "all"

    def unmeasured(name, stages):
        from unetsearch.errors import ArchitectureError

        raise ArchitectureError("cannot be measured")

    monkeypatch.setattr("unetsearch.report.notes.stage_extents", unmeasured)
    assert row(shown("eff-unet"), "X[1,0]")[5] == "?"


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("unet", (8, 256), "images of 8 px are too small for this network of depth 4: it needs 16 px"),
        ("unet-2015", (256, 100), "images of 100 px are too small for this network of depth 4: it needs 188 px"),
    ],
)
def test_an_image_that_is_too_small(tmp_path, name, size, message):
    with pytest.raises(UnetsearchError, match=message):
        shown(name, size=size, svg=tmp_path / "unet.svg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("text", "size"), [("572", (572, 572)), ("320x480", (320, 480)), ("64X32", (64, 32))])
def test_sizes(text, size):
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "256x", "1x2x3", "-5", "large", "256.5", "100000"])
def test_sizes_that_are_none(text):
    with pytest.raises(UnetsearchError) as caught:
        read_size(text)
    assert str(caught.value) == (
        f"--size {text}: expected the pixels of a side, such as 256, or HEIGHTxWIDTH, such as 320x480, "
        "each from 1 to 65,536"
    )


def test_a_picture_and_a_page(tmp_path):
    svg, html = tmp_path / "net.svg", tmp_path / "net.html"
    text = shown("unet3+", svg=svg, html=html, width=200)
    assert f"drawing: {svg}\npage: {html}\n" in text
    assert svg.read_text(encoding="utf-8").startswith("<svg")
    page = html.read_text(encoding="utf-8")
    assert svg.read_text(encoding="utf-8") in page
    assert "26,970,625 parameters, 198 G MACs of a 256x256 image" in page
    assert "arXiv 2004.08790" in page
    with pytest.raises(UnetsearchError, match="cannot be written"):
        shown("unet", html=tmp_path)


def test_a_file_of_an_architecture(tmp_path):
    path = tmp_path / "net [1].yaml"
    path.write_text(yaml.safe_dump(reference("unet++", width=8, depth=2).to_dict()))
    html = tmp_path / "net.html"
    text = shown(str(path), html=html)
    assert "depth 2, dense skips (deep supervision), plain encoder, 8-16-32" in text
    assert "arXiv" not in text
    assert "net [1].yaml</h1>" in html.read_text(encoding="utf-8")


def test_kinds_of_edges_are_coloured_in_a_terminal():
    out = io.StringIO()
    print_architecture(Console(file=out, width=80, force_terminal=True, color_system="standard"), "unet3+")
    level = next(line for line in out.getvalue().splitlines() if line.startswith("1  "))
    assert "\x1b[90m..." in level
    assert "v1\x1b[0m\x1b[34m^2\x1b[0m" in level
    assert "\x1b" not in shown("unet3+")


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["unetsearch", "show", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, *capsys.readouterr()

    status, out, _ = call("unet", "--size", "64x96", "--html", "unet.html", "--svg", "unet.svg")
    assert status == 0
    assert "1024 x 4 x 6" in out
    assert {path.name for path in Path().iterdir()} == {"unet.html", "unet.svg"}
    assert call("unet", "--size", "ten")[::2] == (
        2,
        "unetsearch: --size ten: expected the pixels of a side, such as 256, or HEIGHTxWIDTH, such as 320x480, each "
        "from 1 to 65,536\n",
    )


def test_what_augmentation_does_is_drawn(here, call):
    status, out, told = call("show", "--augmentation", "data", "--out", "shown.png")
    assert (status, told) == (0, "")
    assert out == "shown.png: crops of data by `training: {augmentation: ...}` of 0, 0.25, 0.5, 1\n"
    picture = np.asarray(Image.open("shown.png"))
    assert picture.shape == (18 + 4 * 100, 8 * 100 - 4, 3)
    columns = [picture[18:, start : start + 96] for start in range(0, 800, 100)]
    assert len({column.tobytes() for column in columns}) == 8
    assert all((column == (53, 183, 121)).all(-1).any() for column in columns), "outlines of the masks"
