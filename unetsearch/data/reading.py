"""One file to one array: images as they are stored, masks as whole numbers."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

MOST = 2**16 - 1
"""The greatest value of a mask."""

ORIENTATION = 0x0112  # the EXIF tag

DAMAGED = "is damaged or cut off: copy or export it again"


class ReadingError(Exception):
    """A file cannot be read as an image or a mask. The message says why and what to do, without the file's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A file's pixels, (C, H, W), before their number type is settled. `notes`: what was changed on reading."""

    pixels: NDArray[Any]
    notes: tuple[str, ...] = ()


@contextmanager
def large_images_allowed() -> Iterator[None]:
    """Silences Pillow's warning of images that might be an attack, up to the size that is refused.

    Warning filters are the process's: enter this around the threads that read, not in each of them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def read_image(path: Path) -> Picture:
    """An image as (C, H, W), uint8, uint16 or float32. Raises ReadingError."""
    picture = _read(path, palette_as_colours=True)
    if not picture.pixels.size:
        raise ReadingError("has no pixels: remove it and its mask")
    pixels = stored_type(picture.pixels)
    if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
        raise ReadingError("has pixels that are NaN, infinite, or beyond 3.4e38: replace them")
    return Picture(pixels=pixels, notes=picture.notes)


def read_mask(path: Path) -> NDArray[Any]:
    """A mask as (H, W) whole numbers: a palette's indices, the grey value of a grey RGB file. Raises ReadingError."""
    return whole_numbers(_one_channel(path))


def read_objects(path: Path) -> NDArray[Any]:
    """Objects as (H, W) whole numbers, 0 where there is none; counted anew from 1 where some exceed MOST.

    Raises ReadingError.
    """
    pixels = np.maximum(_whole(_one_channel(path)), 0)
    if not pixels.size or pixels.max() <= MOST:
        return _small(pixels)
    numbers, places = np.unique(pixels, return_inverse=True)
    return np.ascontiguousarray(places.reshape(pixels.shape) + (numbers[0] > 0), dtype=np.int32)


def _one_channel(path: Path) -> NDArray[Any]:
    picture = _read(path, palette_as_colours=False)
    if any("16-bit" in note for note in picture.notes):
        raise ReadingError("is a 16-bit colour file: save it with one channel, a number for each class")
    pixels = picture.pixels
    if len(pixels) == 3 and is_grey(pixels):
        pixels = pixels[:1]
    if len(pixels) == 3:
        raise ReadingError("is coloured: save it with one channel, a number for each class")
    return pixels


def is_grey(pixels: NDArray[Any]) -> bool:
    """Whether the three channels of (3, H, W) are equal everywhere."""
    return bool(np.array_equal(pixels[0], pixels[1]) and np.array_equal(pixels[1], pixels[2]))


def stored_type(pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels as contiguous uint8, uint16 or float32, with no value changed (beyond float32's own precision)."""
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    elif pixels.dtype.kind in "iu" and pixels.dtype.itemsize > 1:
        # 16-bit images come as int32 from some readers
        fits = pixels.size and pixels.min() >= 0 and pixels.max() <= np.iinfo(np.uint16).max
        pixels = pixels.astype(np.uint16 if fits else np.float32)
    elif pixels.dtype != np.uint8:
        with np.errstate(over="ignore"):  # what exceeds float32 becomes infinite, which is refused
            pixels = pixels.astype(np.float32)
    return np.ascontiguousarray(pixels)


def whole_numbers(pixels: NDArray[Any]) -> NDArray[Any]:
    """A mask's (1, H, W) or (H, W) values as (H, W) uint8, uint16 or int32 of -1 to 65535. Raises ReadingError."""
    return _small(_whole(pixels))


def _whole(pixels: NDArray[Any]) -> NDArray[Any]:
    """(1, H, W) or (H, W) as (H, W), of whole numbers. Raises ReadingError."""
    if pixels.ndim == 3 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.ndim != 2:
        raise ReadingError(f"has the shape {'x'.join(map(str, pixels.shape))}: a mask has one channel")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ReadingError(
            "has NaN or infinite values: give these pixels a number of their own, and name it by `data: {ignore: ...}`"
        )
    if pixels.dtype.kind == "f" and not np.array_equal(pixels, np.round(pixels)):
        raise ReadingError("has fractions as values: save it with whole numbers, one for each class")
    return pixels


def _small(pixels: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers as uint8, uint16 or int32 of -1 to 65535. Raises ReadingError."""
    if pixels.dtype == bool or pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels, dtype=np.uint8)
    low, high = (int(pixels.min()), int(pixels.max())) if pixels.size else (0, 0)
    if low < -1 or high > MOST:
        greater = "in a folder instances/ beside masks/ those of objects may be greater"
        numbers = f"a mask has a number from -1 to {MOST} for each class or object"
        raise ReadingError(f"has values from {low} to {high}: {numbers} ({greater})")
    return np.ascontiguousarray(pixels, dtype=np.int32 if low < 0 else np.uint16)


def _read(path: Path, *, palette_as_colours: bool) -> Picture:
    try:
        picture = _read_any(path, palette_as_colours)
        if picture.pixels.dtype.kind not in "buif":
            raise ReadingError(f"has pixels of the type {picture.pixels.dtype}: save it with real numbers")
        return picture
    except ReadingError:
        raise
    except UnidentifiedImageError:
        raise ReadingError("is not a PNG, JPEG, TIFF or BMP image: export it again") from None
    except Image.DecompressionBombError:
        raise ReadingError(
            "has more pixels than this format is read with: save it as TIFF, or cut it into tiles"
        ) from None
    except OSError as error:
        if error.errno is None:  # a decoder's
            raise ReadingError(DAMAGED) from error
        raise ReadingError(f"cannot be opened ({error.strerror})") from None
    except Exception as error:  # decoders raise whatever they stumble over: struct.error, zlib.error, SyntaxError, ...
        raise ReadingError(DAMAGED) from error


def _read_any(path: Path, palette_as_colours: bool) -> Picture:
    if path.suffix.lower() in (".tif", ".tiff"):
        try:
            return _read_tiff(path, palette_as_colours)
        except tifffile.TiffFileError:  # perhaps a PNG under another name
            pass
    return _read_pillow(path, palette_as_colours)


def _read_pillow(path: Path, palette_as_colours: bool) -> Picture:
    with Image.open(path) as file:
        image: Image.Image = file
        if file.format in ("JPEG", "MPO") and file.getexif().get(ORIENTATION, 1) != 1:
            raise ReadingError(
                "is turned by its EXIF orientation, so how its mask lies on it is unclear: save it upright"
            )
        notes = []
        if file.format == "PNG" and _is_deep_colour(path):
            notes.append("16-bit colour PNG read with 8 bits a channel (TIFF keeps all 16)")
        mode = image.mode
        if mode in ("P", "PA") and palette_as_colours:
            image, mode = image.convert("RGB"), "RGB"
            notes.append("palette read as colours")
        pixels = np.asarray(image)
    if mode in ("RGBA", "LA", "PA"):
        pixels = pixels[..., :-1]
        notes.append("alpha channel left out")
    elif mode not in ("1", "L", "P", "RGB", "I", "F") and not mode.startswith("I;16"):
        raise ReadingError(f"has the colour mode {mode}: save it as grey or RGB")
    return Picture(pixels=_channels_first(pixels), notes=tuple(notes))


def _is_deep_colour(path: Path) -> bool:
    # Pillow reads 16-bit RGB, RGBA and grey with alpha as 8-bit without a word; only the file's header tells
    with path.open("rb") as file:
        header = file.read(26)
    bits, colour = header[24], header[25]
    return bits == 16 and colour in (2, 4, 6)


def _read_tiff(path: Path, palette_as_colours: bool) -> Picture:
    with tifffile.TiffFile(path) as file:
        if len(file.pages) != 1:
            raise ReadingError(f"has {len(file.pages)} pages: save each page as a file of its own")
        page = file.pages.first
        try:
            pixels = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            return _read_compressed(path, palette_as_colours)
        if page.axes == "SYX":
            pixels = np.moveaxis(pixels, 0, -1)
        elif page.axes not in ("YX", "YXS"):
            raise ReadingError(f"has the axes {page.axes}: save it as one image, height by width by channels")
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE and palette_as_colours:
            colours = (np.asarray(page.colormap) >> 8).astype(np.uint8)
            return Picture(pixels=colours[:, pixels], notes=("palette read as colours",))
        samples = pixels.shape[-1] if pixels.ndim == 3 else 1
        alpha = bool(page.extrasamples) and page.extrasamples[-1] != tifffile.EXTRASAMPLE.UNSPECIFIED
        if samples > 1 and (alpha or (page.photometric == tifffile.PHOTOMETRIC.RGB and samples == 4)):
            return Picture(pixels=_channels_first(pixels[..., :-1]), notes=("alpha channel left out",))
    return Picture(pixels=_channels_first(pixels))


def _read_compressed(path: Path, palette_as_colours: bool) -> Picture:
    """LZW and JPEG inside a TIFF: tifffile needs another package for them, Pillow reads most."""
    try:
        return _read_pillow(path, palette_as_colours)
    except UnidentifiedImageError:
        raise ReadingError("has a compression that is not read: save it uncompressed") from None


def _channels_first(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
