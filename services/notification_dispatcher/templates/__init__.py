"""The notices in words: English and German, as text and HTML. See `rendering.py`."""

from notification_dispatcher.templates.locales import negotiate
from notification_dispatcher.templates.rendering import Letterhead, Rendered, RenderingError, render, template_names
from notification_dispatcher.templates.wording import Wording

__all__ = ["Letterhead", "Rendered", "RenderingError", "Wording", "negotiate", "render", "template_names"]
