"""Random policies: every key that a policy file may have, with values that often meet. Seeded: same seed, same."""

import random

from tests.model.history import Data

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Pacific/Chatham",
)
CHANNELS = ("email", "sms", "in_app", "push", "letter", "call", "webhook")
TEMPLATES = ("payment_failed", "gentle_reminder", "formal_notice", "suspension_warning", "suspended", "final_notice")
PAIRS = (["21:00", "08:00"], ["08:00", "20:00"], ["22:30", "06:15"], ["00:00", "07:00"], ["12:00", "13:00"])


def policies(rng: random.Random) -> list[Data]:
    """One policy, now and then with a second version, another policy before it, or one that ignores."""
    found = [policy(rng)]
    if rng.random() < 0.2:
        month = rng.choice(["03", "05", "10"])
        found.append({**policy(rng), "version": 2, "valid_from": f"2026-{month}-{rng.randint(10, 28)}T06:00:00Z"})
    if rng.random() < 0.15:
        match = rng.choice([{"min_amount": {"EUR": 1000}}, {"segments": ["self_serve"]}, {"currencies": ["USD"]}])
        found.append({**policy(rng), "id": "other", "priority": 10, "match": match})
    if rng.random() < 0.05:
        found.append(
            {"id": "nothing", "version": 1, "priority": 5, "ignore": True, "match": {"segments": ["self_serve"]}}
        )
    return found


def policy(rng: random.Random) -> Data:
    found: Data = {"id": "random", "version": 1, "ladder": ladder(rng)}
    if rng.random() < 0.9:
        found["retries"] = retries(rng)
    if rng.random() < 0.3:
        found["anchor"] = rng.choice(["due_date", "first_failure"])
    if rng.random() < 0.4:
        found["timezone"] = rng.choice(ZONES)
    if rng.random() < 0.4:
        found["fallback_timezone"] = rng.choice(ZONES)
    if rng.random() < 0.5:
        found["contact"] = contact(rng)
    if rng.random() < 0.25:
        found["roll"] = roll(rng)
    if rng.random() < 0.3:
        found["conditions"] = conditions(rng, found["ladder"])
    if rng.random() < 0.1:
        found["match"] = rng.choice(
            [{"currencies": ["EUR"]}, {"segments": ["self_serve"]}, {"countries": ["DE"]}, {"payment_types": ["card"]}]
        )
    return found


def roll(rng: random.Random) -> Data:
    calendars = rng.choice([["account_country"], ["account_country", "FR"], ["DE-BY"], []])
    found: Data = {"business_days": rng.choice(["next", "next", "previous"])}
    return {**found, "calendars": calendars} if calendars else found


def conditions(rng: random.Random, rungs: list[Data]) -> Data:
    """Of one or two rungs."""
    return {
        rung["rung"]: rng.choice(
            [
                {"tags_none": ["vip"]},
                {"balance_at_least": {"EUR": rng.choice([700, 5000])}},
                {"balance_at_least": {"EUR": 5000, "USD": 4000}, "tags_none": ["vip", "court"]},
                {"unpaid_invoices_at_least": rng.choice([1, 2])},
            ]
        )
        for rung in rng.sample(rungs, k=min(len(rungs), rng.choice([1, 2])))
    }


def contact(rng: random.Random) -> Data:
    found: Data = {}
    if rng.random() < 0.5:
        found["quiet_hours"] = rng.choice(["none", *PAIRS, *PAIRS])
    elif rng.random() < 0.5:
        found["quiet_hours"] = {channel: rng.choice([*PAIRS]) for channel in rng.sample(CHANNELS, k=3)}
    if rng.random() < 0.5:
        found["caps"] = {
            name: {
                window: rng.choice([0, 1, 1, 2, 3])
                for window in rng.sample(["1d", "2d", "12h", "7d"], k=rng.randint(1, 2))
            }
            for name in rng.sample([*CHANNELS, "all"], k=rng.choice([0, 1, 1, 2]))
        }
    return found


def retries(rng: random.Random) -> Data:
    found: Data = {"after": rng.choices(["1d", "3d", "5d", "7d", "12h", "1d12h", "90m", "0d"], k=rng.randint(1, 5))}
    found["after"] = [one for one in found["after"] if one != "0d"] or ["1d"]
    if rng.random() < 0.05:
        found["strategy"] = "ladder"
    if rng.random() < 0.3:
        found["max_retries"] = rng.randint(0, 7)
    if rng.random() < 0.4:
        found["window"] = rng.choice(["4d", "1w", "14d", "28d"])
    if rng.random() < 0.4:
        found["hours"] = rng.choice(PAIRS)
    if rng.random() < 0.3:
        found["technical_after"] = rng.choice([[], ["5m"], ["1h", "1d"]])
    if rng.random() < 0.15:
        found["roll"] = roll(rng)
    if rng.random() < 0.3:
        found["timeout"] = rng.choice(["6h", "2d", "5d"])
    return found


def notice(rng: random.Random) -> Data:
    channels = rng.sample(CHANNELS, k=rng.choice([1, 1, 2, 3]))
    rest = [one for one in CHANNELS if one not in channels]
    found: Data = {"template": rng.choice(TEMPLATES), "channels": channels}
    if rng.random() < 0.4:
        found["fallback"] = rng.sample(rest, k=rng.choice([1, 2]))
    return found


def ladder(rng: random.Random) -> list[Data]:
    """Rungs in order; restricting ones with the warnings that the contracts ask for."""
    hours = rng.choice([0, 0, 0, 6, 24])
    rungs: list[Data] = [{"rung": "first", "at": duration(hours), "notice": notice(rng)}]
    if rng.random() < 0.8:
        rungs[0]["account"] = "past_due"
        if rng.random() < 0.1:
            del rungs[0]["notice"]
    hours = plain(rng, rungs, hours)
    for stage in ("restricted", "suspended", "terminated"):
        if rng.random() < 0.35:
            continue
        warned = stage != "restricted" or rng.random() < 0.4
        rung: Data = {"rung": stage, "account": stage}
        if warned:
            hours = later(rng, hours)
            warned_at = hours
            rungs.append({"rung": f"warn_{stage}", "at": duration(hours), "notice": notice(rng)})
            hours = plain(rng, rungs, hours)
            rung["warned_by"] = f"warn_{stage}"
        hours = later(rng, hours, nothing=not warned)
        if warned and rng.random() < 0.3:
            rung["lead"] = duration(max(1, (hours - warned_at) // rng.choice([1, 2, 4])))
        rung["at"] = duration(hours)
        if warned and stage != "restricted" and rng.random() < 0.3:
            rung["unreachable"] = rng.choice(["2d", "12h", "10d"])
        if rng.random() < 0.6:
            rung["notice"] = notice(rng)
        if rng.random() < 0.1:
            rung["collections"] = True
        rungs.append(rung)
        if stage != "terminated":
            hours = plain(rng, rungs, hours)
    return rungs


def plain(rng: random.Random, rungs: list[Data], hours: int) -> int:
    for _ in range(rng.choice([0, 1, 1, 2])):
        hours = later(rng, hours, nothing=True)
        rungs.append({"rung": f"plain_{len(rungs)}", "at": duration(hours), "notice": notice(rng)})
    return hours


def later(rng: random.Random, hours: int, nothing: bool = False) -> int:
    return hours + rng.choice([0, 24, 24, 48, 72, 96, 168, 6, 36] if nothing else [24, 48, 72, 168, 6, 480])


def duration(hours: int) -> str:
    days, rest = divmod(hours, 24)
    if days and rest:
        return f"{days}d{rest}h"
    return f"{rest}h" if rest else f"{days}d"
