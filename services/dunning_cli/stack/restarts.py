"""How long to wait before something that died is started again."""

FIRST_PAUSE_SECONDS = 0.2
PAUSE_SECONDS_MAX = 30.0
ALIVE_SECONDS_TO_FORGET = 60.0


def next_pause_seconds(previous: float | None, *, was_alive_seconds: float) -> float:
    """Doubles from death to death: a part that cannot start must not eat the machine. A minute alive forgives."""
    if previous is None or was_alive_seconds >= ALIVE_SECONDS_TO_FORGET:
        return FIRST_PAUSE_SECONDS
    return min(previous * 2, PAUSE_SECONDS_MAX)
