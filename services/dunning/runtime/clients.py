"""Whose Kafka clients this process uses: aiokafka's, or in a simulation those of a log in memory.

Both answer to the same contract tests (`tests/contract/test_log.py`) in what the kernel relies on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient


@dataclass(frozen=True, slots=True)
class Clients:
    """What is called with aiokafka's arguments and answers as its clients do."""

    consumer: Callable[..., Any] = AIOKafkaConsumer
    producer: Callable[..., Any] = AIOKafkaProducer
    admin: Callable[..., Any] = AIOKafkaAdminClient


AIOKAFKA = Clients()
