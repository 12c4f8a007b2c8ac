"""Mails that came back: read from a box, told as `notice.bounced` (rule 30)."""
