"""A reporter that keeps all that a training tells, and can end it in the middle."""

from __future__ import annotations

from shared.finetuning.progress import SilentProgress


class ListeningProgress(SilentProgress):
    """Keeps what is said and read; raises as Ctrl-C does, after a step or before the first.

    Steps are counted over all trainings that it hears of, or within the one of that number (from
    1), where ``training`` is given; ``after=0`` then ends it before its first step.
    """

    def __init__(self, after: int | None = None, training: int | None = None) -> None:
        super().__init__()
        self.after, self.training = after, training
        self.lines: list[str] = []
        self.read: list[int] = []
        """Texts that each piece of work trained on: nothing where it was no training."""
        self.trainings = 0
        self.steps = 0

    def say(self, message: str) -> None:
        self.lines.append(message)

    def start(self, title: str, total: int, done: int = 0, unit: str = "text") -> None:
        self.read.append(0)
        if title == "training":
            self.trainings += 1
            self.steps = 0 if self.training else self.steps
            self._end_where_asked()

    def advance(self, count: int, **figures: float) -> None:
        if "loss" in figures and self.read:
            self.read[-1] += count

    def log(self, **event: object) -> None:
        super().log(**event)
        if event["event"] == "step":
            self.steps += 1
            self._end_where_asked()

    def _end_where_asked(self) -> None:
        if self.steps == self.after and self.training in (None, self.trainings):
            raise KeyboardInterrupt
