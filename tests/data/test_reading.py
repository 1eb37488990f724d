import numpy as np
import pytest
import tifffile
from PIL import Image

from unetsearch.data.reading import DAMAGED, ReadingError, large_images_allowed, read_image, read_mask, read_objects

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
COLOUR = np.stack([GREY, GREY + 50, GREY + 100], axis=-1)
DEEP = GREY.astype(np.uint16) * 5000


def test_grey_and_colour_images(tmp_path):
    for suffix in ("png", "bmp", "tif"):
        Image.fromarray(GREY).save(tmp_path / f"grey.{suffix}")
        Image.fromarray(COLOUR).save(tmp_path / f"colour.{suffix}")
        np.testing.assert_array_equal(read_image(tmp_path / f"grey.{suffix}").pixels, GREY[None])
        np.testing.assert_array_equal(read_image(tmp_path / f"colour.{suffix}").pixels, COLOUR.transpose(2, 0, 1))


def test_a_jpeg_image(tmp_path):
    Image.fromarray(np.full((8, 9, 3), 77, np.uint8)).save(tmp_path / "a.JPG", format="JPEG")
    picture = read_image(tmp_path / "a.JPG")
    assert picture.pixels.shape == (3, 8, 9)
    assert picture.notes == ()


def test_sixteen_bits_stay(tmp_path):
    Image.fromarray(DEEP).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "b.tif", DEEP, byteorder=">")
    tifffile.imwrite(tmp_path / "c.tif", DEEP.astype(np.int32))
    tifffile.imwrite(tmp_path / "d.tif", np.stack([DEEP] * 3, axis=-1), photometric="rgb")
    for name in ("a.png", "b.tif", "c.tif", "d.tif"):
        pixels = read_image(tmp_path / name).pixels
        assert pixels.dtype == np.dtype(np.uint16)
        np.testing.assert_array_equal(pixels[-1], DEEP)


def test_floats_and_negative_numbers_become_float32(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY / 7)
    tifffile.imwrite(tmp_path / "b.tif", GREY.astype(np.int16) - 1000)
    a, b = read_image(tmp_path / "a.tif").pixels, read_image(tmp_path / "b.tif").pixels
    assert a.dtype == b.dtype == np.float32
    np.testing.assert_array_equal(a[0], (GREY / 7).astype(np.float32))
    np.testing.assert_array_equal(b[0], GREY.astype(np.float32) - 1000)


def test_nan_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((3, 4), np.nan, np.float32))
    with pytest.raises(ReadingError, match=r"^has pixels that are NaN, infinite, or beyond 3\.4e38: replace them$"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_left_out_and_noted(tmp_path, mode):
    Image.fromarray(COLOUR).convert(mode).save(tmp_path / "a.png")
    picture = read_image(tmp_path / "a.png")
    assert len(picture.pixels) == len(mode) - 1
    assert picture.notes == ("alpha channel left out",)


def test_alpha_of_a_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([COLOUR, GREY]), photometric="rgb", extrasamples=["unassalpha"])
    picture = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, COLOUR.transpose(2, 0, 1))
    assert picture.notes == ("alpha channel left out",)


def test_planes_of_a_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", COLOUR.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, COLOUR.transpose(2, 0, 1))


def test_a_compressed_tiff(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, COLOUR.transpose(2, 0, 1))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_palette_is_colours_in_an_image_and_indices_in_a_mask(tmp_path, suffix):
    indexed = Image.fromarray(GREY % 3).convert("P")
    indexed.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    indexed.save(tmp_path / f"a.{suffix}")
    picture = read_image(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(picture.pixels[0], np.array([0, 255, 0], np.uint8)[GREY % 3])
    assert picture.notes == ("palette read as colours",)
    np.testing.assert_array_equal(read_mask(tmp_path / f"a.{suffix}"), GREY % 3)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_one_bit(tmp_path, suffix):
    Image.fromarray(GREY > 5).save(tmp_path / f"a.{suffix}")
    assert read_image(tmp_path / f"a.{suffix}").pixels.max() == 255
    np.testing.assert_array_equal(read_mask(tmp_path / f"a.{suffix}") > 0, GREY > 5)


def test_masks_of_many_kinds(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([GREY] * 3)).save(tmp_path / "rgb.png")
    Image.fromarray(np.dstack([GREY] * 4)).save(tmp_path / "rgba.png")
    Image.fromarray(GREY).convert("LA").save(tmp_path / "la.png")
    tifffile.imwrite(tmp_path / "float.tif", GREY.astype(np.float32))
    tifffile.imwrite(tmp_path / "long.tif", GREY.astype(np.int64))
    for name in ("grey.png", "rgb.png", "rgba.png", "la.png", "float.tif", "long.tif"):
        np.testing.assert_array_equal(read_mask(tmp_path / name), GREY)
    Image.fromarray(DEEP).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "deep.png"), DEEP)
    tifffile.imwrite(tmp_path / "ignore.tif", GREY.astype(np.int8) - 1)
    np.testing.assert_array_equal(read_mask(tmp_path / "ignore.tif"), GREY.astype(int) - 1)


def test_a_coloured_mask_is_refused(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    with pytest.raises(ReadingError, match=r"^is coloured: save it with one channel, a number for each class$"):
        read_mask(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            np.where(GREY > 5, np.nan, GREY).astype(np.float32),
            "has NaN or infinite values: give these pixels a number of their own, and name it by `data: {ignore: ...}`",
        ),
        (GREY.astype(np.complex64), "has pixels of the type complex64: save it with real numbers"),
        (GREY / 7, "has fractions as values: save it with whole numbers, one for each class"),
        (
            GREY.astype(np.int32) * 10**6,
            "has values from 0 to 11000000: a mask has a number from -1 to 65535 for each class or object "
            "(in a folder instances/ beside masks/ those of objects may be greater)",
        ),
        (np.stack([GREY] * 2, axis=-1), "has the shape 2x3x4: a mask has one channel"),
    ],
)
def test_masks_without_classes_are_refused(tmp_path, values, message):
    tifffile.imwrite(
        tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig" if values.ndim > 2 else None
    )
    with pytest.raises(ReadingError) as error:
        read_mask(tmp_path / "a.tif")
    assert str(error.value) == message


def test_objects_with_great_numbers_are_counted_anew(tmp_path):
    numbers = np.array([[0, 70000, 70000], [9, 0, 2**31 - 1]], np.int32)
    tifffile.imwrite(tmp_path / "a.tif", numbers)
    assert read_objects(tmp_path / "a.tif").tolist() == [[0, 2, 2], [1, 0, 3]]
    tifffile.imwrite(tmp_path / "b.tif", np.where(numbers, numbers, 5))
    assert read_objects(tmp_path / "b.tif").tolist() == [[1, 3, 3], [2, 1, 4]]
    tifffile.imwrite(tmp_path / "e.tif", numbers - 9)
    assert read_objects(tmp_path / "e.tif").tolist() == [[0, 1, 1], [0, 0, 2]], "what is below 0 is none"
    tifffile.imwrite(tmp_path / "f.tif", np.array([[-3, -1, 7]], np.int16))
    assert read_objects(tmp_path / "f.tif").tolist() == [[0, 0, 7]]
    few = (numbers % 60000).astype(np.uint16)
    tifffile.imwrite(tmp_path / "c.tif", few)
    assert read_objects(tmp_path / "c.tif").tolist() == few.tolist(), "others stay"
    tifffile.imwrite(tmp_path / "d.tif", numbers + np.float32(0.5))
    with pytest.raises(ReadingError, match=r"^has fractions as values"):
        read_objects(tmp_path / "d.tif")


def test_a_stack_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 8, 8), np.uint8), photometric="minisblack")
    with pytest.raises(ReadingError, match=r"^has 5 pages: save each page as a file of its own$"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
def test_damaged_files_are_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ReadingError) as error:
        read_image(path)
    assert str(error.value) == DAMAGED


def test_a_file_that_is_no_image(tmp_path):
    (tmp_path / "a.png").write_text("<html>", encoding="utf-8")
    with pytest.raises(ReadingError, match=r"^is not a PNG, JPEG, TIFF or BMP image: export it again$"):
        read_image(tmp_path / "a.png")


def test_complex_pixels_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(np.complex128))
    with pytest.raises(ReadingError, match=r"^has pixels of the type complex128: save it with real numbers$"):
        read_image(tmp_path / "a.tif")


def test_numbers_beyond_float32_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY * 1e300)
    with pytest.raises(ReadingError, match=r"^has pixels that are NaN, infinite, or beyond 3\.4e38: replace them$"):
        read_image(tmp_path / "a.tif")


def test_a_png_under_the_name_of_a_tiff(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.tif", format="PNG")
    Image.fromarray(GREY).save(tmp_path / "b.tiff", format="PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, COLOUR.transpose(2, 0, 1))
    np.testing.assert_array_equal(read_mask(tmp_path / "b.tiff"), GREY)
    (tmp_path / "c.tif").write_text("<html>", encoding="utf-8")
    with pytest.raises(ReadingError, match=r"^is not a PNG, JPEG, TIFF or BMP image: export it again$"):
        read_image(tmp_path / "c.tif")


def test_a_file_that_cannot_be_opened(tmp_path):
    for suffix in ("png", "tif"):
        with pytest.raises(ReadingError, match=r"^cannot be opened \(No such file or directory\)$"):
            read_image(tmp_path / f"nowhere.{suffix}")


def test_large_images_are_allowed_up_to_a_limit(tmp_path, monkeypatch):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", GREY.size - 1)
    with large_images_allowed():
        assert read_image(tmp_path / "a.png").pixels.shape == (1, 3, 4)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", GREY.size // 2 - 1)
    with (
        large_images_allowed(),
        pytest.raises(ReadingError, match=r"^has more pixels than .* save it as TIFF, or cut it"),
    ):
        read_image(tmp_path / "a.png")


def test_a_turned_image_is_refused(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOUR).save(tmp_path / "a.jpg", exif=exif)
    with pytest.raises(ReadingError) as error:
        read_image(tmp_path / "a.jpg")
    assert str(error.value) == (
        "is turned by its EXIF orientation, so how its mask lies on it is unclear: save it upright"
    )


def test_an_unusual_colour_mode_is_refused(tmp_path):
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "a.jpg")
    with pytest.raises(ReadingError, match=r"^has the colour mode CMYK: save it as grey or RGB$"):
        read_image(tmp_path / "a.jpg")


def test_sixteen_bit_colour_png(tmp_path):
    (tmp_path / "a.png").write_bytes(deep_colour_png())
    assert read_image(tmp_path / "a.png").notes == ("16-bit colour PNG read with 8 bits a channel (TIFF keeps all 16)",)
    with pytest.raises(ReadingError, match=r"^is a 16-bit colour file: save it with one channel, a number for each"):
        read_mask(tmp_path / "a.png")


def deep_colour_png() -> bytes:
    """A 1x1 RGB PNG of 16 bits a channel, which Pillow cannot write."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" + struct.pack(">HHH", 1, 2, 3))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
