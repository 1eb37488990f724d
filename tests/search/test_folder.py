from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest

from unetsearch.errors import StudyError
from unetsearch.files import replace_whole, write_atomically
from unetsearch.search.folder import StudyFolder, create_folder, open_folder, own_folder, owned


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError) as caught:
        create_folder(tmp_path / "file" / "study")
    assert str(caught.value) == (
        f"{tmp_path / 'file' / 'study'}: cannot write here (Not a directory); give another folder with --out"
    )


def test_the_advice_is_that_of_the_caller(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match=r"cannot write here \(Not a directory\); do so$"):
        create_folder(tmp_path / "file" / "inner", "do so")


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StudyError) as caught:
        create_folder(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: the folder is not empty and holds no study; give another folder with --out"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_no_study(tmp_path):
    with pytest.raises(StudyError) as caught:
        open_folder(tmp_path)
    assert str(caught.value) == (f"{tmp_path}: no study here (no study.yaml); `unetsearch run` makes one")


def test_one_owner_at_a_time(tmp_path):
    folder = create_folder(tmp_path / "study")
    with owned(folder), pytest.raises(StudyError) as caught, owned(folder):
        pass
    assert str(caught.value) == f"{folder.path}: another process is running this study; wait until it is done"
    with owned(folder):
        pass


def test_a_folder_in_which_nothing_was_begun_is_gone_again(tmp_path):
    with pytest.raises(ValueError, match="wrong"), own_folder(tmp_path / "studies" / "study"):
        raise ValueError("wrong")
    assert list(tmp_path.iterdir()) == []
    begun = StudyFolder(tmp_path / "studies" / "study")
    with suppress(ValueError), own_folder(begun.path):
        begun.settings.touch()
        raise ValueError("wrong")
    assert begun.exists
    other = tmp_path / "studies" / "other"
    with own_folder(other), pytest.raises(StudyError), own_folder(other):
        pass
    assert (other / ".lock").is_file(), "another process has it"


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_what_is_interrupted_leaves_nothing_beside(tmp_path):
    path = tmp_path / "file"

    def write(file):
        file.write(b"half")
        assert [each.suffix for each in tmp_path.iterdir()] == [".part"], "by which a killed process's are found"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_whole(path, write)
    assert list(tmp_path.iterdir()) == []


def test_several_threads_write_one_file(tmp_path):
    path, together = tmp_path / "file", Barrier(4, timeout=10)

    def write(number):
        for _ in range(20):
            together.wait()
            write_atomically(path, bytes([number]) * 2**16)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(path.read_bytes()) == 2**16
    assert len(set(path.read_bytes())) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_models_lie_by_the_names_of_their_trials(tmp_path):
    folder = StudyFolder(tmp_path)
    assert folder.model("#12") == tmp_path / "models" / "12"
    assert folder.model("unet++") == tmp_path / "models" / "unet++"
