"""A clock for tests: time goes on only when somebody sleeps."""

from datetime import datetime, timedelta

from digest import pace


class Clock:
    def __init__(self, at: datetime) -> None:
        self.at = at
        self.waits: list[float] = []
        self.time = pace.Time(self.now, self.sleep)

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.at += timedelta(seconds=seconds)

    def monotonic(self) -> float:
        return self.at.timestamp()
