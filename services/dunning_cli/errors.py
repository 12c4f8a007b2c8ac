"""What a command says when it cannot do what was asked: one line, a stable code, an exit code, never a traceback."""


class CommandError(Exception):
    """A failure that the person at the keyboard can do something about."""

    def __init__(self, code: str, message: str, *, exit_code: int = 1) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code
        self.exit_code = exit_code
