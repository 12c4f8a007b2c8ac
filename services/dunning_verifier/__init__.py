"""Checks the platform's promises from outside, by what anyone can see: topics, mails, the processor's ledger.

It shares no code with what it checks, on purpose: a mistake made once in a parser, a calendar or an id must not be made
in its judge as well. It knows the contracts and the rules of behaviour, and nothing of how the services are built.
"""

from dunning_verifier.checks import verify
from dunning_verifier.history import History
from dunning_verifier.values import Tolerance, Violation, Where

__all__ = ["History", "Tolerance", "Violation", "Where", "verify"]
