"""Who a job is: the `hello` and the first event, from LiveKit's JobContext."""

from __future__ import annotations

import json
import os
import platform
import secrets
import socket
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any, Final

from switchboard_recorder.protocol import Hello

_PACKAGES: Final = (
    "livekit", "livekit-agents", "langgraph", "langchain-core", "switchboard-recorder",
)  # fmt: skip


def new_stream_id() -> str:
    """`str_` and a number that grows with time, then chance: unique, and sorted by age."""
    return f"str_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def hello_of(context: Any, *, stream_id: str, session_id: str | None) -> Hello:
    """What is known before the room is joined; what a job of another kind lacks is left empty."""
    job = context.job
    return Hello(
        stream_id=stream_id,
        room_name=str(job.room.name),
        room_sid=_known(lambda: job.room.sid),
        session_id=session_id if session_id is not None else session_id_of(job.metadata),
        job_id=_known(lambda: job.id),
        dispatch_id=_known(lambda: job.dispatch_id),
        worker_id=_known(lambda: context.worker_id),
        agent_name=_known(lambda: job.agent_name),
        identity=_known(lambda: context.local_participant_identity),
        host=socket.gethostname(),
        pid=os.getpid(),
        recorder=version(),
    )


def session_id_of(job_metadata: object) -> str:
    """`session_id` of the job's metadata, where that is a JSON object with one; else ""."""
    try:
        found = json.loads(job_metadata) if isinstance(job_metadata, str) else None
    except (ValueError, RecursionError):
        return ""
    told = found.get("session_id") if isinstance(found, dict) else None
    return told if isinstance(told, str) else ""


def version() -> str:
    """This package's version; "" where it runs from a folder that is not installed."""
    return _version("switchboard-recorder") or ""


def versions() -> dict[str, str]:
    """Python, the packages that matter for reading a recording, and the agent's own word.

    `agent` is what `SWITCHBOARD_AGENT_VERSION` says, such as a git commit; else it is missing.
    """
    found = {name: told for name in _PACKAGES if (told := _version(name))}
    if own := os.environ.get("SWITCHBOARD_AGENT_VERSION", "").strip():
        found["agent"] = own[:80]
    return {"python": platform.python_version(), **found}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _known(read: Callable[[], Any]) -> str:
    try:
        return str(read() or "")
    except Exception:  # noqa: BLE001  # a fake job has neither token nor room
        return ""
