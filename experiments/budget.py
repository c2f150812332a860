"""How long a run may take: what still fits, and an alarm for what may be interrupted."""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lib.training.snapshots import OutOfTime

SAVING = 0.05  # the part of a budget, its last, in which a training no longer goes on but is saved


class Budget:
    """Seconds from now on; None for no end."""

    def __init__(self, seconds: float | None) -> None:
        self._end = math.inf if seconds is None else time.monotonic() + seconds
        self.until = self._end - SAVING * (seconds or 0.0)  # when a training is to stop by itself

    def affords(self, price: float) -> bool:
        """Whether what takes `price` seconds ends before the budget does; once it is over, it affords nothing."""
        return self._end - time.monotonic() > price

    @contextmanager
    def alarm(self) -> Iterator[None]:
        """What runs inside is interrupted by `OutOfTime` when the budget is over. In the main thread only."""
        if self._end == math.inf:
            yield
            return

        def ring(*_: object) -> None:
            raise OutOfTime("the budget is over")

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, max(self._end - time.monotonic(), 1e-6))  # 0 would switch it off
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
