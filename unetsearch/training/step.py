"""One optimizer step: forward, backward, update."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from unetsearch.graph.sizes import context
from unetsearch.network.network import Network
from unetsearch.space.recipe import Recipe
from unetsearch.training.augment import Batch
from unetsearch.training.context import outputs_of
from unetsearch.training.device import autocast, memory_format
from unetsearch.training.heads import outputs_loss
from unetsearch.training.losses import Truth
from unetsearch.training.recording import Recorder, Repeated

GRADIENT_NORM = 12.0
"""Gradients longer than this are shortened: a rare wild batch shall not decide a training."""


class Step:
    """The steps of one training, one after the other.

    `parts`: a batch goes through the network in so many parts, whose gradients are summed up. `classes`: what each
    class counts in the loss (C,), or None. `record`: how a step is recorded after a warm-up; None: never.

    `loss_sum`: of the losses so far, on the device: reading it waits.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        device: torch.device,
        *,
        parts: int = 1,
        classes: Tensor | None = None,
        record: Recorder | None = None,
    ) -> None:
        self.network = network
        self.recipe = recipe
        self.loss_sum = torch.zeros((), device=device)
        self._parameters = list(network.parameters())
        self._device = device
        self._parts = parts
        self._classes = classes
        self._frame = context(network.graph, recipe.crop)
        self._repeated: Repeated[None] = Repeated(device, record)
        # a recorded step reads its rate from the device
        self._rate = torch.zeros((), device=device) if device.type == "cuda" else None
        self._optimizer = torch.optim.AdamW(
            self._parameters,
            recipe.learning_rate if self._rate is None else self._rate,
            weight_decay=recipe.weight_decay,
            fused=True,
            capturable=self._rate is not None,
        )

    def __call__(self, batch: Batch, rate: float) -> None:
        """One step on a batch at a learning rate."""
        if not self.network.training:
            self.network.train()
        self._set(rate)
        self._repeated(self._computed, *batch.tensors)

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's."""
        state: dict[str, Any] = self._optimizer.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from there; before the first step. The state stays what it is."""
        self._optimizer.load_state_dict(deepcopy(dict(state)))
        for parameter, moments in self._optimizer.state.items():  # they lie as where they come from
            for name in ("exp_avg", "exp_avg_sq"):
                moments[name] = torch.empty_like(parameter).copy_(moments[name])
        for group in self._optimizer.param_groups:  # the state may be that of another device
            group["capturable"] = self._rate is not None

    def _set(self, rate: float) -> None:
        if self._rate is not None:
            self._rate.fill_(rate)
        for group in self._optimizer.param_groups:
            group["lr"] = rate if self._rate is None else self._rate

    def _computed(self, *tensors: Tensor) -> None:
        batch = Batch(*tensors)
        self._optimizer.zero_grad()
        for part in batch.split(self._parts):
            images = part.images.contiguous(memory_format=memory_format(self._device))
            with autocast(self._device):
                outputs = outputs_of(self.network, images, self._frame)
            truth = Truth(self.network.graph.out_channels, part.masks, part.weights, self._classes)
            loss = outputs_loss(self.recipe, outputs, truth) * (len(part.images) / len(batch.images))
            loss.backward()  # type: ignore[no-untyped-call]
            self.loss_sum += loss.detach()
        self._shorten()
        self._optimizer.step()

    def _shorten(self) -> None:
        """Where nothing waits for a look at the norm, gradients that are short enough are not touched."""
        norm = torch.nn.utils.get_total_norm([each.grad for each in self._parameters if each.grad is not None])
        if self._device.type != "cpu" or not norm <= GRADIENT_NORM:
            torch.nn.utils.clip_grads_with_norm_(self._parameters, GRADIENT_NORM, norm)
