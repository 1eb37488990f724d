"""The classification-guided module of U-Net 3+ (arXiv 2004.08790), and how heads become one output."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

DROPOUT = 0.5


class Presence(nn.Module):
    """Whether each class is in the image: dropout, a 1x1 convolution to absent and present of each, the maximum.

    Features (B, C, H, W) -> logits (B, K), above 0 where the class is present: their sigmoid is the softmax of the
    pair.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(DROPOUT)
        self.convolution = nn.Conv2d(in_channels, 2 * out_channels, 1)
        self.pool = nn.AdaptiveMaxPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K)."""
        pairs: Tensor = self.pool(self.convolution(self.dropout(x))).flatten(1)
        absent, present = pairs.chunk(2, 1)
        return present - absent


def guided(logits: Tensor, presence: Tensor) -> Tensor:
    """The logits (B, K, H, W) of "the pixel has the class, and the image has it", by the presence logits (B, K).

    The probability of a foreground class is multiplied by that of its presence, and the background gets what is taken
    away: an absent class ends near 0 everywhere, however sure a pixel was. The paper multiplies by 0 or 1.
    """
    x, gates = logits.float(), presence.float()[:, :, None, None]
    if logits.shape[1] > 1:
        p = functional.log_softmax(x, 1)
        kept = p[:, 1:] + functional.logsigmoid(gates[:, 1:])
        taken = p[:, 1:] + functional.logsigmoid(-gates[:, 1:])
        return torch.cat([torch.logsumexp(torch.cat([p[:, :1], taken], 1), 1, keepdim=True), kept], 1)
    kept = functional.logsigmoid(x) + functional.logsigmoid(gates)
    taken = functional.logsigmoid(x) + functional.logsigmoid(-gates)
    return kept - torch.logaddexp(functional.logsigmoid(-x), taken)


def mean_of(heads: Sequence[Tensor]) -> Tensor:
    """The logits (B, K, H, W) whose probabilities are the mean of the heads' (the ensemble mode of U-Net++).

    K = 1: probabilities are sigmoids, else softmax.
    """
    stacked = torch.stack([head.float() for head in heads])
    if stacked.shape[2] > 1:
        return torch.logsumexp(functional.log_softmax(stacked, 2), 0)
    return torch.logsumexp(functional.logsigmoid(stacked), 0) - torch.logsumexp(functional.logsigmoid(-stacked), 0)
