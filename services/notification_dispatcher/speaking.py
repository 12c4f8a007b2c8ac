"""What a rung says: by all channels, its fallbacks, and a warning once more to a new address (rules 29 and 31)."""

from dunning.domain.holds import first_ahead
from dunning.domain.policy import Policy, Rung
from dunning.domain.words import AccountStage, Channel
from notification_dispatcher.case import (
    ON_ITS_WAY,
    WENT_OUT,
    Notice,
    NoticeAccount,
    NoticeCase,
    NoticeState,
    address_key,
)
from notification_dispatcher.contact import address_of
from notification_dispatcher.outcomes import NoticeTurn
from notification_dispatcher.sending import Sending


class Speaking(Sending):
    """The notices of one rung together."""

    def _speak(self, turn: NoticeTurn, case: NoticeCase, rung: Rung, round_number: int) -> None:
        """All channels are used, each by itself; `fallback` follows where none delivered (rule 29)."""
        assert rung.notice is not None, "only rungs with a notice speak"
        fresh = [self._new_notice(turn, case, rung.name, channel, round_number) for channel in rung.notice.channels]
        for notice in fresh:
            self._send(turn, case, notice)
        self._fall_back(turn, case, rung)

    def _fall_back(self, turn: NoticeTurn, case: NoticeCase, rung: Rung) -> None:
        """Where no channel of a rung delivered, the next fallback is tried (rule 29)."""
        assert rung.notice is not None, "only rungs with a notice have fallbacks"
        for channel in rung.notice.fallback:
            known = case.of_rung(rung.name)
            if not self._may_fall_back(turn, case, rung, known):
                return
            if all(notice.channel != channel for notice in known):
                self._send(turn, case, self._new_notice(turn, case, rung.name, channel, known[0].round))

    def _fall_back_after(self, turn: NoticeTurn, case: NoticeCase, notice: Notice) -> None:
        policy = self.policy_of(case)
        rung = policy.rung(notice.rung)
        if rung is None or notice not in case.of_rung(rung.name):
            return
        self._fall_back(turn, case, rung)
        if case.open and policy.is_warning(rung) and self._still_needed(turn, case, policy, rung):
            self._bring_to_new_address(turn, case, rung, case.of_rung(rung.name))  # known since, while it was out (31)

    def _may_fall_back(self, turn: NoticeTurn, case: NoticeCase, rung: Rung, known: list[Notice]) -> bool:
        """Not while something may still arrive; for a plain notice only until a later one went out."""
        if any(notice.state in ON_ITS_WAY or notice.state is NoticeState.SUPERSEDED for notice in known):
            return False
        policy = self.policy_of(case)
        if not case.open:  # only what terminates goes on behind that, and not when it was lifted
            return rung.account is AccountStage.TERMINATED and case.book.terminated_at is not None
        if policy.is_warning(rung):
            return self._still_needed(turn, case, policy, rung)
        later = {name.name for name in policy.ladder[policy.ladder.index(rung) + 1 :]}
        return not any(notice.rung in later and notice.state in WENT_OUT for notice in case.notices)

    @staticmethod
    def _still_needed(turn: NoticeTurn, case: NoticeCase, policy: Policy, warning: Rung) -> bool:
        """Whether a rung that this warning announces is still to come."""
        following = (i for i, rung in enumerate(policy.ladder) if rung.warned_by == warning.name)
        ahead = first_ahead(turn.account, case, policy)
        return not turn.account.is_terminated and any(index >= ahead for index in following)

    def _address_changed(self, turn: NoticeTurn) -> None:
        """A new address brings an undelivered warning to it, once (rule 31)."""
        for case in list(turn.account.open_cases()):
            policy = self.policy_of(case)
            for warning in policy.warnings:
                known = case.of_rung(warning.name)
                if known and self._still_needed(turn, case, policy, warning):
                    self._bring_to_new_address(turn, case, warning, known)

    def _bring_to_new_address(self, turn: NoticeTurn, case: NoticeCase, warning: Rung, known: list[Notice]) -> None:
        """By all channels that have one; where that leaves nothing on its way, by the first fallback that has (29)."""
        assert warning.notice is not None, "a warning has a notice"
        fresh = [
            channel
            for channel in dict.fromkeys(notice.channel for notice in known)
            if self._is_new_address(turn.account, channel, known)
        ]
        ways = [channel for channel in warning.notice.channels if channel in fresh]
        for tried in (ways, *([channel] for channel in warning.notice.fallback if channel in fresh)):
            if any(notice.state in ON_ITS_WAY for notice in case.of_rung(warning.name)):
                return
            for channel in tried:
                self._send(turn, case, self._new_notice(turn, case, warning.name, channel, known[0].round))

    @staticmethod
    def _is_new_address(account: NoticeAccount, channel: Channel, known: list[Notice]) -> bool:
        key = address_key(address_of(account, channel))
        return bool(key) and all(notice.address_key != key for notice in known if notice.channel == channel)
