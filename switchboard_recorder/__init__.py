"""Makes a LiveKit agent visible in Switchboard: what it hears, says and thinks, as it happens."""

from switchboard_recorder.commands import Handler, Reply
from switchboard_recorder.events import EventKind
from switchboard_recorder.orphans import Delivered, deliver_orphans
from switchboard_recorder.protocol import Action, Command, Outcome
from switchboard_recorder.recorder import Recorder, record

__all__ = [
    "Action", "Command", "Delivered", "EventKind", "Handler", "Outcome", "Recorder", "Reply",
    "deliver_orphans", "record",
]  # fmt: skip
