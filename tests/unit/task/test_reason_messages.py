"""Real messages of Java clients, HAPI FHIR and its neighbors, and the reason that each must get.

The table is `reason_messages.txt`; it says where each message comes from.
"""

from pathlib import Path
from typing import NamedTuple

import pytest

from exporter.task.model import REASONS, UNCLASSIFIED
from exporter.task.reasons import classifier

TABLE = Path(__file__).with_name("reason_messages.txt")


class Message(NamedTuple):
    """A row: the reason that is right, where the text was found, and the text."""

    reason: str
    origin: str
    text: str


def read(line: str) -> Message:
    reason, origin, text = line.split(" | ", 2)
    return Message(reason, origin, text.replace("\\n", "\n"))


LINES = TABLE.read_text().splitlines()
MESSAGES = [read(line) for line in LINES if line and not line.startswith("#")]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: f"{message.reason}: {message.text[:60]}")
def test_a_message_gets_its_reason(message: Message) -> None:
    assert classifier(())([message.text]) == message.reason
    assert classifier(())([message.text.upper()]) == message.reason


def test_each_reason_has_messages_and_no_message_is_listed_twice() -> None:
    assert {message.reason for message in MESSAGES} == {*REASONS, UNCLASSIFIED}
    assert len({message.text for message in MESSAGES}) == len(MESSAGES)


def test_most_messages_are_real() -> None:
    assert sum(message.origin != "ours" for message in MESSAGES) >= 70
