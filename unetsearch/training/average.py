"""The moving average of a network's weights, which is what evaluations score."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

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
    """The averaged network: parameters, and buffers such as the running statistics of norms."""

    def __init__(self, network: Network, recipe: Recipe) -> None:
        self._recipe = recipe
        self._step = 0  # known here: reading it from the device would wait
        self.model = AveragedModel(network, multi_avg_fn=self._blend, use_buffers=True)

    @property
    def network(self) -> Network:
        """The network with the averaged weights."""
        module = self.model.module
        assert isinstance(module, Network)
        return module

    def update(self, network: Network, step: int) -> None:
        """Takes in the weights after a step; the first ones are copied."""
        self._step = step
        self.model.update_parameters(network)

    @torch.no_grad()
    def _blend(self, averaged: Sequence[Tensor], current: Sequence[Tensor], _: Tensor | int) -> None:
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(tuple(averaged), tuple(current), new_weight(self._recipe, self._step))
        else:  # counters
            torch._foreach_copy_(tuple(averaged), tuple(current))
