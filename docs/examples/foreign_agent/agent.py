"""A LangGraph agent on LiveKit that anybody could have written. Switchboard needs one line of it."""

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.graph import END, START, MessagesState, StateGraph
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli, room_io
from livekit.plugins.langchain import LLMAdapter

from switchboard_recorder import record


class Rules(BaseChatModel):
    """Answers by rules, so that the example needs no key. Put your own model here."""

    @property
    def _llm_type(self):
        return "rules"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        said = messages[-1].text.lower()
        answer = "Nine to five, on weekdays." if "open" in said else "Ask me when we are open."
        return ChatResult(generations=[ChatGeneration(message=AIMessage(answer))])


async def answer(state: MessagesState):
    return {"messages": [await Rules().ainvoke(state["messages"])]}


graph = StateGraph(MessagesState).add_node(answer).add_edge(START, "answer").add_edge("answer", END)
server = AgentServer(host="127.0.0.1", port=0)


@server.rtc_session(agent_name="opening-hours")
async def entry(ctx: JobContext):
    session = AgentSession(llm=LLMAdapter(graph.compile()))
    record(ctx, session)  # the one line
    text_only = room_io.RoomOptions(audio_input=False, audio_output=False)
    await session.start(Agent(instructions=""), room=ctx.room, room_options=text_only)


if __name__ == "__main__":
    cli.run_app(server)
