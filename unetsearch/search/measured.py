"""Latency and memory of candidates, measured once an architecture."""

from collections.abc import Callable

from unetsearch.graph.build import build_graph
from unetsearch.search.candidate import Candidate
from unetsearch.search.messages import Failed, Measured
from unetsearch.search.pool import Pool
from unetsearch.search.records import TrialRecord
from unetsearch.space.settings import MEASURED
from unetsearch.space.space import SearchSpace


class Measurements:
    """`wanted`: whether an objective of the space asks for them."""

    def __init__(self, space: SearchSpace, pool: Pool) -> None:
        self.wanted = bool(MEASURED & set(space.objectives))
        self._pool = pool
        self._known: dict[str, Measured] = {}
        self._learnt: set[str] = set()

    def learn(self, records: list[TrialRecord]) -> None:
        """Takes over what was measured before, or by other machines."""
        for record in records if self.wanted else ():
            if record.name not in self._learnt and record.latency is not None and record.memory is not None:
                self._learnt.add(record.name)
                hash_ = build_graph(record.architecture).hash
                self._known.setdefault(hash_, Measured(record.latency, record.memory))

    def of(self, candidate: Candidate, slot: int, meanwhile: Callable[[], None]) -> Measured | Failed:
        """What is known, or else what an idle slot measures while the others wait. `meanwhile`: called now and then."""
        hash_ = candidate.graph.hash
        if hash_ not in self._known:
            measured = self._pool.measure(slot, candidate.architecture, meanwhile)
            if isinstance(measured, Failed):
                return measured
            self._known[hash_] = measured
        return self._known[hash_]
