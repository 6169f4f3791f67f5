"""What LangGraph's callbacks say, as runs, nodes, tools and models. Knows no LangGraph class."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final
from uuid import UUID

from switchboard_recorder.events import EventKind
from switchboard_recorder.times import ms_since

Emit = Callable[..., None]

_MOST_FRAMES: Final = 20_000
_MOST_THREADS: Final = 20
_CANCELLED: Final = frozenset({"CancelledError", "GeneratorExit", "KeyboardInterrupt"})
_ENDED: Final = "the run ended first"


@dataclass(slots=True)
class Run:
    """One run of a graph, from its start to its end."""

    run: str
    thread_id: str = ""
    cause: str = "message"
    command_id: str = ""
    ours: bool = False  # run by recorder.run(): the states come from its stream
    began_s: float = field(default_factory=time.perf_counter)
    told: bool = False
    over: bool = False
    step: int = -1
    next: list[str] = field(default_factory=list)
    interrupts: dict[str, str] = field(default_factory=dict)  # id -> node
    open: dict[str, Node] = field(default_factory=dict)  # by task
    frames: list[UUID] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)  # the last state that was told, plain


@dataclass(slots=True)
class Node:
    """A node at work. `task` is LangGraph's id, the same again when it resumes."""

    task: str
    node: str
    step: int
    ns: str
    frame: UUID
    began_s: float = field(default_factory=time.perf_counter)


@dataclass(slots=True)
class Frame:
    """One callback run: a graph, a node, a tool, a model, or anything in between."""

    run: Run | None
    node: str = ""
    task: str = ""
    began_s: float = field(default_factory=time.perf_counter)
    first_token_ms: float | None = None
    name: str = ""


class Runs:
    """Folds callbacks into events. Any thread may call; a lock keeps its books."""

    def __init__(self, emit: Emit, plain: Callable[[object], Any]) -> None:
        self._emit = emit
        self._plain = plain
        self._lock = threading.RLock()
        self._frames: dict[UUID, Frame] = {}
        self._pending: dict[str, list[str]] = {}  # thread -> ids of interrupts that wait
        self._last_values: dict[str, dict[str, Any]] = {}  # by thread, the newest last

    def expect(self, run_id: UUID, run: Run) -> None:
        """A run that we start ourselves begins in a moment."""
        with self._lock:
            self._add(run_id, Frame(run=run))

    def chain_started(
        self,
        run_id: UUID,
        parent_id: UUID | None,
        name: str,
        metadata: Mapping[str, Any],
        inputs: object,
        *,
        command_id: str = "",
    ) -> None:
        """A graph, a node or something else that runs."""
        node = metadata.get("langgraph_node")
        with self._lock:
            known = self._frames.get(run_id)
            if known is not None and known.run is not None:  # expected
                run = known.run
                run.thread_id = run.thread_id or str(metadata.get("thread_id", ""))
                self._tell_run(run, inputs)
                return
            parent = self._frames.get(parent_id) if parent_id is not None else None
            run_ = parent.run if parent is not None else None
            if node is None and run_ is None and metadata.get("ls_integration") == "langgraph":
                run_ = Run(
                    run=str(run_id),
                    thread_id=str(metadata.get("thread_id", "")),
                    cause="resume" if resume_of(inputs) is not None else "message",
                    command_id=command_id,
                )
                self._add(run_id, Frame(run=run_))
                self._tell_run(run_, inputs)
                return
            if node is not None and run_ is None:  # an older LangGraph: its graphs do not say so
                run_ = Run(
                    run=str(parent_id or run_id), thread_id=str(metadata.get("thread_id", ""))
                )
                if parent_id is not None:
                    self._add(parent_id, Frame(run=run_))
                self._tell_run(run_, inputs)
            frame = Frame(run=run_)
            if parent is not None:
                frame.node, frame.task = parent.node, parent.task
            self._add(run_id, frame)
            if node is not None and name == node and run_ is not None:
                self._node_started(run_id, frame, run_, str(node), metadata, inputs)

    def chain_ended(self, run_id: UUID, outputs: object) -> None:
        """It has come to its end."""
        with self._lock:
            frame = self._frames.pop(run_id, None)
            if frame is None or frame.run is None:
                return
            if frame.run.run == str(run_id):
                self._finish(frame.run, outputs)
            elif (node := frame.run.open.get(frame.task)) is not None and node.frame == run_id:
                del frame.run.open[frame.task]
                self._node_finished(frame.run, node, update=outputs)

    def chain_failed(self, run_id: UUID, error: BaseException) -> None:
        """It was interrupted, cancelled, or it failed."""
        with self._lock:
            frame = self._frames.pop(run_id, None)
            if frame is None or frame.run is None:
                return
            if frame.run.run == str(run_id):
                self.fail(frame.run, error)
                return
            node = frame.run.open.get(frame.task)
            if node is None or node.frame != run_id:
                return
            del frame.run.open[frame.task]
            if (interrupts := interrupts_of(error)) is not None:
                self._node_finished(frame.run, node, interrupted=True)
                for interrupt in interrupts:
                    self.interrupted(frame.run, node.node, interrupt)
                if not node.ns and node.node not in frame.run.next:
                    frame.run.next.append(node.node)
            elif type(error).__name__ == "ParentCommand":  # how a subgraph's node goes elsewhere
                self._node_finished(frame.run, node, update=error.args[0] if error.args else None)
            else:
                cancelled = type(error).__name__ in _CANCELLED
                self._node_finished(frame.run, node, error=error, cancelled=cancelled)

    def interrupted(self, run: Run | None, node: str, interrupt: Any) -> None:
        """A human is asked. The same interrupt is told once a run, however often it comes by."""
        interrupt_id = str(getattr(interrupt, "id", "") or "")
        with self._lock:
            if run is not None:
                if interrupt_id in run.interrupts:
                    return
                run.interrupts[interrupt_id] = node
                pending = self._pending.setdefault(run.thread_id, [])
                if interrupt_id not in pending:
                    pending.append(interrupt_id)
            self._emit(
                EventKind.INTERRUPT_RAISED,
                interrupt_id=interrupt_id,
                node=node,
                value=getattr(interrupt, "value", None),
                run=run.run if run is not None else "",
                thread_id=run.thread_id if run is not None else "",
            )

    def graph_interrupted(self, run_id: UUID | None, interrupts: tuple[Any, ...]) -> None:
        """LangGraph's own word for it; it comes after the node's."""
        with self._lock:
            frame = self._frames.get(run_id) if run_id is not None else None
            if frame is not None:
                for interrupt in interrupts:
                    self.interrupted(frame.run, frame.node, interrupt)

    def tool_started(
        self, run_id: UUID, parent_id: UUID | None, tool: str, arguments: object, call: str
    ) -> None:
        """A tool is called."""
        with self._lock:
            frame = self._child(run_id, parent_id)
            frame.name = tool
            self._emit(
                EventKind.TOOL_STARTED,
                **self._where(frame), call=str(run_id), tool=tool, args=arguments, call_id=call,
            )  # fmt: skip

    def tool_ended(self, run_id: UUID, output: object, error: BaseException | None) -> None:
        """It has answered, or failed. One that asks a human has not failed."""
        with self._lock:
            frame = self._frames.pop(run_id, None) or Frame(run=None)
            interrupted = error is not None and interrupts_of(error) is not None
            cancelled = error is not None and type(error).__name__ in _CANCELLED
            self._emit(
                EventKind.TOOL_FINISHED,
                **self._where(frame),
                call=str(run_id),
                tool=frame.name,
                ms=ms_since(frame.began_s),
                output=output,
                error=None if interrupted else error_text(error),
                interrupted=interrupted,
                cancelled=cancelled,
            )

    def model_started(self, run_id: UUID, parent_id: UUID | None, model: str) -> None:
        """A model is asked."""
        with self._lock:
            self._child(run_id, parent_id).name = model

    def token(self, run_id: UUID) -> None:
        """A model says something; only the first is of interest."""
        frame = self._frames.get(run_id)
        if frame is not None and frame.first_token_ms is None:
            frame.first_token_ms = ms_since(frame.began_s)

    def model_ended(self, run_id: UUID, response: object, error: BaseException | None) -> None:
        """It has answered, or failed."""
        with self._lock:
            frame = self._frames.pop(run_id, None) or Frame(run=None)
            tokens_in, tokens_out, model = usage_of(response)
            self._emit(
                EventKind.MODEL_FINISHED,
                **self._where(frame),
                call=str(run_id),
                model=frame.name or model,
                ms=ms_since(frame.began_s),
                ttft_ms=frame.first_token_ms,
                tokens_in=tokens_in,
                tokens_out=tokens_out,
                error=error_text(error),
            )

    def custom(self, run_id: UUID, name: str, data: object) -> None:
        """A node tells something of its own."""
        with self._lock:
            frame = self._frames.get(run_id) or Frame(run=None)
            self._emit(EventKind.CUSTOM, **self._where(frame), name=name, data=data)

    def checkpoint_saved(
        self, run: Run, step: int, checkpoint_id: str, next_: list[str], values: object
    ) -> None:
        """The state after a super-step; what is equal to the last one's is not `changed`."""
        plain = self._plain(_channels(values))
        shown = plain if isinstance(plain, dict) else {"value": plain}
        with self._lock:
            before, run.values = run.values, shown
            self._last_values.pop(run.thread_id, None)
            self._last_values[run.thread_id] = shown
            while len(self._last_values) > _MOST_THREADS:
                self._last_values.pop(next(iter(self._last_values)))
        changed = [key for key, value in shown.items() if before.get(key, ...) != value]
        self._emit(
            EventKind.CHECKPOINT_SAVED,
            run=run.run,
            step=step,
            checkpoint_id=checkpoint_id,
            next=next_,
            values=Made(shown),
            changed=changed,
        )

    def fail(self, run: Run, error: BaseException) -> None:
        """The run is over, without an end of its own."""
        with self._lock:
            if run.over:
                return
            self._close(run, cancelled=type(error).__name__ in _CANCELLED)
            self._emit(
                EventKind.RUN_FAILED,
                run=run.run,
                ms=ms_since(run.began_s),
                error=error_text(error),
                cancelled=type(error).__name__ in _CANCELLED,
            )

    # -- inside

    def _finish(self, run: Run, outputs: object) -> None:
        if run.over:
            return
        if not run.ours and not run.next and _channels(outputs):
            self.checkpoint_saved(run, run.step, "", list(run.next), outputs)
        self._close(run, cancelled=False)
        self._emit(
            EventKind.RUN_FINISHED,
            run=run.run,
            ms=ms_since(run.began_s),
            next=list(run.next),
            interrupts=list(run.interrupts),
        )

    def _close(self, run: Run, *, cancelled: bool) -> None:
        run.over = True
        for node in list(run.open.values()):
            self._node_finished(run, node, error=_ENDED, cancelled=cancelled)
        run.open.clear()
        for run_id in run.frames:
            self._frames.pop(run_id, None)

    def _tell_run(self, run: Run, inputs: object) -> None:
        if run.told:
            return
        run.told = True
        run.values = self._last_values.get(run.thread_id, {})
        self._emit(EventKind.RUN_STARTED, run=run.run, thread_id=run.thread_id, cause=run.cause)
        resume = resume_of(inputs)
        if resume is None:
            return
        pending = self._pending.pop(run.thread_id, [])
        decisions = resume if _by_interrupt(resume) else dict.fromkeys(pending or [""], resume)
        left = [known for known in pending if known not in decisions]
        if left:
            self._pending[run.thread_id] = left
        for interrupt_id, decision in decisions.items():
            self._emit(
                EventKind.INTERRUPT_RESUMED,
                interrupt_id=interrupt_id,
                command_id=run.command_id,
                decision=decision,
                run=run.run,
                thread_id=run.thread_id,
            )

    def _node_started(
        self,
        run_id: UUID,
        frame: Frame,
        run: Run,
        node: str,
        metadata: Mapping[str, Any],
        inputs: object,
    ) -> None:
        path = str(metadata.get("langgraph_checkpoint_ns", "") or "")
        ns, _, last = path.rpartition("|")
        task = last.rpartition(":")[2] or str(run_id)
        if task in run.open:
            return  # something inside the node that has the node's name
        step = int(metadata.get("langgraph_step") or 0)
        frame.node, frame.task = node, task
        run.open[task] = Node(task=task, node=node, step=step, ns=ns, frame=run_id)
        triggers = list(metadata.get("langgraph_triggers") or ())
        if not run.ours and not ns and step > run.step and "__pregel_push" not in str(triggers):
            self.checkpoint_saved(
                run, step - 1, "", [node], inputs
            )  # a node is given the state before it
            run.step = step
        run.next = [waiting for waiting in run.next if waiting != node]
        self._emit(
            EventKind.NODE_STARTED,
            run=run.run, task=task, node=node, step=step, ns=ns, triggers=triggers,
        )  # fmt: skip

    def _node_finished(
        self,
        run: Run,
        node: Node,
        *,
        update: object = None,
        error: BaseException | str | None = None,
        interrupted: bool = False,
        cancelled: bool = False,
    ) -> None:
        self._emit(
            EventKind.NODE_FINISHED,
            run=run.run,
            task=node.task,
            node=node.node,
            step=node.step,
            ns=node.ns,
            ms=ms_since(node.began_s),
            update=update,
            error=error_text(error),
            interrupted=interrupted,
            cancelled=cancelled,
        )

    def _child(self, run_id: UUID, parent_id: UUID | None) -> Frame:
        parent = self._frames.get(parent_id) if parent_id is not None else None
        frame = Frame(run=None)
        if parent is not None:
            frame.run, frame.node, frame.task = parent.run, parent.node, parent.task
        self._add(run_id, frame)
        return frame

    def _add(self, run_id: UUID, frame: Frame) -> None:
        while len(self._frames) >= _MOST_FRAMES:  # ends that never came
            self._frames.pop(next(iter(self._frames)))
        self._frames[run_id] = frame
        if frame.run is not None:
            frame.run.frames.append(run_id)

    def _where(self, frame: Frame) -> dict[str, str]:
        return {
            "run": frame.run.run if frame.run is not None else "",
            "task": frame.task,
            "node": frame.node,
        }


@dataclass(frozen=True, slots=True)
class Made:
    """A value that is plain already."""

    value: Any


def resume_of(inputs: object) -> Any:
    """What a LangGraph `Command` resumes with; None for any other input."""
    return getattr(inputs, "resume", None) if type(inputs).__name__ == "Command" else None


def interrupts_of(error: BaseException) -> tuple[Any, ...] | None:
    """The interrupts of a LangGraph `GraphInterrupt`; None for any other error."""
    if not any(cls.__name__ == "GraphBubbleUp" for cls in type(error).__mro__):
        return None
    if type(error).__name__ == "ParentCommand":
        return None
    found = error.args[0] if error.args else ()
    return tuple(found) if isinstance(found, list | tuple) else ()


def error_text(error: BaseException | str | None) -> str | None:
    """`Class: message`, guarded: an exception's own text may fail."""
    if error is None or isinstance(error, str):
        return error
    try:
        said = str(error)
    except Exception:  # noqa: BLE001  # anybody's __str__
        said = "its text cannot be read"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def usage_of(response: object) -> tuple[int | None, int | None, str]:
    """Tokens in, tokens out, and the model's name, where a LangChain `LLMResult` has them."""
    tokens_in = tokens_out = None
    model = ""
    for generations in getattr(response, "generations", None) or ():
        for generation in generations:
            message = getattr(generation, "message", None)
            usage = getattr(message, "usage_metadata", None) or {}
            if usage:
                tokens_in = (tokens_in or 0) + int(usage.get("input_tokens", 0))
                tokens_out = (tokens_out or 0) + int(usage.get("output_tokens", 0))
            told = getattr(message, "response_metadata", None) or {}
            model = model or str(told.get("model_name", "") or "")
    output = getattr(response, "llm_output", None) or {}
    usage = output.get("token_usage") if isinstance(output, dict) else None
    if tokens_in is None and isinstance(usage, dict):
        tokens_in, tokens_out = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return tokens_in, tokens_out, model


def _by_interrupt(resume: object) -> bool:
    """LangGraph's own rule: a dict whose every key is an interrupt's id (32 hex digits)."""
    return (
        isinstance(resume, dict)
        and bool(resume)
        and all(
            isinstance(key, str) and len(key) == 32 and not set(key) - set("0123456789abcdef")
            for key in resume
        )
    )


def _channels(values: object) -> Any:
    """A state as a mapping of its channels, whichever kind of schema it has."""
    if isinstance(values, Mapping):
        return {key: value for key, value in values.items() if key != "__interrupt__"}
    if is_dataclass(values) and not isinstance(values, type):
        return {spec.name: getattr(values, spec.name, None) for spec in fields(values)}
    names = getattr(type(values), "model_fields", None)
    if isinstance(names, Mapping):
        return {name: getattr(values, name, None) for name in names}
    return {"value": values} if values is not None else {}
