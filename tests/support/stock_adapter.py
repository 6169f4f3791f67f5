"""A language model for AgentSession that runs a graph in the way of LiveKit's LangChain plugin.

The plugin's `LLMAdapter` (livekit-plugins-langchain) is not among our packages. What matters to a
recorder is kept: the graph is held as `_graph`, and runs by `astream(stream_mode="messages")` in
the task of an `LLMStream`, with no configuration of ours.
"""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from livekit.agents import llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions


class GraphLLM(llm.LLM[Any]):
    """Says what a graph streams."""

    def __init__(self, graph: Any, config: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._graph = graph
        self._config = config

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **kwargs: Any,
    ) -> llm.LLMStream:
        """One turn."""
        return _Stream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Stream(llm.LLMStream):
    async def _run(self) -> None:
        adapter = self._llm
        assert isinstance(adapter, GraphLLM)
        state = {
            "messages": [
                (HumanMessage if said.role == "user" else AIMessage)(said.text_content, id=said.id)
                for said in self._chat_ctx.messages()
                if said.text_content and said.role in {"user", "assistant"}
            ]
        }
        parts = adapter._graph.astream(state, adapter._config, stream_mode="messages")
        async for message, _ in parts:
            delta = llm.ChoiceDelta(role="assistant", content=str(message.content))
            self._event_ch.send_nowait(llm.ChatChunk(id=message.id or "1", delta=delta))
