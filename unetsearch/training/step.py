"""One optimizer step: forward, backward, update. On CUDA it can be recorded once and then replayed."""

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from unetsearch.errors import first_line
from unetsearch.graph.sizes import context
from unetsearch.network.network import Network
from unetsearch.space.recipe import WINDOWED, Loss, Recipe
from unetsearch.training.augment import Batch
from unetsearch.training.context import outputs_of
from unetsearch.training.device import autocast, memory_format
from unetsearch.training.heads import outputs_loss
from unetsearch.training.losses import Truth

GRADIENT_NORM = 12.0
"""Gradients longer than this are shortened: a rare wild batch shall not decide a training."""

WARM_UP = 3
"""Steps before one is recorded: by then the optimizer has its state, and cuDNN its algorithms."""

Work = Callable[[], None]

Recorder = Callable[[Work], Work]
"""Takes what is to be done again and again, does not do it, and gives what does. Raises RuntimeError if it cannot."""

GRAPHS = "UNETSEARCH_CUDA_GRAPHS"
"""Where this environment variable is set, steps on CUDA are recorded and replayed."""


class Step:
    """The steps of one training, one after the other.

    `parts`: a batch goes through the network in so many parts, whose gradients are summed up. `classes`: what each
    class counts in the loss (C,), or None. `record`: how a step is recorded after a warm-up, None: never. Where it
    cannot be, since something in it waits for the device, the error says so: after it a CUDA device is in no state to
    go on.

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
        self._record = record
        self._done = 0
        self._still: Batch | None = None  # where a recorded step reads its batch
        self._replay: Work | None = None
        self._stream: torch.cuda.Stream | None = None
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
        self._done += 1
        if self._replay is None and self._record is not None and self._done > WARM_UP:
            self._recorded(batch, self._record)
        if self._replay is not None and self._still is not None:
            self._still.copy_(batch)
            self._replay()
        elif self._record is not None and self._device.type == "cuda":
            self._aside(batch)
        else:
            self._computed(batch)

    @property
    def replayed(self) -> bool:
        """Whether steps are replayed by now."""
        return self._replay is not None

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's."""
        state: dict[str, Any] = self._optimizer.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from there; before the first step. The state stays what it is."""
        self._optimizer.load_state_dict(deepcopy(dict(state)))
        for group in self._optimizer.param_groups:  # the state may be that of another device
            group["capturable"] = self._rate is not None

    def _set(self, rate: float) -> None:
        if self._rate is not None:
            self._rate.fill_(rate)
        for group in self._optimizer.param_groups:
            group["lr"] = rate if self._rate is None else self._rate

    def _computed(self, batch: Batch) -> None:
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

    def _recorded(self, batch: Batch, record: Recorder) -> None:
        """Records a step on memory that stays; never tries twice."""
        self._record = None
        self._still = still = batch.clone()
        self._optimizer.zero_grad()  # the gradients of a recorded step lie in its own memory
        self._replay = record(lambda: self._computed(still))

    def _aside(self, batch: Batch) -> None:
        """On a stream of its own, as what is to be recorded wants to be warmed up."""
        device = self._device
        if self._stream is None:
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(self._stream):
            self._computed(batch)
        torch.cuda.current_stream(device).wait_stream(self._stream)


def recorder(device: torch.device, loss: Loss) -> Recorder | None:
    """How steps are recorded there: where that is asked for, and none of the loss waits for the device."""
    asked = bool(os.environ.get(GRAPHS)) and device.type == "cuda" and loss not in WINDOWED
    return cuda_graphs(device) if asked else None


def cuda_graphs(device: torch.device) -> Recorder:
    """Records on a CUDA device: no kernel of a step is begun by Python any more (CUDA graphs)."""

    def record(work: Work) -> Work:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream(device)
        try:
            # other threads, such as one that reads ahead, may go on with their own work meanwhile
            with torch.cuda.device(device), torch.cuda.graph(graph, capture_error_mode="thread_local"):
                work()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise RuntimeError(f"the step cannot be recorded ({first_line(error)}): unset {GRAPHS}") from None
        finally:
            torch.cuda.set_stream(stream)  # a recording that fails leaves its own behind
        return graph.replay

    return record
