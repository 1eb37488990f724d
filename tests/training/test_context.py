import pytest
import torch

from unetsearch.api import reference
from unetsearch.data.dataset import SegmentationData, Split
from unetsearch.errors import DataError
from unetsearch.graph.build import build_graph
from unetsearch.graph.sizes import context
from unetsearch.network.network import build_network
from unetsearch.space.recipe import Recipe
from unetsearch.training.batches import batches
from unetsearch.training.context import check_context, logits_of, mirror_indices, mirrored, outputs_of
from unetsearch.training.sources import Resident


def network(name="unet-2015", **values):
    torch.manual_seed(0)
    return build_network(build_graph(reference(name, width=4, **values))).eval()


def test_mirrored_like_the_library_does_it_and_beyond():
    x = torch.arange(20.0).reshape(1, 1, 4, 5)
    expected = torch.nn.functional.pad(x, (3, 3, 2, 2), mode="reflect")
    assert torch.equal(mirrored(x, 2, 3), expected)
    assert mirrored(x, 9, 11).shape == (1, 1, 22, 27)  # torch's own refuses that
    assert torch.equal(mirrored(x, 0, 0), x)
    assert torch.equal(mirrored(torch.ones(1, 1, 1, 1), 2, 1), torch.ones(1, 1, 5, 3))


@pytest.mark.parametrize("size", [(64, 64), (61, 75), (90, 33)])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_whole_images_come_back_at_their_size_and_place(depth, size):
    """The logits are those of the bare network for an image that was mirrored by hand, at the same pixels."""
    net = network(depth=depth)
    graph, x = net.graph, torch.randn(1, 1, *size)
    rows, columns = (context(graph, side) for side in size)
    pads = (columns.margin, columns.size - columns.margin - size[1], rows.margin, rows.size - rows.margin - size[0])
    with torch.no_grad():
        found = logits_of(net, x)
        assert found.shape == (1, 1, *size)
        tall = x[..., mirror_indices(size[0], -pads[2], size[0] + pads[3]), :]
        bare = net(tall[..., mirror_indices(size[1], -pads[0], size[1] + pads[1])])
        lost = [(frame.size - side) // 2 for frame, side in zip((rows, columns), bare.shape[2:], strict=True)]
        top, left = rows.margin - lost[0], columns.margin - lost[1]  # pixel p of the image is logit p + margin - lost
        torch.testing.assert_close(found, bare[..., top : top + size[0], left : left + size[1]])


def test_a_crop_is_answered_like_the_whole_image():
    """Training sees what inference sees: the same pixels with the same surroundings give the same logits."""
    net = network(depth=2)
    recipe = Recipe(crop=32, batch_size=4)
    image = torch.randn(1, 96, 96)
    mask = (image[0] > 0).to(torch.uint8)
    frame = context(net.graph, 32)
    margin = frame.margin
    source = Resident.of([image.numpy()], [mask.numpy()], torch.device("cpu"))
    batch = next(batches(source, recipe, 3, margin))
    images, masks = batch.images, batch.masks
    assert images.shape == (4, 1, 32 + 2 * margin, 32 + 2 * margin)
    assert masks.shape == (4, 32, 32)
    middle = images[:, 0, margin:-margin, margin:-margin]
    assert torch.equal((middle > 0).to(torch.uint8), masks)
    plain = next(batches(source, recipe, 3))
    assert torch.equal(plain.images[:, 0], middle)
    with torch.no_grad():
        heads = outputs_of(net, images, frame).heads
        assert heads[-1].shape == (4, 1, 32, 32)
        top, left = 32, 24  # where the pooling of the crop and of the whole image fall on the same pixels
        assert (context(net.graph, 96).margin - margin) % 4 == top % 4 == left % 4 == 0
        crop = image[None, :, top - margin : top + 32 + margin, left - margin : left + 32 + margin]
        whole = logits_of(net, image[None])
        torch.testing.assert_close(outputs_of(net, crop, frame).heads[-1], whole[..., top : top + 32, left : left + 32])


def test_a_small_image_is_mirrored_up_to_the_crop_and_around_it():
    image = torch.randn(1, 20, 24)
    source = Resident.of([image.numpy()], [(image[0] > 0).numpy().astype("uint8")], torch.device("cpu"))
    batch = next(batches(source, Recipe(crop=32, batch_size=2), 0, 10))
    assert batch.images.shape == (2, 1, 52, 52)
    assert torch.equal(batch.images[:, 0, 10:-10, 10:-10] > 0, batch.masks == 1), "with its labels"


def data(side):
    images = tuple(torch.zeros(1, side, side, dtype=torch.uint8).numpy() for _ in range(3))
    return SegmentationData(
        name="tiles",
        images=images,
        masks=tuple(image[0] for image in images),
        stems=("a", "b", "c"),
        groups=("a", "b", "c"),
        classes=("background", "cell"),
        split=Split(train=(0,), validation=(1,), test=(2,), by="random"),
        notes=(),
        fingerprint="x",
    )


def test_images_too_small_to_be_mirrored_so_far():
    architecture = reference("unet-2015")
    check_context(data(96), "the baseline unet-2015 of depth 4", architecture, 96)
    with pytest.raises(DataError) as caught:
        check_context(data(64), "the baseline unet-2015 of depth 4", architecture, 96)
    assert str(caught.value) == (
        "the baseline unet-2015 of depth 4 has unpadded convolutions and reads 94 px around each crop, mirrored at the "
        "image's border: it needs images of at least 95 px, but tiles has images of 64 px: take a depth of at most 3, "
        "or padded convolutions (the reference unet)"
    )
    with pytest.raises(DataError, match=r"images of 8 px: take padded convolutions"):
        check_context(data(8), "the baseline unet-2015 of depth 4", architecture, 32)
