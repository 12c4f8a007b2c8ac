"""How long to wait before trying again what may work later: longer every time, never all at once, for ever."""

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Pauses:
    """Growing pauses. The jitter keeps the instances that lost the same broker from coming back as one."""

    seconds_first: float = 0.1
    seconds_max: float = 15.0
    tries: int = field(default=0, init=False)

    def next_seconds(self) -> float:
        """The next pause: doubled each time up to the longest, and anything between half of that and all of it."""
        longest = min(self.seconds_max, self.seconds_first * 2.0 ** min(self.tries, 30))
        self.tries += 1
        return longest * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It worked."""
        self.tries = 0
