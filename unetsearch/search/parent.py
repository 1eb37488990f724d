"""The trainer's end of the pipes."""

import pickle
from threading import Condition
from typing import BinaryIO

import torch

from unetsearch.search.messages import Answer, Go, Held, Hold, Job, Measure, Pause, Request, Stop


class Parent:
    """The other end of the pipes: what it is told, by either thread, and what it wants of the training at work."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._changed = Condition()
        self._working = False
        self._stop: Stop | Pause | None = None
        self._hold = False
        self._unanswered = 0  # each Hold is answered by one Held

    def say(self, answer: Answer) -> None:
        """Sends one answer, whole."""
        with self._changed:
            pickle.dump(answer, self._answers)
            self._answers.flush()

    def hear(self, request: Request) -> None:
        """Takes in what was asked; for the thread that listens."""
        with self._changed:
            if isinstance(request, Job | Measure):
                self._working, self._stop = True, None  # a Stop that came too late is not the next job's
            elif isinstance(request, Stop | Pause):
                self._stop = request
            elif isinstance(request, Hold):
                self._hold, self._unanswered = True, self._unanswered + 1
                if not self._working:
                    self._answer_holds()
            elif isinstance(request, Go):
                self._hold = False
            self._changed.notify_all()

    def heed(self, device: torch.device) -> Stop | Pause | None:
        """Waits as long as the parent holds the training, whose device is idle then; gives its Stop or Pause, once."""
        with self._changed:
            if self._unanswered and self._stop is None:  # what ends now answers at its end
                torch.get_device_module(device).synchronize()
                self._answer_holds()
            while self._hold and self._stop is None:
                self._changed.wait()
            said, self._stop = self._stop, None
            return said

    def end(self, answer: Answer) -> None:
        """Sends the last answer to a request: from now on nothing is at work."""
        with self._changed:
            self.say(answer)
            self._working = False
            self._answer_holds()

    def _answer_holds(self) -> None:
        for _ in range(self._unanswered):
            self.say(Held())
        self._unanswered = 0
