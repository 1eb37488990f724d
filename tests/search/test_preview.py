"""Validation images shown beside predictions."""

from dataclasses import replace

import numpy as np

from unetsearch.search.preview import load_previews, save_preview, windows


def test_previews_come_back_with_the_predictions_of_the_trials_named(trainer, job, runner, data):
    save_preview(runner.folder, data, job.preview)
    trainer.train(replace(job, folder=str(runner.folder.model("#7"))))
    shown = load_previews(runner.folder, ["#7", "#8"])
    assert [preview.stem for preview in shown] == ["c", "d"]
    assert shown[0].image.shape == shown[0].truth.shape == (24, 20)
    assert np.array_equal(shown[0].truth, data.masks[2])
    assert shown[0].image.dtype == np.uint8
    assert set(shown[0].predictions) == {"#7"}
    assert shown[0].predictions["#7"].shape == (24, 20)


def test_previews_of_large_images_are_their_middles(data):
    large = replace(data, masks=tuple(np.zeros((300, 700), np.uint8) for _ in range(5)))
    window = windows(large)[0]
    assert (window.top, window.bottom, window.left, window.right) == (22, 278, 222, 478)
