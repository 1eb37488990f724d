"""What is known of a feature-extracting backbone of timm, as plain data."""

from dataclasses import dataclass

from unetsearch.errors import ArchitectureError
from unetsearch.space.checks import check_count, check_flag

PREFIX = "timm/"
"""How the name of a backbone begins where an encoder is named."""

SHOWN = 6
"""At most so many reductions stand in a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A backbone by its timm name, with the reduction and the channels of each of its stages.

    Reductions double from 2 or from 4, so that a stage of reduction 2^i fills level i. `pretrained`: its weights are
    loaded, and not drawn.
    """

    name: str
    reductions: tuple[int, ...]
    channels: tuple[int, ...]
    pretrained: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ArchitectureError(f"encoder.name: expected the name of a timm model, got {self.name!r}")
        check_flag("encoder.pretrained", self.pretrained)
        doubling = tuple(self.reductions[0] * 2**stage for stage in range(len(self.reductions)))
        if self.reductions[0] not in (2, 4) or self.reductions != doubling:
            shown = [*map(str, self.reductions[:SHOWN]), *(["..."] if len(self.reductions) > SHOWN else [])]
            raise ArchitectureError(
                f"{PREFIX}{self.name}: its stages reduce by {', '.join(shown)}; "
                "levels need reductions that double from 2 or from 4"
            )
        if len(self.channels) != len(self.reductions):
            raise ArchitectureError(f"{PREFIX}{self.name}: expected channels for {len(self.reductions)} stages")
        for level, channels in enumerate(self.channels, start=self.first_level):
            check_count(f"encoder.channels of level {level}", channels)

    @property
    def first_level(self) -> int:
        """The level of its first stage: 1 or 2. The image's own level has none."""
        return self.reductions[0].bit_length() - 1

    @property
    def last_level(self) -> int:
        """The level of its last stage, and so the greatest depth."""
        return self.first_level + len(self.reductions) - 1

    @property
    def depths(self) -> range:
        """The depths that it allows: at least its first stage is used."""
        return range(self.first_level, self.last_level + 1)

    def check_groups(self) -> None:
        """Raises ArchitectureError where groups of 4 channels do not divide those of its stages."""
        if any(channels % 4 for channels in self.channels):
            raise ArchitectureError(
                f"{PREFIX}{self.name}: norm group with residual decoders needs stages of multiples of 4 channels, "
                f"and it has {', '.join(map(str, self.channels))}; take another norm or plain decoders"
            )

    def check_depth(self, depth: int) -> None:
        """Raises ArchitectureError for a depth that its stages do not reach, or that leaves none of them."""
        if depth not in self.depths:
            raise ArchitectureError(
                f"depth {depth}: {PREFIX}{self.name} has stages of the levels {self.first_level} to "
                f"{self.last_level}, so take a depth of {self.first_level} to {self.last_level}"
            )
