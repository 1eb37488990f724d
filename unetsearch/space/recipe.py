"""How a candidate is trained, as plain data."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Loss = Literal["dice_ce", "cross_entropy", "dice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One training. Its length is `steps` optimizer steps, scored `evaluations` times at equal distances.

    `batch_size` crops of `crop` x `crop` pixels a step. The learning rate rises over the first `warmup` of the
    steps, is flat, and falls linearly to zero over the last `decay`. Scores are those of a moving average of the
    weights, which reaches back over the share `reach` of the steps so far: an early score then tells more of the final
    one (`benchmarks/early_scores.py`). `averaging`: an exponential average with this decay a step instead.
    """

    steps: int = 600
    evaluations: int = 12
    crop: int = 96
    batch_size: int = 8
    learning_rate: float = 4e-3
    weight_decay: float = 1e-4
    loss: Loss = "dice_ce"
    warmup: float = 0.05
    decay: float = 0.25
    reach: float = 0.2
    averaging: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain scalars, for YAML, JSON and the canonical hash; of `reach` and `averaging` the one that counts."""
        unused = "averaging" if self.averaging is None else "reach"
        return {name: value for name, value in asdict(self).items() if name != unused}
