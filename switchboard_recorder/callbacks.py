"""The LangChain callback handler that adds itself to whatever runs in a recorded job.

Imported only where langchain_core is installed. `register_configure_hook` lets a handler join
every run of a context without being handed over; with `handle_class` given, it stays away where one
of its class is in the configuration already, so nothing is recorded twice.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from switchboard_recorder.commands import current_command
from switchboard_recorder.guard import Guard
from switchboard_recorder.runs import Runs

if TYPE_CHECKING:
    from langgraph.callbacks import GraphCallbackHandler, GraphInterruptEvent
else:
    try:
        from langgraph.callbacks import GraphCallbackHandler
    except ImportError:  # LangChain alone, or a LangGraph before its 1.2
        GraphCallbackHandler = BaseCallbackHandler


class Callbacks(GraphCallbackHandler):
    """Hands what LangChain and LangGraph report to `Runs`; whatever fails in it stays in it."""

    run_inline = True  # in order, in the task that runs the node: times are true
    raise_error = False

    def __init__(self, runs: Runs, guard: Guard) -> None:
        super().__init__()
        self._runs = runs
        self._guard = guard

    def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A graph, a node, or a part of one."""
        self._guard(
            self._runs.chain_started,
            run_id,
            parent_run_id,
            str(kwargs.get("name") or (serialized or {}).get("name", "")),
            metadata or {},
            inputs,
            command_id=current_command.get(),
        )

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Its result."""
        self._guard(self._runs.chain_ended, run_id, outputs)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """It failed, was cancelled or asks a human."""
        self._guard(self._runs.chain_failed, run_id, error)

    def on_interrupt(self, event: GraphInterruptEvent) -> None:
        """LangGraph tells subgraphs, and graphs that were given this handler; others go above."""
        self._guard(self._runs.graph_interrupted, event.run_id, event.interrupts)

    def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A tool with its arguments."""
        name = str((serialized or {}).get("name") or kwargs.get("name") or "")
        arguments = inputs if inputs is not None else input_str
        call = str(kwargs.get("tool_call_id") or "")
        self._guard(self._runs.tool_started, run_id, parent_run_id, name, arguments, call)

    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Its answer."""
        self._guard(self._runs.tool_ended, run_id, output, None)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """It failed."""
        self._guard(self._runs.tool_ended, run_id, None, error)

    def on_chat_model_start(
        self,
        serialized: Any,
        messages: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A chat model is asked."""
        self._model_started(serialized, run_id, parent_run_id, metadata, kwargs)

    def on_llm_start(
        self,
        serialized: Any,
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A plain model is asked."""
        self._model_started(serialized, run_id, parent_run_id, metadata, kwargs)

    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """It speaks."""
        self._guard(self._runs.token, run_id)

    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Its answer, with tokens where it counts them."""
        self._guard(self._runs.model_ended, run_id, response, None)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """It failed or was cut off."""
        self._guard(self._runs.model_ended, run_id, kwargs.get("response"), error)

    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """`dispatch_custom_event` in a node."""
        self._guard(self._runs.custom, run_id, name, data)

    def _model_started(
        self,
        serialized: Any,
        run_id: UUID,
        parent_run_id: UUID | None,
        metadata: dict[str, Any] | None,
        more: dict[str, Any],
    ) -> None:
        asked = more.get("invocation_params") or {}
        model = (
            (metadata or {}).get("ls_model_name")
            or asked.get("model")
            or asked.get("model_name")
            or more.get("name")
            or (serialized or {}).get("name")
        )
        self._guard(self._runs.model_started, run_id, parent_run_id, str(model or ""))


class _Current:
    """Whose run this is: of this context, else of this event loop (jobs do not share loops)."""

    def __init__(self) -> None:
        self._context: ContextVar[Callbacks | None] = ContextVar(
            "switchboard_callbacks", default=None
        )
        self._loops: dict[int, Callbacks] = {}

    def get(self) -> Callbacks | None:
        """What `register_configure_hook` asks of a ContextVar, at every run."""
        found = self._context.get()
        if found is not None or not self._loops:
            return found
        try:
            return self._loops.get(id(asyncio.get_running_loop()))
        except RuntimeError:  # a thread: the only recorder there is, or nobody's
            return next(iter(self._loops.values())) if len(self._loops) == 1 else None

    def install(self, callbacks: Callbacks) -> None:
        """From now on, in this context and on this loop."""
        self._context.set(callbacks)
        self._loops[id(asyncio.get_running_loop())] = callbacks

    def remove(self, callbacks: Callbacks) -> None:
        """No longer."""
        if self._context.get() is callbacks:
            self._context.set(None)
        for loop in [loop for loop, found in self._loops.items() if found is callbacks]:
            del self._loops[loop]


current = _Current()
register_configure_hook(current, inheritable=True, handle_class=Callbacks)  # type: ignore[arg-type]  # it only calls get()
