"""Settings of the notification dispatcher: the kernel's and those of its channels."""

from dunning.runtime.settings import Settings
from notification_dispatcher.channels.settings import EmailSettings


class DispatcherSettings(EmailSettings, Settings):
    """What is in force for one process."""
