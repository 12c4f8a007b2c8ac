"""How an account's story ended, told by what was published: the part that is the same for every order of reading."""

from dataclasses import dataclass, field

from tests.model.history import Data
from tests.model.story import RESULT, STAGE, STATUS

TRACKS = ("retry", "notice", "account")
NOTHING: Data = {"status": "active", "open_cases": [], "to_reinstate": []}


@dataclass
class Told:
    """What was said of one case."""

    at: set[str] = field(default_factory=set)
    stages: dict[str, str] = field(default_factory=dict)
    notices: dict[str, list[str]] = field(default_factory=dict)  # outcomes by rung and channel


def ending(lines: list[Data]) -> list[str]:
    """The account's status, the open cases with their ids, amounts and stages, and the notices of all with what became
    of them.

    Rule 8 speaks of open cases. Of a closed one only its notices are told, for of two things that close it at one
    instant the first that is read does; and nothing where it also opened at that instant, for read the other way round
    it never does.
    """
    cases: dict[str, Told] = {}
    status = NOTHING
    for line in lines:
        data = line["data"]
        if line["topic"] == STATUS:
            status = data
        elif line["topic"] in (STAGE, RESULT):
            case = cases.setdefault(data.get("case_id") or data["case_ids"][0], Told())
            case.at.add(line["at"])
            if line["topic"] == STAGE:
                case.stages[data["track"]] = data["to_stage"]
            else:
                case.notices.setdefault(f"{data['rung']} {data['channel']}", []).append(data["outcome"])
    amounts = {one["case_id"]: f"{one['invoice_id']} {one['amount_minor']}" for one in status["open_cases"]}
    found = [f"status {status['status']} {status['to_reinstate']}"]
    for case_id, case in cases.items():
        if case_id not in amounts and len(case.at) == 1:
            continue
        if case_id in amounts:
            stages = " ".join(f"{track}={case.stages.get(track)}" for track in TRACKS)
            found.append(f"case {case_id} {amounts[case_id]} {stages}")
        found += [f"notice {case_id} {name} {' '.join(said)}" for name, said in case.notices.items()]
    return sorted(found)
