"""The section `training` of the document: what is fixed, what varies, and what does not go together."""

from collections.abc import Mapping
from typing import Any

from unetsearch.space import fields
from unetsearch.space.marks import Marked
from unetsearch.space.reader import Reader
from unetsearch.space.recipe import AUTO, MS_SSIM_SIDE, TO_BE_FOUND, WINDOWED, Recipe
from unetsearch.space.values import Choice, Value


def read_training(at: Marked | None, reader: Reader) -> tuple[Recipe, dict[str, Value]]:
    """What is fixed, with the defaults of the rest; and what varies."""
    before = len(reader.problems)
    values = reader.searched(at, "training", fields.TRAINING)
    varied = {name: value for name, value in values.items() if not (isinstance(value, Choice) and value.fixed)}
    settled: dict[str, Any] = {
        name: value.options[0].value for name, value in values.items() if isinstance(value, Choice) and value.fixed
    }
    if len(reader.problems) > before:
        return Recipe(), {}
    if settled.get("batch_size") == AUTO:
        settled["batch_size"] = TO_BE_FOUND
    recipe = Recipe(**settled)
    keys = at.value if at is not None and isinstance(at.value, dict) else {}
    sizes = varied.get("batch_size")
    if isinstance(sizes, Choice) and any(option.value == AUTO for option in sizes.options):
        text = f"{AUTO} is the one size of all trainings, expected it alone"
        reader.problem(keys["batch_size"], "training.batch_size", text)
    if at is not None and recipe.evaluations > recipe.steps:
        text = f"expected at most training.steps ({recipe.steps}), got {recipe.evaluations}"
        reader.problem(keys.get("evaluations", at), "training.evaluations", text)
    if "reach" in keys and "averaging" in keys:
        text = "stands instead of training.reach: give one of the two"
        reader.problem(keys["averaging"], "training.averaging", text)
    _check_windows(keys, recipe, values["loss"], reader)
    return recipe, varied


def _check_windows(keys: Mapping[str, Marked], recipe: Recipe, loss: Value, reader: Reader) -> None:
    """MS-SSIM needs a crop of some size."""
    options = [str(option.value) for option in loss.options] if isinstance(loss, Choice) else []
    windowed = [name for name in options if name in WINDOWED]
    if windowed and recipe.crop < MS_SSIM_SIDE:
        text = f"{windowed[0]} needs a training.crop of at least {MS_SSIM_SIDE} px (MS-SSIM: an 11 px window on the "
        reader.problem(keys["loss"], "training.loss", f"{text}coarsest of 5 scales), got {recipe.crop}")
