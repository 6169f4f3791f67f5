"""Commands from the dashboard: each carried out once, in order, and always answered."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from switchboard_recorder import Action, Command, EventKind, Outcome, Reply
from switchboard_recorder.commands import Commands, current_command
from tests.support.recorder_desk import Desk, open_desk
from tests.support.recorders import new_recorder, recording
from tests.support.waiting import eventually


def done(desk: Desk) -> list[tuple[str, str]]:
    return [
        (one["command_id"], one["outcome"]) for one in desk.told.of(EventKind.COMMAND_COMPLETED)
    ]


class Agent:
    """Carries out commands, and remembers them."""

    def __init__(self) -> None:
        self.seen: list[Command] = []
        self.ids: list[str] = []
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, command: Command) -> Reply:
        self.seen.append(command)
        await self.go.wait()
        self.ids.append(current_command.get())
        if command.args.get("fail"):
            raise ValueError("the agent cannot")
        return Reply(Outcome.DONE, f"said {command.args.get('text', '')}")


async def test_a_command_is_carried_out_and_answered(tmp_path: Path) -> None:
    agent = Agent()
    async with open_desk() as desk:
        recorder = new_recorder(desk, tmp_path)
        recorder.on_command(agent, (Action.SAY, Action.END_SESSION))
        recorder.start()
        await desk.until(lambda desk: desk.sockets)
        assert desk.told.hellos[0].actions == ("say", "end_session")
        await desk.command("say", {"text": "hello"}, command_id="c1")
        await desk.until(lambda desk: desk.count == 1)
        await recorder.aclose()
    assert [command.args for command in agent.seen] == [{"text": "hello"}]
    (answer,) = desk.told.of(EventKind.COMMAND_COMPLETED)
    assert answer == {"command_id": "c1", "outcome": "done", "detail": "said hello"}
    assert agent.ids == ["c1"], "its tasks know for whose sake they run"


async def test_a_command_that_comes_twice_runs_once_and_is_answered_alike(tmp_path: Path) -> None:
    agent = Agent()
    async with open_desk() as desk, recording(desk, tmp_path) as recorder:
        recorder.on_command(agent)
        await desk.until(lambda desk: desk.sockets)
        agent.go.clear()
        await desk.command("answer_interrupt", command_id="c1")
        await desk.command("answer_interrupt", command_id="c1")
        await eventually(lambda: agent.seen)
        agent.go.set()
        await desk.until(lambda desk: desk.count == 1)
        await desk.command("answer_interrupt", command_id="c1")
        await desk.until(lambda desk: desk.count == 2)
        assert done(desk) == [("c1", "done"), ("c1", "done")]
        assert len(agent.seen) == 1


async def test_what_cannot_be_done_is_refused_with_the_reason(tmp_path: Path) -> None:
    agent = Agent()
    async with open_desk() as desk, recording(desk, tmp_path) as recorder:
        recorder.on_command(agent, (Action.SAY,))
        await desk.until(lambda desk: desk.sockets)
        await desk.command("dance", command_id="unknown")
        await desk.command("end_session", command_id="not offered")
        await desk.command("say", command_id="late", for_s=-1)
        await desk.until(lambda desk: desk.count == 3)
        assert done(desk) == [
            ("unknown", "refused"),
            ("not offered", "refused"),
            ("late", "refused"),
        ]
        details = [one["detail"] for one in desk.told.of(EventKind.COMMAND_COMPLETED)]
        assert "does not know" in details[0]
        assert "cannot do" in details[1]
        assert "time was over" in details[2]
        assert agent.seen == []


async def test_a_handler_that_fails_is_an_answer_too(tmp_path: Path) -> None:
    agent = Agent()
    async with open_desk() as desk, recording(desk, tmp_path) as recorder:
        recorder.on_command(agent)
        await desk.until(lambda desk: desk.sockets)
        await desk.command("say", {"fail": True}, command_id="c1")
        await desk.command("say", {"text": "still here"}, command_id="c2")
        await desk.until(lambda desk: desk.count == 2)
        assert done(desk) == [("c1", "failed"), ("c2", "done")]
        assert "the agent cannot" in desk.told.of(EventKind.COMMAND_COMPLETED)[0]["detail"]


async def test_without_a_handler_everything_is_refused(tmp_path: Path) -> None:
    async with open_desk() as desk, recording(desk, tmp_path):
        await desk.until(lambda desk: desk.sockets)
        await desk.command("say")
        await desk.until(lambda desk: desk.count == 1)
        assert done(desk) == [("cmd_1", "refused")]


async def test_commands_that_touch_the_graph_run_one_at_a_time_and_others_beside_them(
    tmp_path: Path,
) -> None:
    agent = Agent()
    async with open_desk() as desk, recording(desk, tmp_path) as recorder:
        recorder.on_command(agent)
        await desk.until(lambda desk: desk.sockets)
        agent.go.clear()
        await desk.command("answer_interrupt", command_id="c1")
        await desk.command("whisper", command_id="c2")
        await desk.command("say", command_id="c3")
        await eventually(lambda: len(agent.seen) == 2)
        assert [command.action for command in agent.seen] == ["answer_interrupt", "say"]
        agent.go.set()
        await desk.until(lambda desk: desk.count == 3)
        assert [command.action for command in agent.seen] == ["answer_interrupt", "say", "whisper"]


async def test_a_handler_that_hangs_fails_in_time_and_frees_the_way() -> None:
    told: list[dict[str, Any]] = []
    commands = Commands(lambda _, **data: told.append(data), handler_s=0.05)

    async def hang(command: Command) -> Reply:
        await asyncio.sleep(0 if command.command_id == "c2" else 600)
        return Reply(Outcome.DONE)

    commands.handle(hang, tuple(Action))
    for command_id in ("c1", "c2"):
        commands.take(command_of(command_id))
    await eventually(lambda: len(told) == 2)
    assert [one["outcome"] for one in told] == ["failed", "done"]
    await commands.aclose()


async def test_too_many_commands_are_refused() -> None:
    told: list[dict[str, Any]] = []
    commands = Commands(lambda _, **data: told.append(data))

    async def hang(command: Command) -> Reply:
        await asyncio.sleep(600)
        return Reply(Outcome.DONE)

    commands.handle(hang, tuple(Action))
    for number in range(150):
        commands.take(command_of(f"c{number}"))
    assert len(told) == 50
    assert {one["outcome"] for one in told} == {"refused"}
    await commands.aclose()


def command_of(command_id: str) -> Command:
    from datetime import timedelta

    from switchboard_recorder.times import now

    at = now()
    return Command(
        command_id=command_id, action="say", issued_at=at, expires_at=at + timedelta(seconds=60)
    )


@pytest.mark.parametrize("action", list(Action))
async def test_every_action_of_the_protocol_reaches_the_handler(
    tmp_path: Path, action: Action
) -> None:
    agent = Agent()
    async with open_desk() as desk, recording(desk, tmp_path) as recorder:
        recorder.on_command(agent, Action)
        await desk.until(lambda desk: desk.sockets)
        await desk.command(action.value)
        await desk.until(lambda desk: desk.count == 1)
        assert [command.action for command in agent.seen] == [action.value]
