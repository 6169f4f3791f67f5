"""What a LiveKit AgentSession tells of itself -> events. Knows no LiveKit class, only its shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final, Protocol

from switchboard_recorder.events import EventKind
from switchboard_recorder.guard import Guard
from switchboard_recorder.times import moment_text, ms_since

Emit = Callable[..., None]

_MOMENT_METRICS: Final = frozenset({"started_speaking_at", "stopped_speaking_at"})
_NOT_SECONDS: Final = frozenset({"llm_node_tps"})
_AUDIO: Final = ("audio_recording_path", "audio_recording_started_at")
_PASSED_ON: Final = ("agent_false_interruption", "user_transcription_timeout")
_MOST_TOOLS: Final = 200


class Emitter(Protocol):
    """What we need of an AgentSession."""

    def on(self, event: Any, callback: Any) -> Any:
        """Call `callback` with each event of that name."""
        ...


class CallEvents:
    """Hooks one AgentSession. LiveKit's names and words are kept."""

    def __init__(self, emit: Emit, live: Emit, guard: Guard, begun: Callable[[], None]) -> None:
        self._emit = emit
        self._live = live
        self._guard = guard
        self._begun: Callable[[], None] | None = begun
        self._tools: dict[str, tuple[str, float]] = {}

    def hook(self, session: Emitter) -> None:
        """From now on."""
        hooks: dict[str, Callable[[Any], None]] = {
            "agent_state_changed": self._agent_state,
            "user_state_changed": self._user_state,
            "user_input_transcribed": self._transcribed,
            "conversation_item_added": self._item,
            "tool_execution_updated": self._tool,
            "session_usage_updated": self._usage,
            "error": self._error,
            "close": self._closed,
        }
        for name in _PASSED_ON:
            hooks[name] = self._other
        for name, hook in hooks.items():
            session.on(name, self._guarded(hook))

    def _guarded(self, hook: Callable[[Any], None]) -> Callable[[Any], None]:
        def guarded(event: Any) -> None:
            self._guard(hook, event)

        return guarded

    def _agent_state(self, event: Any) -> None:
        if self._begun is not None:
            begun, self._begun = self._begun, None
            self._guard(begun)
        self._emit(EventKind.AGENT_STATE, old=event.old_state, new=event.new_state)

    def _user_state(self, event: Any) -> None:
        self._emit(EventKind.USER_STATE, old=event.old_state, new=event.new_state)

    def _transcribed(self, event: Any) -> None:
        say = self._emit if event.is_final else self._live
        say(
            EventKind.TRANSCRIBED,
            text=event.transcript,
            final=event.is_final,
            language=_text(event.language),
            speaker=_text(event.speaker_id),
        )

    def _item(self, event: Any) -> None:
        item = event.item
        if getattr(item, "type", "") != "message":
            self._emit(EventKind.OTHER, kind=_text(getattr(item, "type", "")), data=item)
            return
        self._emit(
            EventKind.MESSAGE,
            id=item.id,
            role=item.role,
            text=item.text_content or "",
            interrupted=item.interrupted,
            metrics=metrics_ms(item.metrics or {}),
        )

    def _tool(self, event: Any) -> None:
        """A tool of the LiveKit agent itself (those of a graph come by its callbacks)."""
        update = event.update
        match update.type:
            case "tool_call_started":
                call = update.function_call
                if len(self._tools) >= _MOST_TOOLS:
                    self._tools.pop(next(iter(self._tools)))
                self._tools[call.call_id] = (call.name, perf_counter())
                self._emit(
                    EventKind.TOOL_STARTED,
                    run="", task="", node="",
                    call=call.call_id, tool=call.name, args=_json(call.arguments),
                )  # fmt: skip
            case "tool_call_ended":
                name, began_s = self._tools.pop(update.call_id, ("", perf_counter()))
                failed = update.status == "error"
                self._emit(
                    EventKind.TOOL_FINISHED,
                    run="", task="", node="",
                    call=update.call_id,
                    tool=name,
                    ms=ms_since(began_s),
                    output=None if failed else update.message,
                    error=(update.message or "it failed") if failed else None,
                    interrupted=False,
                    cancelled=update.status == "cancelled",
                )  # fmt: skip

    def _usage(self, event: Any) -> None:
        self._emit(EventKind.USAGE, usage=event.usage)

    def _error(self, event: Any) -> None:
        error = event.error
        inner = getattr(error, "error", None) or error
        self._emit(
            EventKind.ERROR,
            source=type(event.source).__name__,
            message=inner if isinstance(inner, str) else f"{type(inner).__name__}: {inner}",
            recoverable=bool(getattr(error, "recoverable", False)),
        )

    def _closed(self, event: Any) -> None:
        reason = getattr(event.reason, "value", event.reason)
        self._emit(EventKind.OTHER, kind="close", data={"reason": reason, "error": event.error})

    def _other(self, event: Any) -> None:
        data = {name: getattr(event, name) for name in type(event).model_fields}
        for name in ("type", "message", "extra_instructions", "created_at"):
            data.pop(name, None)
        self._emit(EventKind.OTHER, kind=event.type, data=data)


def metrics_ms(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """LiveKit's metrics of a message: its names, durations in ms, moments as text."""
    made: dict[str, Any] = {}
    for name, value in metrics.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or name in _NOT_SECONDS:
            made[name] = value
        elif name in _MOMENT_METRICS:
            made[name] = moment_text(datetime.fromtimestamp(value, UTC))
        else:
            made[name] = round(value * 1e3, 3)
    return made


def report_of(context: Any, session: Any) -> dict[str, Any]:
    """LiveKit's own report without audio and without the events, which were told one by one."""
    report: dict[str, Any] = context.make_session_report(session).to_dict(include_events=False)
    for name in _AUDIO:
        report.pop(name, None)
    return report


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _json(text: object) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return text
