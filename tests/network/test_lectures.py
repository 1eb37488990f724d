"""The two lecture listings, wired anew in a few lines of torch: the same weights give the same numbers."""

import torch
from torch import nn
from torch.nn import functional

from unetsearch.api import reference
from unetsearch.graph.build import build_graph
from unetsearch.network.network import build_network


def double(before, middle, after):
    return nn.Sequential(
        nn.Conv2d(before, middle, 3, padding=1),
        nn.BatchNorm2d(middle),
        nn.ReLU(),
        nn.Conv2d(middle, after, 3, padding=1),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


class LectureUNet(nn.Module):
    """Convolutions with biases and BatchNorm; the decoder's second level ends with 64 channels, and so 64 -> 64."""

    def __init__(self, c, k, w):
        super().__init__()
        self.down = nn.ModuleList(
            [double(c, w, w), double(w, 2 * w, 2 * w), double(2 * w, 4 * w, 4 * w), double(4 * w, 8 * w, 8 * w)]
        )
        self.bottom = double(8 * w, 16 * w, 16 * w)
        self.up = nn.ModuleList(
            [
                nn.ConvTranspose2d(16 * w, 8 * w, 2, 2),
                nn.ConvTranspose2d(8 * w, 4 * w, 2, 2),
                nn.ConvTranspose2d(4 * w, 2 * w, 2, 2),
                nn.ConvTranspose2d(w, w, 2, 2),
            ]
        )
        self.merge = nn.ModuleList(
            [
                double(16 * w, 8 * w, 8 * w),
                double(8 * w, 4 * w, 4 * w),
                double(4 * w, 2 * w, w),
                double(2 * w, w, w),
            ]
        )
        self.head = nn.Conv2d(w, k, 1)

    def forward(self, x):
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.bottom(x)
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([skips.pop(), up(x)], 1))
        return self.head(x)

    def in_order(self):
        """The parts in the order of the graph: the encoder, then each decoder node with its up-convolution first."""
        pairs = zip(self.up, self.merge, strict=True)
        return [*self.down, self.bottom, *(part for pair in pairs for part in pair), self.head]


class LectureUNetPlusPlus(nn.Module):
    """Bilinear up-sampling with aligned corners and no convolution behind it; a head on each X[0,j]."""

    def __init__(self, c, k, w):
        super().__init__()
        f = [w, 2 * w, 4 * w, 8 * w, 16 * w]
        self.nodes = nn.ModuleDict()
        for i in range(5):
            self.nodes[f"{i}0"] = double(f[i - 1] if i else c, f[i], f[i])
        for j in range(1, 5):
            for i in range(5 - j):
                self.nodes[f"{i}{j}"] = double(j * f[i] + f[i + 1], f[i], f[i])
        self.heads = nn.ModuleList(nn.Conv2d(w, k, 1) for _ in range(4))

    def forward(self, x):
        made = {}
        for i in range(5):
            made[i, 0] = self.nodes[f"{i}0"](x if i == 0 else functional.max_pool2d(made[i - 1, 0], 2))
        for j in range(1, 5):
            for i in range(5 - j):
                up = functional.interpolate(made[i + 1, j - 1], scale_factor=2, mode="bilinear", align_corners=True)
                made[i, j] = self.nodes[f"{i}{j}"](torch.cat([made[i, k] for k in range(j)] + [up], 1))
        return [head(made[0, j]) for j, head in enumerate(self.heads, start=1)]

    def in_order(self):
        return [*self.nodes.values(), *self.heads]


def copied(parts, network):
    """Copies parameters and buffers in order, after checking that there are as many of the same shapes."""
    theirs = [tensor for part in parts for tensor in part.state_dict().values()]
    ours = list(network.state_dict().values())
    assert [tensor.shape for tensor in theirs] == [tensor.shape for tensor in ours]
    with torch.no_grad():
        for one, other in zip(theirs, ours, strict=True):
            other.copy_(one)


def random_statistics(module):
    """Norms that do something: running statistics, scales and shifts away from 0 and 1."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.1)
            part.running_mean.normal_(std=0.1)
            part.running_var.uniform_(0.5, 1.5)
        elif isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)  # or the signal would be gone after twenty layers
    return module.eval()


def test_the_lectures_unet():
    torch.manual_seed(0)
    theirs = random_statistics(LectureUNet(3, 11, 8))
    ours = build_network(build_graph(reference("unet-lecture", in_channels=3, out_channels=11, width=8))).eval()
    copied(theirs.in_order(), ours)
    x = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        expected, found = theirs(x), ours(x)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_lectures_unet_plus_plus():
    torch.manual_seed(0)
    theirs = random_statistics(LectureUNetPlusPlus(3, 1, 8))
    ours = build_network(build_graph(reference("unet++-lecture", in_channels=3, width=8))).eval()
    copied(theirs.in_order(), ours)
    x = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        expected, found = theirs(x), ours.outputs(x).heads
    assert len(expected) == len(found) == 4
    for one, other in zip(expected, found, strict=True):
        assert one.std() > 0.1
        torch.testing.assert_close(other, one, rtol=0, atol=1e-5)


def test_the_listings_have_the_published_sizes():
    with torch.device("meta"):
        counts = [
            sum(parameter.numel() for parameter in network.parameters())
            for network in (LectureUNet(3, 11, 64), LectureUNetPlusPlus(3, 1, 64))
        ]
    assert counts == [30_953_867, 36_629_828]
