"""What the tests of recorded work share."""

from unetsearch.training.recording import CudaGraphs


class Recorded:
    """A recorder for the processor: the work itself, which reads from where it read when it was recorded."""

    def __init__(self, *, waits=False):
        self.waits = waits
        self.warmed = self.recorded = self.replays = 0

    def warm(self, work):
        self.warmed += 1
        work()

    def record(self, work):
        def replay():
            self.replays += 1
            work()

        self.recorded += 1
        work()
        return None if self.waits else replay


class Watched(CudaGraphs):
    """On CUDA, with what came of it."""

    def __init__(self, device):
        super().__init__(device)
        self.recorded = self.given_up = 0

    def record(self, work):
        replay = super().record(work)
        self.recorded += replay is not None
        self.given_up += replay is None
        return replay
