import numpy as np
import pytest
from scipy import ndimage

from unetsearch.data.choose import Chosen, Members, choose_split
from unetsearch.space.settings import SplitSettings

AUTO = SplitSettings()


def members(*stems: str, images=None, digests=None, roles=None, groups=None) -> Members:
    rng = np.random.default_rng(0)
    return Members(
        stems=stems,
        names=[f"images/{stem}.png" for stem in stems],
        images=images or [rng.normal(size=(1, 40, 40)) for _ in stems],
        digests=digests or [None] * len(stems),
        roles=roles or [None] * len(stems),
        groups=groups,
    )


def chosen(given: Members, settings=AUTO) -> Chosen:
    found = choose_split(given, settings)
    assert isinstance(found, Chosen), found
    parts = (found.split.train, found.split.validation, found.split.test)
    assert sorted(index for part in parts for index in part) == list(range(len(given.stems)))
    for group in set(found.groups):
        assert sum(any(found.groups[index] == group for index in part) for part in parts) == 1
    return found


def numbered(count: int) -> list[str]:
    return [f"{index:02}" for index in range(count)]


def folders(**counts: int) -> Members:
    stems = [f"{name}/{index}" for name, count in counts.items() for index in range(count)]
    roles = {"train": "train", "val": "validation", "test": "test"}
    return members(*stems, roles=[roles[stem.split("/")[0]] for stem in stems])


def test_unrelated_images_are_split_at_random():
    found = chosen(members(*numbered(25)))
    assert found.split.by == "random"
    assert [len(part) for part in (found.split.train, found.split.validation, found.split.test)] == [16, 4, 5]
    assert found.groups == tuple(numbered(25))
    assert found.notes[0].startswith(
        "split at random with seed 0 (neighbouring images are no more alike than others: correlation "
    )
    assert found.notes[0].endswith(
        "): 16 training, 4 validation and 5 test images; another way: `data: {split: {by: ...}}`, "
        "or --set data.split.by=..."
    )


def test_a_stack_is_split_in_blocks():
    volume = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(25, 64, 64)), (1, 2, 2))
    found = chosen(members(*numbered(25), images=list(volume[:, None])))
    assert found.split.by == "blocks"
    assert found.split.test == (20, 21, 22, 23, 24)
    assert found.split.validation == (16, 17, 18, 19)
    assert found.notes[0].startswith(
        "split in blocks of neighbouring names (neighbouring images look alike: correlation"
    )
    assert chosen(members(*numbered(25), images=list(volume[:, None])), SplitSettings(by="random")).split.by == "random"


def test_left_and_right_stay_together():
    found = chosen(members(*(f"{index:02}{side}" for index in range(8) for side in "LR")))
    assert found.split.by == "groups"
    assert found.notes == (
        "split by groups (the file names tell a left and a right image of each subject): "
        "10 training, 2 validation and 4 test images; another way: `data: {split: {by: ...}}`, "
        "or --set data.split.by=...",
    )
    assert "split at random" in chosen(members("1L", "1R", "2L", "2R", "3L"), SplitSettings(by="random")).notes[0]


@pytest.mark.parametrize("by", ["auto", "groups", "random", "blocks"])
def test_groups_by_a_pattern(by):
    stems = [f"p{index // 3}_{index}" for index in range(30)]
    found = chosen(members(*stems), SplitSettings(by=by, groups=r"^p\d+"))
    assert found.groups == tuple(f"p{index // 3}" for index in range(30))
    assert found.split.by == ("groups" if by == "auto" else by)
    assert (
        "(10 groups by `data: {split: {groups: '^p\\d+'}}`): 18 training, 6 validation and 6 test images"
        in found.notes[0]
    )


def test_groups_given_with_the_data():
    groups = [str(index // 4) for index in range(20)]
    found = chosen(members(*numbered(20), groups=groups))
    assert found.groups == tuple(groups)
    assert found.notes[0].startswith(
        "split by groups (given with the data): 12 training, 4 validation and 4 test images"
    )


def test_given_folders_are_kept():
    found = chosen(folders(train=5, val=2, test=3))
    assert found.split.by == "folders"
    assert found.split.train == (0, 1, 2, 3, 4)
    assert found.split.validation == (5, 6)
    assert found.split.test == (7, 8, 9)
    assert found.notes == (
        "split by folders: 5 training, 2 validation and 3 test images; another way: `data: {split: {by: ...}}`, "
        "or --set data.split.by=...",
    )
    assert chosen(folders(train=5, val=2, test=3), SplitSettings(by="random")).split.by == "random"


def test_a_folder_that_is_not_there_is_cut_from_train():
    without_validation = chosen(folders(train=20, test=3), SplitSettings(by="folders", seed=5))
    assert without_validation.split.test == (20, 21, 22)
    assert len(without_validation.split.validation) == 4
    assert without_validation.split.by == "folders and random"
    assert without_validation.notes[0].startswith(
        "split by folders, the parts without a folder at random with seed 5 ("
    )
    assert without_validation.notes[0].endswith("): 16 training, 4 validation and 3 test images")
    without_test = chosen(folders(train=20, val=3))
    assert without_test.split.validation == (20, 21, 22)
    assert len(without_test.split.test) == 4
    neither = chosen(folders(train=25))
    assert [len(part) for part in (neither.split.train, neither.split.validation, neither.split.test)] == [16, 4, 5]
    assert chosen(folders(train=20, val=3), SplitSettings(test=0)).split.test == ()


def test_equal_images_stay_on_one_side():
    stems = numbered(30)
    for seed in range(5):
        digests = [b"same" if index in (3, 17, 28) else None for index in range(30)]
        found = chosen(members(*stems, digests=digests), SplitSettings(seed=seed))
        assert {found.groups[index] for index in (3, 17, 28)} == {"03"}
        assert found.notes[-1] == (
            "3 images are not unique, e.g. 03 and 17: the same ones are kept on one side of the split"
        )
    digests = [b"same" if index in (3, 17) else None for index in range(30)]
    assert chosen(members(*stems, digests=digests)).notes[-1] == (
        "03 and 17 are the same image: kept on one side of the split"
    )


def test_few_images_and_few_groups_are_noted():
    assert chosen(members(*numbered(4))).notes[1] == "only 4 images: scores on so few say little"
    groups = ["a", "b", "c"] * 4
    assert chosen(members(*numbered(12), groups=groups)).notes[1] == "only 3 groups: scores on so few say little"
    assert chosen(members(*numbered(5))).notes[1] == ("4 folds instead of 5: there are no more groups beside the test")


@pytest.mark.parametrize(
    ("given", "settings", "problem"),
    [
        (members("a", "b"), SplitSettings(folds=1), "data.split.folds: 1 leaves nothing to train on: take at least 2"),
        (members("a", "b"), SplitSettings(test=1.5), "data.split.test: 1.5 is not a share from 0 up to 1, e.g. 0.2"),
        (
            members("a", "b"),
            SplitSettings(by="folders"),
            "data.split.by: folders, but there is no train/ folder: choose another way, or auto",
        ),
        (
            members(*numbered(9)),
            SplitSettings(by="groups"),
            "data.split.by: groups, but nothing says which images belong together: set e.g. "
            r"`data: {split: {groups: 'patient(\d+)'}}`",
        ),
        (
            members("a", "b"),
            SplitSettings(groups="(p"),
            "data.split.groups: '(p' is not a regular expression (missing ), unterminated subpattern at position 0)",
        ),
        (
            members("a", "b", groups=["x", "y"]),
            SplitSettings(groups="p"),
            "data.split.groups: reads file names, but the groups came with the data: leave it out",
        ),
        (
            members("p1", "q1"),
            SplitSettings(groups=r"p\d"),
            r"q1: its name does not match `data: {split: {groups: 'p\d'}}`",
        ),
        (
            members("img1", "img2", "img3", "img4"),
            SplitSettings(groups="'?img"),
            "`data: {split: {groups: '''?img'}}` puts all 4 images into one group, 'img': its match must differ "
            r"between groups, as that of patient(\d+) does",
        ),
        (
            folders(train=4, val=2, test=2),
            SplitSettings(by="folders", groups="^"),
            "`data: {split: {groups: '^'}}` puts all 8 images into one group, '': its match must differ "
            r"between groups, as that of patient(\d+) does",
        ),
        (
            members("a", "b", "c"),
            AUTO,
            "3 images cannot be split into training (at least 2 images) and validation (1) and test (1): "
            "add images, or set `data: {split: {test: 0}}`",
        ),
        (
            members("a", "b"),
            AUTO,
            "2 images cannot be split into training (at least 2 images) and validation (1) and test (1): add images",
        ),
        (
            members(*numbered(8), digests=[b"same"] * 8),
            AUTO,
            "1 different image among 8 (images that are the same count once) cannot be split into training (at least 2 "
            "images) and validation (1) and test (1): add images",
        ),
        (
            members("a", "b", "c", groups=["x", "y", "y"]),
            SplitSettings(test=0, folds=2, seed=1),
            "the split leaves 1 training image: add images",
        ),
        (
            members(*numbered(8)),
            SplitSettings(test=0.8, folds=9),
            "the split leaves 1 training image: add images, or set less than 0.8 for `data: {split: {test: ...}}`",
        ),
        (
            members(*numbered(9), groups=["x", "y"] * 4 + ["x"]),
            AUTO,
            "9 images in 2 groups cannot be split into training (at least 2 images) and validation (1) and test (1): "
            "add images of other groups, or set `data: {split: {test: 0}}`",
        ),
        (
            folders(train=1, val=1, test=1),
            AUTO,
            "train/: 1 image cannot be split into training (at least 2 images): add images",
        ),
    ],
)
def test_what_cannot_be_split(given, settings, problem):
    assert choose_split(given, settings) == (problem,)


def test_the_same_image_in_two_folders():
    stems = ["train/a", "train/b", "train/c", "val/d", "test/e"]
    given = members(
        *stems,
        roles=["train", "train", "train", "validation", "test"],
        digests=[b"1", b"1", b"2", b"3", b"2"],
    )
    assert choose_split(given, AUTO) == (
        "images/test/e.png: the same image as images/train/c.png: remove one of the two",
    )


def test_a_group_in_two_folders():
    stems = ["train/p1_a", "train/p2_a", "val/p1_b", "test/p3_a"]
    given = members(*stems, roles=["train", "train", "validation", "test"])
    assert choose_split(given, SplitSettings(groups=r"p\d")) == (
        "group 'p1' lies in train/ and val/: move it to one side, or set `data: {split: {by: groups, groups: ...}}`",
    )
