"""Dead letters that nobody looked at: each is an event that did nothing."""

from collections import Counter
from collections.abc import Sequence

from dunning.runtime.settings import Settings
from dunning_cli.dead_letters.letters import DeadLetter, Filter
from dunning_cli.dead_letters.orders import TO_DO, Orders
from dunning_cli.dead_letters.read import DeadLetters
from dunning_cli.health.findings import Finding, ok, warning

LETTERS = "letters"
COUNTED_MAX = 1000
_NAMED_MAX = 5


async def look_at_letters(settings: Settings) -> list[Finding]:
    """The newest that wait for somebody, up to a limit: a topic of a million is not read for a number."""
    async with Orders.open(settings) as orders, DeadLetters.open(settings) as letters:
        return [judge_letters(await letters.newest(Filter(), COUNTED_MAX, orders.in_states(TO_DO)))]


def judge_letters(waiting: Sequence[DeadLetter]) -> Finding:
    """By service and reason, the most frequent first."""
    if not waiting:
        return ok(LETTERS, "no dead letter waits for anybody")
    counted = Counter(f"{letter.place.service} {letter.reason}" for letter in waiting).most_common()
    named = ", ".join(f"{which} {count}" for which, count in counted[:_NAMED_MAX])
    others = f" and {len(counted) - _NAMED_MAX} more kinds" if len(counted) > _NAMED_MAX else ""
    count = f"{len(waiting)} or more" if len(waiting) >= COUNTED_MAX else str(len(waiting))
    oldest = min(letter.set_aside_at for letter in waiting)
    said = f"{count} dead letters that nobody dealt with since {oldest:%Y-%m-%d %H:%M}Z: {named}{others}"
    return warning(LETTERS, said, "`dunning dlq list` shows them; `dunning dlq replay` or `discard` them")
