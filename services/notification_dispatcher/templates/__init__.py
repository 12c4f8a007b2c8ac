"""The notices in words: English and German, as text and HTML. See `rendering.py`."""

from notification_dispatcher.templates.rendering import Letterhead, Rendered, RenderingError, render
from notification_dispatcher.templates.wording import Wording

__all__ = ["Letterhead", "Rendered", "RenderingError", "Wording", "render"]
