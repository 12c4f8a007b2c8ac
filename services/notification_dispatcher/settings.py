"""Settings of the notification dispatcher: the kernel's, those of its channels, and where bounces come to."""

from dunning.runtime.settings import Settings
from notification_dispatcher.bounces.settings import BounceSettings
from notification_dispatcher.channels.settings import EmailSettings


class DispatcherSettings(BounceSettings, EmailSettings, Settings):
    """What is in force for one process."""
