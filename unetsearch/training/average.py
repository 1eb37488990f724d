"""The moving average of a network's weights, which is what evaluations score."""

from collections.abc import Iterator, Sequence
from copy import deepcopy

import torch
from torch import Tensor

from unetsearch.network.network import Network
from unetsearch.space.recipe import Recipe


def new_weight(recipe: Recipe, step: int) -> float:
    """The weight that the newest weights have in the average after a step (from 1).

    It is 1 / (1 + reach * step): the average reaches back over a constant share of the steps so far, so that it is
    quick at the beginning and smooth at the end, whatever the length of the training (as in Karras et al. 2024,
    section 3). With `averaging`, it is constant.
    """
    return 1 / (1 + recipe.reach * step) if recipe.averaging is None else 1 - recipe.averaging


class Average:
    """The averaged network: parameters, and buffers such as the running statistics of norms.

    torch's AveragedModel does the same, but waits for a CUDA device at every step, to look at its counter.
    """

    def __init__(self, network: Network, recipe: Recipe) -> None:
        self._recipe = recipe
        self.network = deepcopy(network).requires_grad_(False)
        pairs = list(zip(_state(self.network), _state(network), strict=True))
        self._averaged, self._current = _lists([pair for pair in pairs if pair[0].is_floating_point()])
        self._counters, self._counted = _lists([pair for pair in pairs if not pair[0].is_floating_point()])

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the weights after a step; the first ones are copied."""
        weight = 1.0 if step == 1 else new_weight(self._recipe, step)
        if weight == 1.0:
            torch._foreach_copy_(self._averaged, self._current)
        else:
            torch._foreach_lerp_(self._averaged, self._current, weight)
        if self._counters:
            torch._foreach_copy_(self._counters, self._counted)


def _state(network: Network) -> Iterator[Tensor]:
    return (tensor.detach() for tensor in (*network.parameters(), *network.buffers()))


def _lists(pairs: Sequence[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    return [averaged for averaged, _ in pairs], [current for _, current in pairs]
