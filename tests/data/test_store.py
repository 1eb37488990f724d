"""What is kept on the disk between studies."""

import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from unetsearch.data.load import load_data
from unetsearch.data.objects import told_apart
from unetsearch.data.separation import separated
from unetsearch.data.store import Kept, kept, key_of
from unetsearch.files import cache_folder
from unetsearch.space.settings import DataSettings


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNETSEARCH_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def arrays():
    random = np.random.default_rng(0)
    return [
        random.integers(0, 99, (3, 5, 7)).astype(np.uint16),
        random.normal(size=(11, 2)).astype(np.float32),
        np.zeros((0, 4), np.uint8),
        np.arange(5, dtype=np.int32),
    ]


def counted(made):
    def make():
        made.append(1)
        yield from arrays()

    return make


def same(found):
    return all(
        one.dtype == other.dtype and np.array_equal(one, other) for one, other in zip(found, arrays(), strict=True)
    )


def test_what_is_made_once_comes_back(cache):
    made = []
    for _ in range(3):
        found = kept("a", counted(made))
        assert same(found)
        assert all(isinstance(array, Kept) for array in found)
    assert len(made) == 1
    assert [path.name for path in cache.iterdir()] == ["a.arrays"]
    assert cache_folder() == cache
    assert kept("b", counted(made))
    assert len(made) == 2


def test_another_process_is_given_the_place(cache):
    found = kept("a", lambda: [np.arange(10**6).reshape(10, -1)])[0]
    for array in (found, found[3], found[2:5]):
        sent = pickle.dumps(array)
        assert len(sent) < 1000
        assert np.array_equal(pickle.loads(sent), array)
        assert isinstance(pickle.loads(sent), Kept)
    for array in (found[:, 3:7], found.copy(), found + 1, found.astype(np.float32), found.T):
        again = pickle.loads(pickle.dumps(array))
        assert np.array_equal(again, array)
        assert type(again) is np.ndarray
    before = (cache / "a.arrays").read_bytes()
    found[0, 0] = 7
    assert (cache / "a.arrays").read_bytes() == before, "changes stay in memory"


@pytest.mark.parametrize("harm", ["content", "index", "type", "length", "cut", "head", "empty"])
def test_a_damaged_file_is_made_anew(cache, harm):
    made = []
    kept("a", counted(made))
    file = cache / "a.arrays"
    content = bytearray(file.read_bytes())
    if harm == "content":
        content[10] ^= 1
    if harm == "index":
        content[-20] ^= 255
    if harm == "type":
        content = content.replace(b'"|u1"', b'",u1"')  # numpy takes this for the beginning of a list
    if harm == "length":
        content[-8:] = b"\xff" * 8
    file.unlink()  # who has it open keeps it
    file.write_bytes({"cut": content[:-30], "head": content[64:], "empty": b""}.get(harm, content))
    assert same(kept("a", counted(made)))
    assert len(made) == 2
    assert same(kept("a", counted(made)))
    assert len(made) == 2


def test_without_a_place_to_write_it_stays_in_memory(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("UNETSEARCH_CACHE", str(tmp_path / "file" / "kept"))
    made = []
    assert same(kept("a", counted(made)))
    assert same(kept("a", counted(made)))
    assert len(made) == 2, "nothing could be kept"


def test_another_process_finds_what_was_removed_meanwhile(cache):
    found = list(kept("a", arrays))
    shutil.rmtree(cache)
    sent = pickle.dumps(found)
    assert [path.name for path in cache.iterdir()] == ["a.arrays"]
    assert same(pickle.loads(sent))
    shutil.rmtree(cache)
    cache.write_text("no folder")
    sent = pickle.dumps(found)
    cache.unlink()
    assert same(pickle.loads(sent)), "where the disk refuses, the content itself is sent"


def test_what_was_left_half_written_and_what_nobody_asks_for_is_removed(cache):
    kept("a", arrays)
    for name, days in {"b.1.part": 2, "c.2.part": 0, "d.arrays": 61, "e.arrays": 59, "f.txt": 99}.items():
        (cache / name).touch()
        os.utime(cache / name, (time.time() - days * 86400,) * 2)
    kept("g", arrays)
    names = {path.name for path in cache.iterdir()}
    assert names == {"a.arrays", "c.2.part", "e.arrays", "f.txt", "g.arrays"}


def test_processes_that_begin_together_do_not_tear_it(cache):
    code = """
        import sys, time
        import numpy as np
        from unetsearch.data.store import kept
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(20):
            def make():
                for _ in range(3):
                    yield np.full((200, 200), number)
            found = kept(str(number), make)
            assert len(found) == 3 and all((each == number).all() for each in found)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, complaints = process.communicate(timeout=60)
        assert (process.returncode, complaints) == (0, "")
    assert len(list(cache.iterdir())) == 20


def test_keys_hang_on_every_fact():
    assert key_of("a", [1]) == key_of("a", [1])
    assert len({key_of("a", [1]), key_of("a", [2]), key_of("b", [1])}) == 3


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for index in range(8):
        mask = np.zeros((40, 30 + index), np.uint8)
        mask[5:20, 5:12], mask[5:20, 12:20] = 1, 2
        for name, array in {
            "images": random.integers(0, 255, mask.shape).astype(np.uint8),
            "masks": 255 * (mask > 0).astype(np.uint8),
            "instances": mask,
        }.items():
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / "data" / name / f"{index}.png")
    return tmp_path / "data"


def test_a_data_set_is_decoded_once(folder, cache, monkeypatch):
    first = load_data(DataSettings(path=str(folder)))
    files = sorted(path.name for path in cache.iterdir())
    assert len(files) == 3, "as decoded, masks as classes, objects"
    monkeypatch.setattr("unetsearch.data.samples.read_pair", None)
    again = load_data(DataSettings(path=str(folder)))
    assert again.fingerprint == first.fingerprint
    assert again.notes == first.notes
    before, after = ((*data.images, *data.masks, *data.objects) for data in (first, again))
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    assert all(isinstance(array, Kept) for array in after)
    assert len(pickle.dumps(again)) < 20_000
    monkeypatch.undo()
    monkeypatch.setenv("UNETSEARCH_CACHE", str(cache))
    Image.fromarray(np.zeros((40, 30), np.uint8)).save(folder / "images" / "0.png")
    assert load_data(DataSettings(path=str(folder))).fingerprint != first.fingerprint


def test_grey_images_saved_as_rgb_are_kept_too(folder):
    for path in (folder / "images").iterdir():
        with Image.open(path) as image:
            image.convert("RGB").save(path)
    data = load_data(DataSettings(path=str(folder)))
    assert data.in_channels == 1
    assert all(isinstance(image, Kept) and image.flags.c_contiguous for image in data.images)
    assert len(pickle.dumps(data)) < 20_000, "another process is given the places"


def test_that_nothing_can_be_kept_is_noted(folder, cache):
    assert not any("every trainer holds" in note for note in load_data(DataSettings(path=str(folder))).notes)
    shutil.rmtree(cache)
    cache.touch()
    found = load_data(DataSettings(path=str(folder)))
    notes = [note for note in found.notes if "every trainer holds" in note]
    assert notes == [
        f"{cache} takes no files, so every trainer holds all images: UNETSEARCH_CACHE names another folder"
    ]
    assert not any(isinstance(image, Kept) for image in found.images)


def test_weight_maps_are_made_once(folder, monkeypatch):
    data = load_data(DataSettings(path=str(folder)))
    first = separated(data)
    monkeypatch.setattr("unetsearch.data.separation.separation_weights", None)
    again = separated(data)
    assert all(np.array_equal(one, other) for one, other in zip(first.weights, again.weights, strict=True))
    assert len(first.masks) == len(data.split.train)
    turned = replace(data, split=replace(data.split, train=data.split.validation, validation=data.split.train))
    other = separated(turned)
    assert len(other.masks) == len(data.split.validation), "another split finds them too"
    for index, mask in zip(data.split.validation, other.masks, strict=True):
        assert np.array_equal(mask > 0, told_apart(data.objects[index]) > 0)
