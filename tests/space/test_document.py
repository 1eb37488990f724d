"""The door of the YAML: what it accepts, and every sentence it says."""

from pathlib import Path

import pytest

from tests.space.refusals import problems
from unetsearch.errors import SpaceError
from unetsearch.space.document import load_space, parse_space, search_settings
from unetsearch.space.resolved import dump_space
from unetsearch.space.settings import Baseline, LimitSettings, SplitSettings
from unetsearch.space.values import Choice, Option, Range, fixed


def test_a_whole_study():
    space = parse_space(
        """
name: nuclei
data: {path: ../images, classes: {background: 0, nucleus: 255}, ignore: 7, split: {test: 0.1, groups: 'p(\\d+)'}}
architecture:
  depth: [1, 2]
  width: {low: 8, high: 32}
  skip:
    - plain
    - dense: {deep_supervision: [true, false]}
    - full_scale: {channels: 16}
training: {steps: 60, learning_rate: {low: 1e-3, high: 3e-2, log: true}, weight_decay: 1e-3}
objectives: [dice, macs]
limits: {params: 8M, macs: 1.5g}
baselines: [unet, {unet++: {width: 16, depth: 3}}]
search: {trials: 7, time: 1h30m}
""",
        "nuclei.yaml",
    )
    assert space.name == "nuclei"
    assert space.data.path == "../images"
    assert space.data.classes == {"background": 0, "nucleus": 255}
    assert space.data.split == SplitSettings(test=0.1, groups="p(\\d+)", by="groups")
    assert space.architecture["width"] == Range(8, 32, step=4, integer=True)
    assert space.architecture["depth"] == Choice((Option(1), Option(2)))
    supervision = Choice((Option(True), Option(False)))
    assert space.architecture["skip"] == Choice(
        (
            Option("plain", {"deep_supervision": fixed(False), "combine": fixed("final")}),
            Option("dense", {"deep_supervision": supervision, "combine": fixed("final")}),
            Option("full_scale", {"deep_supervision": fixed(False), "combine": fixed("final"), "channels": fixed(16)}),
        )
    )
    assert space.training == {"learning_rate": Range(1e-3, 3e-2, log=True)}
    assert (space.recipe.steps, space.recipe.weight_decay, space.recipe.learning_rate) == (60, 1e-3, 4e-3)
    assert space.objectives == ("dice", "macs")
    assert space.limits == LimitSettings(params=8_000_000, macs=1_500_000_000)
    assert space.baselines == (Baseline(name="unet"), Baseline(name="unet++", values={"width": 16, "depth": 3}))
    assert (space.search.trials, space.search.time) == (7, 5400)
    assert space.size is None


def test_every_problem_at_once_in_the_order_of_the_file():
    text = """name: a b
architecture:
  depth: [1, 2, 9]
  widht: 8
  skip: [plain, denze]
  norm: no
training:
  evaluations: 9999999
search: {trials: 0}
"""
    assert problems(text, ["training.crop=small"]) == [
        "x.yaml:1  name: expected letters, digits, dots, dashes and underscores, got 'a b'",
        "x.yaml:3  architecture.depth[2]: expected a whole number from 1 to 7, got 9",
        "x.yaml:4  architecture.widht: unknown key; expected one of depth, width, growth, encoder, decoder, norm, "
        "activation, down, up, dropout, guidance, skip; did you mean 'width'?",
        "x.yaml:5  architecture.skip[1]: expected one of plain, dense, full_scale, free, got 'denze'; "
        "did you mean 'dense'?",
        "x.yaml:6  architecture.norm: expected one of batch, group, none, got 'no'; did you mean 'none'?",
        "x.yaml:8  training.evaluations: expected a whole number from 1 to 1000, got 9999999",
        "x.yaml:9  search.trials: expected a whole number from 1 to 1,000,000,000, got 0",
        "--set training.crop=small  training.crop: expected a whole number from 8 to 4096, got 'small'",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.yaml  the file is empty; `unetsearch schema` tells what it may hold"),
        ("- a", "x.yaml:1  expected a mapping, got a list"),
        (
            "depth: 3",
            "x.yaml:1  depth: unknown key; expected one of name, data, architecture, training, objectives, limits, "
            "baselines, search; it belongs under architecture",
        ),
        ("architecture: {depth: 2.0}", "x.yaml:1  architecture.depth: expected a whole number from 1 to 7, got 2.0"),
        ("architecture: {depth: true}", "x.yaml:1  architecture.depth: expected a whole number from 1 to 7, got true"),
        ("architecture: {depth: '3'}", "x.yaml:1  architecture.depth: expected a whole number from 1 to 7, got '3'"),
        ("architecture: {width: 6}", "x.yaml:1  architecture.width: expected a multiple of 4 from 4 to 1024, got 6"),
        ("architecture: {norm: }", "x.yaml:1  architecture.norm: expected one of batch, group, none, got nothing"),
        ("architecture: {dropout: 1}", "x.yaml:1  architecture.dropout: expected a number from 0 below 1, got 1"),
        (
            "architecture: {depth: []}",
            "x.yaml:1  architecture.depth: expected at least one choice, a whole number from 1 to 7, got an empty list",
        ),
        ("architecture: {depth: [1, 1]}", "x.yaml:1  architecture.depth[1]: 1 is a choice already; name each once"),
        (
            "architecture: {skip: [{dense: {deep_supervision: off}}]}",
            "x.yaml:1  architecture.skip[0].dense.deep_supervision: expected true or false, got 'off'",
        ),
        (
            "architecture: {skip: {plain: {channels: 8}}}",
            "x.yaml:1  architecture.skip.plain.channels: unknown key; expected one of deep_supervision, combine",
        ),
        (
            "architecture: {encoder: {plain: {a: 1}}}",
            "x.yaml:1  architecture.encoder: expected one of plain, residual, mobile, efficient, or timm/ with the "
            "name of a backbone alone, got a mapping",
        ),
        (
            "architecture: {growth: {low: 2, high: 1}}",
            "x.yaml:1  architecture.growth: low must be below high, got 2 and 1",
        ),
        (
            "architecture: {growth: {low: 2}}",
            "x.yaml:1  architecture.growth: a range needs low and high; high is missing",
        ),
        (
            "architecture: {up: {low: 1, high: 2}}",
            "x.yaml:1  architecture.up: expected one of transposed, bilinear, bilinear_aligned, nearest, or a list of "
            "those; a range is for numbers",
        ),
        (
            "training: {weight_decay: {low: 0, high: 1, log: true}}",
            "x.yaml:1  training.weight_decay.low: a logarithmic range starts above 0, got 0",
        ),
        (
            "training: {weight_decay: {low: 1e-3, high: 1, log: true, step: 1e-3}}",
            "x.yaml:1  training.weight_decay.step: a logarithmic range takes no step; leave out one of the two",
        ),
        (
            "training: {steps: [100, 200]}",
            "x.yaml:1  training.steps: is never searched; expected a whole number from 1 to 1,000,000,000, got a list",
        ),
        ("training: {steps: 2}", "x.yaml:1  training.evaluations: expected at most training.steps (2), got 12"),
        (
            "architecture: {depth: [1, 6]}",
            "x.yaml:1  architecture.depth: depth 6 needs crops of at least 128 pixels, and training.crop is 96: "
            "take a depth of at most 5, or a larger crop",
        ),
        (
            "baselines: [unet]\ntraining: {crop: 16}\narchitecture: {depth: 2}",
            "x.yaml:1  baselines[0].unet: depth 4 needs crops of at least 32 pixels, and training.crop is 16: "
            "take a depth of at most 3, or a larger crop",
        ),
        (
            "baselines: [unet4]",
            "x.yaml:1  baselines[0]: expected one of unet, unet-2015, unet-lecture, unet++, unet++-lecture, unet3+, "
            "resunet, mobile-unet, eff-unet, got 'unet4'; did you mean 'unet'?",
        ),
        ("baselines: [unet, unet]", "x.yaml:1  baselines[1]: 'unet' is a baseline already; name each once"),
        (
            "baselines: [{unet: {channels: 8}}]",
            "x.yaml:1  baselines[0].unet.channels: only unet3+ has channels of an edge",
        ),
        (
            "objectives: [params]",
            "x.yaml:1  objectives: expected dice, iou or object_f1 among them, or the smallest network would win",
        ),
        ("objectives: [dice, dice]", "x.yaml:1  objectives: an objective is named twice; name each once"),
        ("limits: {params: 8X}", "x.yaml:1  limits.params: expected a number such as 500k or 8M, got '8X'"),
        ("search: {time: 3x}", "x.yaml:1  search.time: expected a time such as 90s, 30m or 2h, got '3x'"),
        (
            "search: {sampler: enumerate}\ntraining: {learning_rate: {low: 1e-3, high: 1}}",
            "x.yaml:1  search.sampler: enumerate needs a space without continuous ranges; give them a step",
        ),
        (
            "data: {split: {groups: '('}}",
            "x.yaml:1  data.split.groups: not a regular expression: missing ), unterminated subpattern at position 0",
        ),
        ("limits: {params: 0M}", "x.yaml:1  limits.params: expected a number such as 500k or 8M, got '0M'"),
        ("limits: {macs: 1e999}", "x.yaml:1  limits.macs: expected a number such as 900M or 20G, got inf"),
        ("search: {time: 0s}", "x.yaml:1  search.time: expected a time such as 90s, 30m or 2h, got '0s'"),
        (
            "search: {trials: " + "9" * 5000 + "}",
            f"x.yaml:1  search.trials: expected a whole number from 1 to 1,000,000,000, got '{'9' * 99}...",
        ),
        (
            "architecture: {depth: {low: 1, high: 5, step: 3}}",
            "x.yaml:1  architecture.depth: high is no step of the range: 4 or 7 would be, got 5",
        ),
        (
            "architecture: {growth: {low: 1, high: 2, step: 0.3}}",
            "x.yaml:1  architecture.growth: high is no step of the range: 1.9 or 2.2 would be, got 2",
        ),
        (
            "split: {by: random}",
            "x.yaml:1  split: unknown key; expected one of name, data, architecture, training, objectives, limits, "
            "baselines, search; it belongs under data",
        ),
        (
            "deep_supervision: true",
            "x.yaml:1  deep_supervision: unknown key; expected one of name, data, architecture, training, objectives, "
            "limits, baselines, search; it belongs under architecture.skip",
        ),
        (
            "data: {classes: [a, b]}",
            "x.yaml:1  data.classes: expected auto, or at least two names with their mask values, background first, "
            "got a list",
        ),
        (
            "data: {classes: {a: 1, b: 1}}",
            "x.yaml:1  data.classes: two names have the same mask value; give each its own",
        ),
    ],
)
def test_one_problem_one_sentence(text, message):
    assert problems(text) == [message]


def test_overrides_come_before_anything_is_checked():
    space = parse_space(
        "training: {steps: wrong, crop: 32}\narchitecture: {depth: 3}",
        "x",
        ["training.steps=20", "training.evaluations=2", "architecture.skip=[plain, dense]", "search.time=5m"],
    )
    assert (space.recipe.steps, space.recipe.evaluations, space.search.time, space.size) == (20, 2, 300, 2)
    assert problems("name: x", ["foo", "name.x=3"]) == [
        "--set foo  expected a.b=value, such as training.steps=300",
        "--set name.x=3  name.x is no place in the file: a value stands where a section should",
    ]
    assert problems("name: x", ["search.trials=["])[0].startswith("--set search.trials=[  not YAML")


def test_files(tmp_path):
    path = tmp_path / "my study.yaml"
    path.write_text("data: {path: images}\n", encoding="utf-8")
    space = load_space(path)
    assert space.name == "my-study"
    assert Path(space.data.path) == tmp_path / "images"
    path.write_text("search: {trials: 1}")
    assert load_space(path).data.path == "cells"
    path.write_bytes(b"name: \xff")
    with pytest.raises(SpaceError, match="not a text in UTF-8"):
        load_space(path)
    with pytest.raises(SpaceError) as caught:
        load_space(tmp_path)
    assert str(caught.value) == f"{tmp_path}: cannot be read (Is a directory)"


def test_the_deepest_level_has_channels_that_a_network_can_have():
    with pytest.raises(SpaceError) as caught:
        parse_space("architecture: {width: 32, growth: [1, 3.5], depth: 7}\ntraining: {crop: 256}", "x.yaml")
    assert str(caught.value) == (
        "x.yaml:1  architecture: width 32, growth 3.5 and depth 7 make 205,886 channels on the deepest level; "
        "at most 65,536 are possible: lower one of them"
    )


def test_averages_exclude_each_other():
    with pytest.raises(SpaceError, match=r"x:1  training.averaging: stands instead of training.reach: give one"):
        parse_space("training: {averaging: 0.9, reach: 0.1}", "x")
    varied = parse_space("training: {averaging: [0.5, 0.9]}", "x")
    assert parse_space(dump_space(varied), "again") == varied


def test_values_told_beside_the_file_go_through_the_same_door():
    assert search_settings({"trials": 3, "time": "1h30m", "seed": None}) == {"trials": 3, "time": 5400}
    with pytest.raises(SpaceError) as caught:
        search_settings({"trials": 0, "time": "0s", "seed": -1})
    assert str(caught.value) == (
        "trials: expected a whole number from 1 to 1,000,000,000, got 0\n"
        "time: expected a time such as 90s, 30m or 2h, got '0s'\n"
        "seed: expected a whole number from 0 to 2,147,483,648, got -1"
    )


def test_paths_start_at_the_file_or_at_the_working_folder_where_they_are_told_there(tmp_path, monkeypatch):
    (tmp_path / "spaces").mkdir()
    file = tmp_path / "spaces" / "x.yaml"
    file.write_text("data: {path: images}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert load_space(file).data.path == str(tmp_path / "spaces" / "images")
    assert load_space(file, ["data.path=images"]).data.path == str(tmp_path / "images")
    file.write_text("data: {path: ~/images}")
    assert load_space(file).data.path == str(tmp_path / "home" / "images")
