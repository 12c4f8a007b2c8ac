"""Has the verifier judge the run: a process of its own, since it shares no code with anything else."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where the verifier finds what happened."""

    bootstrap_servers: str
    database_url: str
    policy_dir: Path
    mail_dir: str | None
    ledger: Path
    poison: Path
    prefix: str
    settled: bool  # nothing was due or under way any more


@dataclass(frozen=True, slots=True)
class Judgement:
    """Its exit code and its words."""

    exit_code: int
    words: str

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return self.exit_code == 0


def judge(evidence: Evidence) -> Judgement:
    """Run the verifier to its end."""
    arguments = [
        "--bootstrap",
        evidence.bootstrap_servers,
        "--database",
        evidence.database_url,
        "--policy-dir",
        str(evidence.policy_dir),
        "--ledger",
        str(evidence.ledger),
        "--poison",
        str(evidence.poison),
        "--topic-prefix",
        evidence.prefix,
    ]
    arguments += ["--mail-dir", evidence.mail_dir] if evidence.mail_dir else []
    arguments += ["--settled"] if evidence.settled else []
    done = subprocess.run(
        [sys.executable, "-m", "dunning_verifier", *arguments], capture_output=True, text=True, check=False
    )
    return Judgement(done.returncode, (done.stdout + done.stderr).strip())
