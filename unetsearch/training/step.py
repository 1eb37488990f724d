"""One optimizer step: forward, backward, update. On CUDA it is recorded once and then replayed."""

from collections.abc import Callable, Mapping
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

GRADIENT_NORM = 12.0
"""Gradients longer than this are shortened: a rare wild batch shall not decide a training."""

WARM_UP = 3
"""Steps before one is recorded: by then the optimizer has its state, and cuDNN its algorithms."""

Work = Callable[[], None]

Recorder = Callable[[Work], Work]
"""Takes what is to be done again and again, does not do it, and gives what does. Raises RuntimeError if it cannot."""


class Step:
    """The steps of one training, one after the other.

    `parts`: a batch goes through the network in so many parts, whose gradients are summed up. `classes`: what each
    class counts in the loss (C,), or None. `record`: how a step is recorded after a warm-up, None: never. A network
    that cannot be recorded, since it waits for the device, is trained as without.

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
        self.network = network.train()
        self.recipe = recipe
        self.loss_sum = torch.zeros((), device=device)
        self._device = device
        self._parts = parts
        self._classes = classes
        self._frame = context(network.graph, recipe.crop)
        self._record = record
        self._done = 0
        self._still: Batch | None = None  # where a recorded step reads its batch
        self._replay: Work | None = None
        # a recorded step reads its rate from the device
        self._rate = torch.zeros((), device=device) if device.type == "cuda" else None
        self._optimizer = torch.optim.AdamW(
            network.parameters(),
            recipe.learning_rate if self._rate is None else self._rate,
            weight_decay=recipe.weight_decay,
            fused=True,
            capturable=self._rate is not None,
        )

    def __call__(self, batch: Batch, rate: float) -> None:
        """One step on a batch at a learning rate."""
        self._set(rate)
        self._done += 1
        if self._replay is None and self._record is not None and self._done > WARM_UP:
            self._recorded(batch, self._record)
        if self._replay is not None and self._still is not None:
            self._still.copy_(batch)
            self._replay()
        elif self._record is not None and self._device.type == "cuda":
            _aside(lambda: self._computed(batch), self._device)
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
        """Goes on from there; before the first step."""
        self._optimizer.load_state_dict(dict(state))

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
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
        self._optimizer.step()

    def _recorded(self, batch: Batch, record: Recorder) -> None:
        """Records a step on memory that stays; never tries twice."""
        self._record = None
        self._still = still = batch.clone()
        self._optimizer.zero_grad()  # the gradients of a recorded step lie in its own memory
        try:
            self._replay = record(lambda: self._computed(still))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # something in it waits for the device
            self._still = None
            self._optimizer.zero_grad()


def cuda_graph(work: Work) -> Work:
    """Records on the current CUDA device: no kernel of it is begun by Python any more (CUDA graphs)."""
    graph = torch.cuda.CUDAGraph()
    # other threads, such as one that reads ahead, may go on with their own work meanwhile
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        work()
    return graph.replay


def _aside(work: Work, device: torch.device) -> None:
    """On a stream of its own, as what is to be recorded wants to be warmed up."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        work()
    torch.cuda.current_stream(device).wait_stream(stream)
