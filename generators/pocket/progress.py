"""A progress line with the time left, for work of minutes."""

import sys
import time


class Progress:
    """Rewrites one line on standard error, at most once a second: progress, time left, and a note."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done = what, total, 0
        self.began = self.last_shown = time.monotonic()

    def step(self, note: str = "", count: int = 1) -> None:
        """Advances by `count` parts."""
        self.done += count
        now = time.monotonic()
        if self.done >= self.total or now - self.last_shown > 1:
            self.last_shown, left = now, (now - self.began) / self.done * (self.total - self.done)
            end = "\n" if self.done >= self.total else ""
            print(f"\r{self.what}: {self.done} of {self.total}, {left:.0f} s left  {note:12}", end=end, file=sys.stderr)
            sys.stderr.flush()
