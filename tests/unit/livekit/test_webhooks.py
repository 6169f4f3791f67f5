"""Webhooks: signed over the raw body by our key and in time, or not believed."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from livekit import api
from pydantic import SecretStr

from services.clock import rfc3339
from services.errors import BadSignatureError, InvalidInputError
from services.events import Kind, Provenance, Source
from services.ids import OBSERVER_PREFIX, new_session_id
from services.livekit.target import LiveKitTarget
from services.livekit.webhooks import to_event, verify

KEY, SECRET = "APIkey", "secret-of-at-least-32-characters"
TARGET = LiveKitTarget(
    url="http://127.0.0.1:7880",
    public_url="ws://127.0.0.1:7880",
    api_key=KEY,
    api_secret=SecretStr(SECRET),
)
NOW = datetime.now(UTC).replace(microsecond=700_000)
ROOM = {"name": "standup", "sid": "RM_1"}


def body_of(**given: Any) -> bytes:
    event = {"event": "room_started", "id": "EV_1", "createdAt": str(int(NOW.timestamp()))}
    return json.dumps({**event, "room": ROOM, **given}).encode()


def sign(body: bytes, *, key: str = KEY, secret: str = SECRET, **claims: Any) -> str:
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    now = datetime.now(UTC)
    values = {"iss": key, "nbf": now, "exp": now + timedelta(minutes=5), "sha256": digest}
    values = {name: value for name, value in (values | claims).items() if value is not None}
    return jwt.encode(values, secret, algorithm="HS256")


def event_of(body: bytes, received_at: datetime = NOW) -> Any:
    return to_event(verify(body, sign(body), TARGET), received_at)


def test_a_webhook_signed_over_its_raw_body_becomes_our_event() -> None:
    event = event_of(body_of(participant={"identity": "nate", "sid": "PA_1", "name": "Nate"},
                             event="participant_joined"))  # fmt: skip
    assert event.id == "webhook_EV_1"
    assert (event.kind, event.source) == (Kind.PARTICIPANT_JOINED, Source.WEBHOOK)
    assert event.certainty is Provenance.OBSERVED
    assert (event.room_name, event.room_sid, event.identity) == ("standup", "RM_1", "nate")
    assert event.data["participant_sid"] == "PA_1"


def test_livekits_own_signature_is_taken_with_and_without_bearer() -> None:
    body = body_of()
    token = api.AccessToken(KEY, SECRET).with_sha256(
        base64.b64encode(hashlib.sha256(body).digest()).decode()
    )
    assert verify(body, token.to_jwt(), TARGET).event == "room_started"
    assert verify(body, f"Bearer {token.to_jwt()}", TARGET).event == "room_started"


def _refused() -> list[tuple[bytes, str]]:
    body = body_of()
    past = datetime.now(UTC) - timedelta(minutes=10)
    return [
        (body, ""),
        (body, "Bearer "),
        (body, "not-a-token"),
        (body, "ü.ü.ü"),
        (body, sign(body, secret="x" * 32)),
        (body, sign(body, key="APIother")),
        (body, sign(body, exp=past, nbf=None)),
        (body, sign(body, exp=None)),
        (body, sign(body, nbf=datetime.now(UTC) + timedelta(hours=1))),
        (body + b" ", sign(body)),
        (b"", sign(body)),
        (body_of(id="EV_2"), sign(body)),
        (body, sign(body, sha256=None)),
        (body, sign(body, sha256="")),
        (body, sign(body, sha256="not base64!")),
        (body, sign(body, sha256=5)),
        (body, jwt.encode({"iss": KEY}, "", algorithm="none")),
    ]


@pytest.mark.parametrize(("body", "authorization"), _refused())
def test_what_is_not_signed_for_exactly_this_body_is_refused(
    body: bytes, authorization: str
) -> None:
    with pytest.raises(BadSignatureError) as caught:
        verify(body, authorization, TARGET)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"null", b'{"event": 5}', b"\xff\xfe", b"{"])
def test_what_is_signed_but_no_webhook_is_bad_input(body: bytes) -> None:
    with pytest.raises(InvalidInputError):
        verify(body, sign(body), TARGET)


def test_a_field_of_a_newer_server_is_no_reason_to_refuse() -> None:
    event = event_of(body_of(somethingNew={"a": 1}))
    assert event.kind is Kind.ROOM_STARTED


def test_an_unknown_event_is_kept_under_its_own_name() -> None:
    event = event_of(body_of(event="egress_started", egressInfo={"egressId": "EG_1"}))
    assert event.kind is Kind.LIVEKIT_OTHER
    assert event.data["event"] == "egress_started"


def test_the_event_is_stamped_on_receipt_because_livekit_gives_whole_seconds() -> None:
    assert event_of(body_of()).at == NOW
    assert event_of(body_of(createdAt="0")).at == NOW


def test_a_late_webhook_keeps_livekits_own_time() -> None:
    received = NOW + timedelta(seconds=30)
    assert event_of(body_of(), received).at == NOW.replace(microsecond=0)
    assert event_of(body_of(), received).received_at == received


def test_the_same_webhook_is_the_same_event_with_and_without_an_id() -> None:
    assert event_of(body_of()).id == event_of(body_of()).id
    bare = body_of(id="")
    assert event_of(bare).id == event_of(bare).id
    assert event_of(bare).id != event_of(body_of(id="", event="room_finished")).id
    assert len(event_of(bare).id) <= 80


def test_a_room_of_ours_is_recognised_by_its_metadata() -> None:
    mark = {"session_id": new_session_id(), "agent_id": "pm-agent", "expires_at": rfc3339(NOW)}
    room = {**ROOM, "metadata": json.dumps({"switchboard": mark})}
    assert event_of(body_of(room=room)).data["switchboard"] == mark


def test_what_people_wrote_into_metadata_is_not_kept() -> None:
    room = {**ROOM, "metadata": "private words"}
    event = event_of(body_of(room=room, participant={"identity": "n", "metadata": "private"}))
    assert "private" not in json.dumps(event.data)


def test_tracks_reasons_and_dropped_webhooks_are_kept() -> None:
    event = event_of(
        body_of(
            event="participant_left",
            numDropped=3,
            participant={
                "identity": f"{OBSERVER_PREFIX}x",
                "sid": "PA_1",
                "disconnectReason": "PARTICIPANT_REMOVED",
            },
            track={"sid": "TR_1", "type": "AUDIO", "source": "MICROPHONE"},
        )
    )
    assert event.data["num_dropped"] == 3
    assert event.data["disconnect_reason"] == "participant_removed"
    assert event.data["hidden"] is True
    assert (event.data["track"]["kind"], event.data["track"]["source"]) == ("audio", "microphone")


def test_enum_values_of_a_newer_server_are_unknown_and_no_error() -> None:
    event = event_of(
        body_of(
            participant={"identity": "n", "sid": "PA_1", "kind": 99, "disconnectReason": 99},
            track={"sid": "TR_1", "type": 99, "source": 99},
        )
    )
    assert event.data["kind"] == "unknown"
    assert event.data["disconnect_reason"] == "unknown"
    assert event.data["track"]["source"] == "unknown"
