"""Random histories end as in `dunning simulate` through a real Kafka and PostgreSQL (docs/random-histories.md)."""

import pytest

from dunning.domain.events import Input, NoticeResult, PaymentFailed, StageChanged
from tests.model.live.crowd import crowd
from tests.model.live.play import play
from tests.stack import Servers

SEED, ACCOUNTS, DAYS = 1040, 8, 7
DEAF = {  # a fault in each service: what it does not hear of one account
    "acc_1046": ("retry_scheduler", PaymentFailed),  # it never charges again
    "acc_1042": ("notification_dispatcher", StageChanged),  # it does not write that the account is restricted
    "acc_1045": ("account_enforcement", NoticeResult),  # it never learns that the customer is warned
}


def deaf(service: str, event: Input) -> bool:
    fault = DEAF.get(event.account_id)
    return fault is not None and fault[0] == service and isinstance(event, fault[1])


@pytest.mark.timeout(300)
async def test_the_services_end_where_the_simulator_ends_but_for_the_accounts_of_which_one_does_not_hear_everything(
    kafka_bootstrap: str, database_url: str, topic_prefix: str
) -> None:
    servers = Servers(kafka_bootstrap, database_url)

    result = await play(crowd(SEED, ACCOUNTS, DAYS), servers, topic_prefix, SEED, deaf)

    assert set(result.differences) == set(DEAF), "\n".join(f"{who}\n{how}" for who, how in result.differences.items())
    assert "\n-" in result.differences["acc_1042"]  # something is missing
    assert (result.line_by_line, result.endings) == (6, 1), str(result)
