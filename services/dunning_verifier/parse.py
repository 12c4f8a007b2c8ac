"""From an event to the value the checks look at, by its topic."""

from collections.abc import Callable

from dunning_verifier import inputs, outputs
from dunning_verifier.envelope import Unwanted
from dunning_verifier.values import (
    ACCOUNT_STATUS,
    FAILED,
    NOTICE_RESULT,
    RETRY_REQUESTED,
    SIGNALS,
    STAGE_CHANGED,
    SUCCEEDED,
    Envelope,
    Input,
    Output,
)

_PARSERS: dict[str, Callable[[Envelope], Input | Output]] = {
    FAILED: inputs.failure,
    SUCCEEDED: inputs.success,
    SIGNALS: inputs.signal,
    STAGE_CHANGED: outputs.transition,
    RETRY_REQUESTED: outputs.request,
    NOTICE_RESULT: outputs.result,
    ACCOUNT_STATUS: outputs.status,
}


def parse(envelope: Envelope) -> Input | Output:
    """The value of an event, by its topic. Raises Unwanted where a required field is missing or of a wrong type."""
    try:
        return _PARSERS[envelope.where.topic](envelope)
    except (TypeError, AttributeError) as error:
        raise Unwanted(f"not of the contract's shape: {error}") from None
