"""The batches of a training: which crops, taken from the images, augmented on the device."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count, islice
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unetsearch.space.recipe import Recipe
from unetsearch.training.augment import (
    Batch,
    Draws,
    bands_of,
    fields_of,
    moves_of,
    noise_of,
    places_of,
    readable,
    shaded,
    window_side,
)
from unetsearch.training.crops import Drawing
from unetsearch.training.recording import Recorder, Repeated
from unetsearch.training.sources import Resident, Source

TOGETHER, PIXELS = 4, 2**19
"""So many batches are made at once, as long as their crops have no more pixels: a part of what this takes is the same
for one as for all.
"""

AHEAD = 2
"""So often batches are read from the disk before they are asked for."""

UNCOPIED = 4
"""So often at most batches were read from the disk which a CUDA device has still to copy."""

T = TypeVar("T")


def batches(
    source: Source, recipe: Recipe, seed: int, margin: int = 0, start: int = 0, record: Recorder | None = None
) -> Iterator[Batch]:
    """Endless batches of random crops: images (B, C, side, side), masks and weights (B, crop, crop).

    `side` is crop + 2 * margin: the image goes on around the crop by so many pixels. What lies beyond an image's border
    is mirrored, with its labels. Every image is drawn once before any is drawn again. Each sample has its own position,
    flip, turn and, by the recipe, deformation and shades; a batch is the same for the same recipe, seed and number,
    whatever was drawn before. `start`: the number of the first one. `record`: how their making is recorded; None:
    never. What is recorded is written over by the following batches.
    """
    together = min(TOGETHER, max(1, PIXELS // (recipe.batch_size * recipe.crop**2)))
    samples = together * recipe.batch_size
    crop, side, strength = recipe.crop, recipe.crop + 2 * margin, recipe.augmentation
    window = window_side(side, strength)
    window += (window - crop) % 2
    fields = fields_of(window, side)
    drawing = Drawing(
        source.places,
        batch_size=samples,
        fields=_in_pixels(fields, window, side, margin),
        window=window,
        foreground=recipe.foreground,
        seed=seed,
    )
    noisy = (samples, source.channels, side, side)

    def drawn(number: int) -> tuple[Tensor, ...]:
        random = np.random.default_rng([seed, number])
        if not strength:
            return source.read(drawing.batch(number, random))
        (bending,) = random.spawn(1)  # the same crops are drawn at every strength
        numbers = Draws.of(bending, samples, strength, side).numbers
        read = source.read(drawing.batch(number, random, moves_of(numbers)))
        return readable(numbers, source.device), noise_of(random, noisy, source.device), *read

    make: Callable[..., Batch] = (
        partial(_augmented, source, fields.to(source.device), bands_of(side, source.device), crop)
        if strength
        else partial(_cropped, source, slice(margin, margin + crop))
    )
    resident = isinstance(source, Resident)
    nothing = not resident and not strength  # there is to be done on the device
    made: Repeated[Batch] = Repeated(source.device, None if nothing else record)
    first, passed = divmod(start, together)
    read: Iterator[tuple[Tensor, ...]] = map(drawn, count(first)) if resident else _ahead(drawn, first)
    if source.device.type == "cuda" and not resident:
        read = _copied(read, source.device)
    every = (batch for tensors in read for batch in made(make, *tensors).split(together))
    yield from islice(every, passed, None)


def _in_pixels(fields: Tensor, window: int, side: int, margin: int) -> NDArray[np.float32]:
    """What `fields_of` gives for these sides, of the inner pixels, in pixels: (11, crop, crop)."""
    inner = slice(margin, side - margin)
    given: NDArray[np.float32] = (fields.view(-1, side, side)[:, inner, inner] * ((window - 1) / 2)).numpy()
    return given


def _cropped(source: Source, middle: slice, *read: Tensor) -> Batch:
    found = source.windows(*read)
    weights = None if found.weights is None else found.weights[:, middle, middle]
    return Batch(found.images, found.masks[:, middle, middle], weights)


def _augmented(
    source: Source, fields: Tensor, bands: Tensor, crop: int, numbers: Tensor, noise: Tensor, *read: Tensor
) -> Batch:
    places = places_of(numbers, fields, noise.shape[-1])
    return shaded(source.sampled(places, crop, *read), numbers, noise, bands)


def beside(made: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches on CUDA, made on a stream of its own while the step before computes."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def following() -> Batch:
        # by then all is read that lies in the memory which is used again
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            return Batch(*(tensor.clone() for tensor in next(made).tensors))

    waiting = following()
    while True:
        batch, ready = waiting, stream.record_event()
        waiting = following()
        torch.cuda.current_stream(device).wait_event(ready)
        yield batch


def _copied(read: Iterator[T], device: torch.device) -> Iterator[T]:
    """The same for a CUDA device, which may be far behind: what it has not copied yet fills pinned memory."""
    copies: deque[torch.cuda.Event] = deque()
    for tensors in read:
        yield tensors
        copies.append(torch.cuda.current_stream(device).record_event())
        if len(copies) > UNCOPIED:
            copies.popleft().synchronize()


def _ahead(drawn: Callable[[int], T], start: int) -> Iterator[T]:
    """What is given for start, start + 1, ..., by a thread that works while the device computes."""
    reader = ThreadPoolExecutor(1)
    try:
        waiting = [reader.submit(drawn, number) for number in range(start, start + AHEAD)]
        for number in count(start + AHEAD):
            waiting.append(reader.submit(drawn, number))
            yield waiting.pop(0).result()
    finally:  # what is not begun yet is not read any more
        reader.shutdown(cancel_futures=True)
