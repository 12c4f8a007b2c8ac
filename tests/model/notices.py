"""The notice track: rules 23, 25, 29 to 33."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from tests.model import conditions, ladder, pauses
from tests.model.case import Case, Sending
from tests.model.dates import Span, first_minute, instant, later, span
from tests.model.history import Data
from tests.model.policies import Rung, present_zone
from tests.model.story import Story

FORTNIGHT = Span(14, 0)
NEEDS_NO_ADDRESS = ("in_app", "push", "webhook")
ADDRESS_OF = {"email": "email", "sms": "phone", "call": "phone", "letter": "postal_address"}


def address(story: Story, channel: str) -> str | None:
    """Rule 29: `in_app` and `push` need no address but the account."""
    if story.history.is_erased():
        return None
    if channel in NEEDS_NO_ADDRESS:
        return story.account
    found = story.history.customer(ADDRESS_OF[channel]) if channel in ADDRESS_OF else None
    return str(found) if found else None


def allowed_from(story: Story, case: Case, channel: str, now: datetime) -> datetime:
    """Rule 32: the first instant from `now` on outside quiet hours and below all caps, as far as is known. The
    customer's present zone counts."""
    pair = case.policy.quiet.get(channel)
    zone = present_zone(case.policy, story.history.customer("timezone"))
    moment = now
    while True:
        allowed = below_caps(story, case, channel, moment)
        if pair is not None:
            allowed = first_minute(allowed, zone, pair, inside_it=False)
        if allowed == moment:
            return moment
        moment = allowed


def below_caps(story: Story, case: Case, channel: str, moment: datetime) -> datetime:
    """Rule 32: by account and channel (`all`: over all channels), in windows that end now and are half-open."""
    for name, caps in case.policy.caps.items():
        for window, most in caps.items() if name in (channel, "all") else ():
            length = timedelta(days=span(window).days, seconds=span(window).seconds)
            counted = sorted(at for at, by in story.went_out if name in ("all", by))
            inside_window = [at for at in counted if at > moment - length]
            if 0 < most <= len(inside_window):
                return below_caps(story, case, channel, inside_window[-most] + length)
    return moment


def is_shut(case: Case, channel: str) -> bool:
    """0003, rule 32: a cap of 0 shuts the channel, its fallback follows."""
    return any(most == 0 for name in (channel, "all") for most in case.policy.caps.get(name, {}).values())


def marked(story: Story, channel: str, where: str) -> bool:
    """Rule 30: a permanent bounce marks the address."""
    return story.marks.get(channel) == where


def unmark(story: Story) -> None:
    """Until it changes."""
    story.marks = {channel: where for channel, where in story.marks.items() if address(story, channel) == where}


def due_rungs(story: Story, case: Case, now: datetime) -> list[Rung]:
    """Rule 23: in order, up to the first that must wait; a restricting rung happens when its transition was published
    (33). Rule 37: while the account is terminated, up to the first warning or account rung."""
    found = []
    for rung in case.policy.ladder:
        if rung.name in case.entered or ladder.is_passed(story, case, rung, case.entered):
            continue
        stopped = story.terminated is not None and (rung.account is not None or case.policy.is_warning(rung))
        if rung.restricts:
            if rung.name not in case.happened:
                break
        elif stopped or ladder.not_before(story, case, rung) > now or not conditions.hold(story, case, rung):
            break
        found.append(rung)
    return found


def due(story: Story, case: Case, now: datetime) -> datetime | None:
    """When something is to be entered or sent next; `now` is the present instant, nothing before it is left."""
    moments = []
    if case.closed is None:
        for rung in case.policy.ladder:
            if rung.name in case.entered or ladder.is_passed(story, case, rung, case.entered):
                continue
            stopped = story.terminated is not None and (rung.account is not None or case.policy.is_warning(rung))
            if rung.restricts:
                if rung.name in case.happened:
                    moments.append(now)
            elif not stopped and conditions.hold(story, case, rung):
                moments.append(max(now, ladder.not_before(story, case, rung)))
            break
        again = [again_at(story, case, rung) for rung in case.policy.ladder if case.policy.is_warning(rung)]
        moments += [max(now, moment) for moment in again if moment is not None]
    waiting = {(one.channel, one.begun) for one in case.sendings if one.state == "waiting"}
    moments += [allowed_from(story, case, channel, now) if begun else now for channel, begun in waiting]
    if any(needs_fallback(story, case, rung) for rung in still_told(story, case)):
        moments.append(now)
    return pauses.free_at(story, case.invoice, min(moments, default=None))


def fire(story: Story, case: Case, now: datetime) -> None:
    """0003, rule 32: a warning that waits goes before all others, for something waits for it."""
    if case.closed is None:
        send_what_waits(story, case, now, warnings_only=True)
        address_changed(story, now, named=False)
        enter(story, case, due_rungs(story, case, now), now)
        send_again(story, case, now)
        send_what_waits(story, case, now, warnings_only=True)
        address_changed(story, now, named=False)
    send_what_waits(story, case, now)
    address_changed(story, now, named=False)


def enter(story: Story, case: Case, due_now: list[Rung], now: datetime) -> None:
    """Rule 23: the notice track enters every rung it passes; of several due at once the last goes out, and warnings."""
    with_notice = [rung for rung in due_now if rung.has_notice]
    for rung in due_now:
        case.entered.append(rung.name)
    for rung in with_notice:
        supersede_waiting(story, case, rung, now)
        story.transition(now, case, "notice", rung.name)
        if not case.policy.is_warning(rung) and one_behind(case, rung, with_notice):
            for channel in rung.channels:
                case.sendings.append(Sending(rung.name, channel, None, "superseded"))
                story.result(now, case, rung.name, channel, "superseded", "superseded")
        else:
            open_sendings(story, case, rung, rung.channels)


def one_behind(case: Case, rung: Rung, due_now: list[Rung]) -> bool:
    """Another of the notices before the next restricting rung."""
    for other in ladder.behind(case, rung.name):
        if other.restricts:
            return False
        if other in due_now:
            return True
    return False


def supersede_waiting(story: Story, case: Case, later_one: Rung, now: datetime) -> None:
    """Rule 23: a plain notice that still waits when a later one falls due. Rule 32: a waiting warning never is."""
    for sending in case.sendings:
        rung = case.policy.named(sending.rung)
        if sending.state == "waiting" and not case.policy.is_warning(rung) and rung is not later_one:
            sending.state = "superseded"
            story.result(now, case, sending.rung, sending.channel, "superseded", "superseded")


def open_sendings(story: Story, case: Case, rung: Rung, channels: Sequence[str]) -> list[Sending]:
    number = case.rounds.get(rung.name, 1)
    new = [Sending(rung.name, one, address(story, one), "waiting", round=number) for one in channels]
    case.sendings += new
    return new


def send_what_waits(story: Story, case: Case, now: datetime, *, warnings_only: bool = False) -> None:
    while True:
        meant = [rung for rung in case.policy.ladder if case.policy.is_warning(rung) or not warnings_only]
        for sending in case.sendings:
            if sending.state != "waiting" or case.policy.named(sending.rung) not in meant:
                continue
            if not sending.begun or allowed_from(story, case, sending.channel, now) <= now:
                send(story, case, sending, now)
        told = [rung for rung in still_told(story, case) if rung in meant]
        rung = next((one for one in told if needs_fallback(story, case, one)), None)
        if rung is None:
            return
        open_sendings(story, case, rung, untried(case, rung)[:1])


def at_once(story: Story, case: Case, rung: Rung, sendings: list[Sending], now: datetime) -> None:
    """Rule 46: what an input brings about it does in its turn, fallbacks included, and not by a timer after all inputs.
    What may not go out yet, for hours, caps or a rest, waits for one."""
    while not pauses.resting(story, case.invoice, now):
        for sending in sendings:
            send(story, case, sending, now)
        if rung not in still_told(story, case) or not needs_fallback(story, case, rung):
            return
        sendings = open_sendings(story, case, rung, untried(case, rung)[:1])
    if not sendings and rung in still_told(story, case) and needs_fallback(story, case, rung):
        open_sendings(story, case, rung, untried(case, rung)[:1])


def still_told(story: Story, case: Case) -> list[Rung]:
    """Rule 32: of a terminated case only the terminating rung's own notice still goes out, by its fallback too."""
    if not case.sendings:
        return []
    if case.closed is None:
        begun = {one.rung for one in case.sendings}
        return [rung for rung in case.policy.ladder if rung.name in begun]
    own = case.policy.ladder[-1]
    return [own] if story.terminated is case and own.has_notice and own.account == "terminated" else []


def send(story: Story, case: Case, sending: Sending, now: datetime) -> None:
    """Rule 30, 46: delivered when sent; without an address `suppressed`."""
    sending.begun = True
    where = address(story, sending.channel)
    obstacle = in_the_way(story, case, sending.channel, where) or tried_before(case, sending, where)
    if obstacle is not None:
        sending.state, sending.ended_at = "suppressed", now
        story.result(now, case, sending.rung, sending.channel, "suppressed", obstacle)
        return
    sending.address = where
    if allowed_from(story, case, sending.channel, now) > now:
        return
    sending.state, sending.address, sending.delivered_at = "delivered", where, now
    story.went_out.append((now, sending.channel))
    story.result(now, case, sending.rung, sending.channel, "sent")
    story.result(now, case, sending.rung, sending.channel, "delivered")


def in_the_way(story: Story, case: Case, channel: str, where: str | None) -> str | None:
    """0003, rule 29: the first of several."""
    if story.history.is_erased():
        return "erased"
    if where is None:
        return "no_address"
    if not story.history.allows(channel):
        return "no_consent"
    if is_shut(case, channel):
        return "channel_shut"
    return "address_bounced" if marked(story, channel, where) else None


def tried_before(case: Case, sending: Sending, where: str | None) -> str | None:
    """Rule 31: one notice per case, rung, channel and address, also where the customer went back to a former one."""
    same = (one for one in case.sendings if (one.rung, one.round) == (sending.rung, sending.round))
    others = [one for one in same if one is not sending and one.channel == sending.channel]
    return "address_tried" if any(one.address == where for one in others) else None


def of(case: Case, rung: Rung) -> list[Sending]:
    """The sendings of a rung's notice, of its newest round (rule 25: sent once more and counts anew)."""
    newest = case.rounds.get(rung.name, 1)
    return [one for one in case.sendings if one.rung == rung.name and one.round == newest]


def untried(case: Case, rung: Rung) -> list[str]:
    tried = {one.channel for one in of(case, rung)}
    return [channel for channel in rung.fallback if channel not in tried]


def needs_fallback(story: Story, case: Case, rung: Rung) -> bool:
    """Rule 29: where none delivered; for a plain notice only until a later one went out."""
    sendings = of(case, rung) if rung.fallback else []
    if not sendings or not untried(case, rung):
        return False
    if any(one.state in ("waiting", "delivered", "superseded") for one in sendings):
        return False
    if case.policy.is_warning(rung):
        return rung_still_counts(story, case, rung)
    return not any(
        one.delivered_at is not None
        for one in case.sendings
        if ladder.rung_index(case, case.policy.named(one.rung)) > ladder.rung_index(case, rung)
    )


def rung_still_counts(story: Story, case: Case, warning: Rung) -> bool:
    """Rule 25: a bounce after the rung has happened changes nothing; rule 37: nor does one while the account is
    terminated."""
    return story.terminated is None and any(
        other.name not in case.happened and not ladder.is_passed(story, case, other, case.entered)
        for other in case.policy.ladder
        if other.warned_by == warning.name
    )


def meant(case: Case, signal: Data) -> list[Sending]:
    """The notices of the rung on that channel."""
    return [one for one in case.sendings if one.rung == signal["rung"] and one.channel == signal["channel"]]


def bounced(story: Story, case: Case, signal: Data, now: datetime) -> None:
    rung = case.policy.named(signal["rung"])
    for sending in meant(case, signal)[-1:]:
        if sending.state == "delivered":
            sending.state = "bounced"
            sending.ended_at = max(instant(signal["at"]), sending.delivered_at or now)
            if signal.get("permanent") and sending.address == address(story, sending.channel):
                story.marks[sending.channel] = str(sending.address)
            story.result(now, case, rung.name, sending.channel, "bounced", own_at=instant(signal["at"]))
            follow(story, case, sending, now)
            return


def delivered_since(case: Case, warning: Rung) -> datetime | None:
    """Rule 25: the first delivery that was not bounced since."""
    moments = [one.delivered_at for one in of(case, warning) if one.state == "delivered" and one.delivered_at]
    return min(moments, default=None)


def deliveries(case: Case, warning: Rung) -> list[datetime]:
    """All that were not bounced since, of both rounds."""
    own = [one for one in case.sendings if one.rung == warning.name and one.state == "delivered"]
    return sorted(one.delivered_at for one in own if one.delivered_at is not None)


def address_changed(story: Story, now: datetime, *, named: bool) -> None:
    """Rule 31: a new address brings an undelivered warning to it, once. Where no customer is `named` now, because the
    warning bounced after the address was said, what is left of the fallback goes first (29)."""
    for case in sorted(story.open_cases(), key=lambda one: one.invoice):
        for rung in case.policy.ladder:
            sendings = of(case, rung) if rung.has_notice and case.policy.is_warning(rung) else []
            if not sendings or any(one.state in ("waiting", "delivered") for one in sendings):
                continue
            if not rung_still_counts(story, case, rung) or (untried(case, rung) and not named):
                continue
            new, later_ones = (
                [one for one in way if is_new(story, sendings, one)] for way in (rung.channels, rung.fallback)
            )
            if new:
                at_once(story, case, rung, open_sendings(story, case, rung, new), now)
            for channel in later_ones:
                if any(one.state in ("waiting", "delivered") for one in of(case, rung)):
                    break
                at_once(story, case, rung, open_sendings(story, case, rung, [channel]), now)


def is_new(story: Story, sendings: list[Sending], channel: str) -> bool:
    """Through a channel that was tried, to an address that was not."""
    where = address(story, channel)
    known = [one.address for one in sendings if one.channel == channel]
    return where is not None and bool(known) and where not in known


def again_at(story: Story, case: Case, warning: Rung) -> datetime | None:
    """Rule 25: older than `lead` + 14d, it is sent once more; 0003: as soon as it is, while its rung is to come."""
    if not case.policy.is_warning(warning) or case.rounds.get(warning.name, 1) > 1 or story.terminated is not None:
        return None
    delivered_at = delivered_since(case, warning)
    to_come = [
        one
        for one in case.policy.ladder
        if one.warned_by == warning.name
        and one.name not in case.happened
        and not ladder.is_passed(story, case, one, case.entered)
    ]
    if delivered_at is None or not to_come:
        return None
    return later(delivered_at, case.policy.lead(to_come[0]).more(FORTNIGHT), case.zone)


def send_again(story: Story, case: Case, now: datetime) -> None:
    for warning in case.policy.ladder:
        moment = again_at(story, case, warning)
        if moment is not None and moment <= now:
            case.rounds[warning.name] = 2
            open_sendings(story, case, warning, warning.channels)


def suppress_waiting(story: Story, case: Case, reason: str, now: datetime) -> None:
    """Rule 32: every notice that still waits when its case closes, but the terminating rung's own."""
    for sending in case.sendings:
        own = case.policy.named(sending.rung).account == "terminated" and reason == "terminated"
        if sending.state == "waiting" and not own:
            sending.state = "suppressed"
            story.result(now, case, sending.rung, sending.channel, "suppressed", reason)


def withhold(story: Story, channel: str, now: datetime) -> None:
    """0003, rule 12: what waits is suppressed in the moment in which consent is taken back."""
    for case in story.cases:
        for sending in list(case.sendings):
            if sending.state == "waiting" and sending.channel == channel and not story.history.allows(channel):
                sending.state, sending.ended_at = "suppressed", now
                story.result(now, case, sending.rung, sending.channel, "suppressed", "no_consent")
                follow(story, case, sending, now)


def follow(story: Story, case: Case, sending: Sending, now: datetime) -> None:
    """Its fallback, where it was of the newest round."""
    rung = case.policy.named(sending.rung)
    if sending in of(case, rung):
        at_once(story, case, rung, [], now)


def resume(story: Story, now: datetime) -> None:
    """Nothing is terminated any more: the fallback of what came back meanwhile follows (0003, rule 37)."""
    for case in sorted(story.open_cases(), key=lambda one: one.invoice):
        for rung in case.policy.ladder:
            if case.policy.is_warning(rung):
                at_once(story, case, rung, [], now)


def erase(story: Story, now: datetime) -> None:
    """0003, rule 12: what waits is suppressed. It was the one notice to that address (31), also where that is said
    again."""
    for case in story.cases:
        for sending in list(case.sendings):
            gone = story.history.erased_at() is not None and address(story, sending.channel) is None
            if sending.state == "waiting" and gone:
                sending.state, sending.ended_at = "suppressed", now
                story.result(now, case, sending.rung, sending.channel, "suppressed", "erased")
                follow(story, case, sending, now)
