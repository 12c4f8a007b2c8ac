"""What the kernel says when it cannot go on and a person can help: one line, a stable code, never a traceback."""

SETTING_WRONG = "DUN-R001"
KAFKA_UNREACHABLE = "DUN-R002"
DATABASE_UNREACHABLE = "DUN-R003"
NOBODY_TAKES_ERRANDS = "DUN-R004"
TOPIC_MISSING = "DUN-R005"
METRICS_PORT_TAKEN = "DUN-R007"
OFFSET_OUTSIDE_LOG = "DUN-R008"
CLOCKS_DISAGREE = "DUN-R009"
PART_DIED = "DUN-R010"
ROW_UNPUBLISHABLE = "DUN-R011"
PARTITION_UNREAD = "DUN-R012"
TIMER_FAILED = "DUN-R013"
SCHEMA_MISSING = "DUN-R014"
OUTBOX_FULL = "DUN-R015"
POLICIES_UNUSABLE = "DUN-R020"
TEMPLATES_UNUSABLE = "DUN-R021"
START_DIFFERS = "DUN-R030"
BRAKE_SHUT = "DUN-R031"
OBSERVER_TROUBLE = "DUN-R032"
BOUNCES_UNREAD = "DUN-R033"


class Problem(Exception):
    """A failure that the person who runs the service can do something about; the message says what."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message}  [{code}]")
        self.code = code
        self.message = message
