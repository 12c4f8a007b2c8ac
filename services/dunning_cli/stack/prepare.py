"""What has to be there before a service starts: its topics and its tables."""

from dunning_cli.stack.errors import PREPARATION_FAILED, StackError
from dunning_cli.stack.infra import Infra
from dunning_cli.stack.layout import Layout


def prepare(layout: Layout, infra: Infra) -> None:  # noqa: ARG001
    """Create the topics and migrate each service's schema."""
    raise StackError(PREPARATION_FAILED, "topics and migrations are not built yet: `dunning up --only infra` works")
