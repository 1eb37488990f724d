"""Trainings that wait between two slots: all pause early, and those that promise most go on first."""

from unetsearch.search.pruner import Pruner
from unetsearch.search.running import Running

SHARE = 4
"""One in so many trainings goes on while new ones can be begun; the others that may stand on the front go on then."""

FIRST = 3
"""So many are begun before the first one goes on."""

MOST = 32
"""So many wait at most, each with its checkpoint on the disk."""

MOST_SHARED = 4
"""The same where machines share a study: the others cannot take over what waits on this one."""

ROOM = 4 * 2**30
"""Bytes that their checkpoints take: a little more at most."""

BYTES = 16
"""Of a checkpoint for each parameter: its weight, its moving average and the two moments of AdamW."""


class Paused:
    """Those of this process. `begun`: how many candidates it began to train. `most`: so many wait at most."""

    def __init__(self, pruner: Pruner, most: int = MOST) -> None:
        self._pruner = pruner
        self._most = most
        self._waiting: list[Running] = []
        self.begun = 0
        self._taken = 0
        self._peers = 0

    @property
    def waiting(self) -> tuple[Running, ...]:
        """Those that wait, in the order in which they paused."""
        return tuple(self._waiting)

    @property
    def due(self) -> bool:
        """Whether one of them is to go on before another one is begun."""
        few = self.begun < FIRST or self._taken * SHARE >= self.begun
        room = ROOM - sum(BYTES * running.record.params for running in self._waiting)
        return bool(self._waiting) and (not few or len(self._waiting) >= self._most or room <= 0)

    def add(self, running: Running) -> None:
        """One more waits."""
        self._waiting.append(running)

    def remove(self, running: Running) -> None:
        """One is forgotten here."""
        self._waiting.remove(running)

    def take(self) -> Running:
        """The most promising one, which goes on. Raises ValueError where none waits."""
        best = self._waiting.pop(self._pruner.best([running.record for running in self._waiting]))
        self._taken += 1
        return best

    def hopeless(self) -> list[Running]:
        """Those that no longer promise a place on the front, and have to be removed."""
        if self._peers == self._pruner.peers:
            return []
        self._peers = self._pruner.peers
        return [running for running in self._waiting if not self._pruner.keeps(running.record)]
