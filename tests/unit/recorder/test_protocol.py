"""The wire format: refuses what is wrong, passes over what is new, reads what is old."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from switchboard_recorder.protocol import (
    FRAME_BYTES,
    Ack,
    Bye,
    Command,
    Events,
    Hello,
    Live,
    Message,
    ProtocolError,
    Record,
    Refusal,
    Welcome,
    decode,
    decode_record,
    encode,
    encode_record,
)

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
MESSAGES: list[Message] = [
    Hello(stream_id="s", room_name="r", actions=("say", "end_session"), pid=7, late=True),
    Events(events=(Record(seq=1, kind="k", at=AT, data={"a": [1, None, "ü\u2028"]}),)),
    Live(kind="k", at=AT, data={"text": "x"}),
    Bye(last_seq=4, reason="done"),
    Welcome(session_id="ses_1", acked=3),
    Ack(seq=9),
    Command(command_id="c", action="say", args={"text": "x"}, issued_at=AT, expires_at=AT),
    Refusal(code="c", message="m", again=True),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.type)
def test_every_message_comes_back_as_it_was(message: Message) -> None:
    assert decode(encode(message)) == message


def test_a_record_comes_back_as_it_was_and_is_one_line() -> None:
    record = Record(seq=3, kind="k", at=AT, data={"text": "two\nlines"})
    assert decode_record(encode_record(record)) == record
    assert "\n" not in encode_record(record)


def test_moments_are_utc_whatever_zone_they_come_in() -> None:
    zone = timezone(timedelta(hours=2))
    frame = encode(Live(kind="k", at=AT.astimezone(zone)))
    assert '"2026-01-02T03:04:05.678901Z"' in frame
    assert decode(frame) == Live(kind="k", at=AT)


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "not json",
        "[]",
        "7",
        "{}",
        '{"type": 3}',
        '{"type": "ack"}',
        '{"type": "ack", "seq": "1"}',
        '{"type": "ack", "seq": true}',
        '{"type": "ack", "seq": 1.5}',
        '{"type": "hello", "room_name": "r"}',
        '{"type": "hello", "stream_id": "s", "room_name": "r", "actions": [1]}',
        '{"type": "events", "events": [1]}',
        '{"type": "events", "events": [{"seq": 1}]}',
        '{"type": "live", "kind": "k", "at": "yesterday"}',
        '{"type": "live", "kind": "k", "at": "2026-01-01T00:00:00"}',
        '{"type": "live", "kind": "k", "at": "2026-01-01T00:00:00Z", "data": []}',
        "[" * 100_000,
        '{"type": "bye", "last_seq": 1, "reason": "' + "x" * FRAME_BYTES + '"}',
    ],
    ids=lambda frame: frame[:50],
)
def test_a_frame_that_is_wrong_is_refused_without_its_content(frame: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(frame)
    assert "yesterday" not in str(caught.value)


@pytest.mark.parametrize("line", ["", "{}", "[]", "null", '{"seq": 1, "kind": "k"}'])
def test_a_line_that_is_wrong_is_refused(line: str) -> None:
    with pytest.raises(ProtocolError):
        decode_record(line)


def test_a_message_of_a_later_version_is_passed_over() -> None:
    assert decode('{"type": "weather", "sunny": true}') is None


def test_a_field_of_a_later_version_is_passed_over() -> None:
    assert decode('{"type": "ack", "seq": 4, "weather": {"sunny": true}}') == Ack(seq=4)


def test_a_kind_of_a_later_version_is_kept_as_it_is() -> None:
    record = {"seq": 1, "kind": "weather_changed", "at": "2026-01-01T00:00:00Z", "data": {"to": 1}}
    events = decode(json.dumps({"type": "events", "events": [{**record, "mood": "good"}]}))
    assert isinstance(events, Events)
    assert (events.events[0].kind, events.events[0].data) == ("weather_changed", {"to": 1})


def test_an_older_recorder_says_less_and_is_understood() -> None:
    said = decode('{"type": "hello", "protocol": 1, "stream_id": "s", "room_name": "r"}')
    assert said == Hello(stream_id="s", room_name="r")
    assert isinstance(said, Hello)
    assert (said.actions, said.session_id, said.late) == ((), "", False)
    assert decode('{"type": "welcome"}') == Welcome()


def test_not_a_number_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(Live(kind="k", at=AT, data={"x": float("nan")}))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("[" * 1_000 + "]" * 1_000, 100),
        ('{"x":' * 2_000 + "1" + "}" * 2_000, 100),
        ("9" * 5_000, 0),
    ],
    ids=["lists", "objects", "digits"],
)
def test_what_is_too_deep_or_too_long_to_be_read_costs_its_own_value_alone(
    value: str, read: int
) -> None:
    head = '{"seq": 1, "kind": "custom", "at": "2026-01-01T00:00:00Z", "data": '
    record = decode_record(head + '{"bad": ' + value + ', "good": "]}[{", "also": [{"a": 1}]}}')
    assert (record.data["good"], record.data["also"]) == ("]}[{", [{"a": 1}])
    depth, inner = 0, record.data["bad"]
    while inner:
        depth, inner = depth + 1, inner[0] if isinstance(inner, list) else inner["x"]
    assert depth == max(0, read - 3)


def test_a_text_without_an_end_is_refused_quickly() -> None:
    began_s = time.perf_counter()
    with pytest.raises(ProtocolError):
        decode('{"type": "' + '\\"' * 400_000)
    assert time.perf_counter() - began_s < 5
