"""What a user writes today: a DataLoader with augmentation on the processor and a plain loop; and a tuned one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision.transforms import v2

from unetsearch.data.dataset import SegmentationData
from unetsearch.space.recipe import Recipe
from unetsearch.training.batches import TOGETHER
from unetsearch.training.sources import normalised


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Random crops, flipped and turned, of normalised training images."""

    def __init__(self, data: SegmentationData, crop: int, strength: float) -> None:
        self.images = [torch.from_numpy(normalised(data.images[index])) for index in data.split.train]
        self.masks = [torch.from_numpy(np.array(data.masks[index]))[None] for index in data.split.train]
        self.crop = v2.RandomCrop(crop, pad_if_needed=True, padding_mode="reflect")
        moves = [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]
        if strength:
            moves += [
                v2.RandomAffine(45 * strength, scale=(1 - 0.2 * strength, 1 + 0.2 * strength)),
                v2.ElasticTransform(50 * strength),
                v2.GaussianBlur(5),
                v2.GaussianNoise(sigma=0.1 * strength, clip=False),
            ]
        self.moves = v2.Compose(moves)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        from torchvision import tv_tensors

        image, mask = self.crop(tv_tensors.Image(self.images[index]), tv_tensors.Mask(self.masks[index]))
        image, mask = self.moves(image, mask)
        turns = int(torch.randint(4, ()))
        return image.as_subclass(Tensor).rot90(turns, (1, 2)), mask.as_subclass(Tensor)[0].rot90(turns, (0, 1))


@dataclass(frozen=True)
class Style:
    """How a loop is written. `tuned`: bfloat16, channels last, a fused optimizer."""

    tuned: bool
    workers: int = 0
    compiled: bool = False


TURN = 2 * TOGETHER + 1
"""So many steps are measured in one go, but for the last of them, after which the trainer scores; with as many batches
of the trainer as are made by twice making some at once.
"""

UNCOUNTED = 2
"""So many turns come before those that count: in them networks are compiled, and on CUDA batches and steps recorded."""


def wait(device: torch.device, step: int) -> None:
    """After a step (from 1). Steps on a GPU are only begun: the last ones of a turn are waited for."""
    if device.type == "cuda" and step % TURN in (TURN - 1, 0):
        torch.cuda.synchronize(device)


def loss_of(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy plus Dice, as everyone writes it."""
    truth = (mask == 1).float()
    entropy = nn.functional.binary_cross_entropy_with_logits(logits[:, 0].float(), truth)
    probability = logits[:, 0].float().sigmoid()
    overlap = 2 * (probability * truth).sum() + 1
    return entropy + 1 - overlap / (probability.sum() + truth.sum() + 1)


def plain_loop(
    network: nn.Module,
    data: SegmentationData,
    recipe: Recipe,
    device: torch.device,
    style: Style,
    score: Callable[[nn.Module], float] | None = None,
) -> Iterator[tuple[float, float | None]]:
    """Seconds of each step, with the validation Dice after each of `recipe.evaluations` parts of the steps."""
    expert = style.tuned and device.type == "cuda"  # who looks at no loss, which would wait for the device
    layout = torch.channels_last if style.tuned else torch.contiguous_format
    network.to(device, memory_format=layout)
    trained = torch.compile(network) if style.compiled else network
    dataset = Crops(data, recipe.crop, recipe.augmentation)
    sampler = RandomSampler(dataset, replacement=True, num_samples=recipe.steps * recipe.batch_size)
    loader = DataLoader(
        dataset,
        recipe.batch_size,
        sampler=sampler,
        num_workers=style.workers,
        pin_memory=device.type == "cuda",
        persistent_workers=style.workers > 0,
    )
    optimizer = torch.optim.AdamW(
        network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay, fused=style.tuned
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.steps)
    evaluations = {round(recipe.steps * part / recipe.evaluations) for part in range(1, recipe.evaluations + 1)}
    began = perf_counter()
    for step, (images, masks) in enumerate(loader, start=1):
        network.train()
        images, masks = images.to(device, non_blocking=True), masks.to(device, non_blocking=True)
        images = images.contiguous(memory_format=layout)
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=style.tuned):
            logits = trained(images)
        loss = loss_of(logits, masks)
        loss.backward()
        optimizer.step()
        schedule.step()
        if not expert:
            loss.item()  # as the progress bars of such loops do
        wait(device, step)
        seconds = perf_counter() - began
        yield seconds, score(network) if score is not None and step in evaluations else None
        began = perf_counter()
