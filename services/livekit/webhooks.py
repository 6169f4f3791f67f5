"""LiveKit's webhooks: the signature checked on the raw body, then our own event."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

import jwt
from google.protobuf.json_format import Parse, ParseError
from livekit import api
from livekit.protocol.webhook import WebhookEvent

from services.clock import from_unix_s
from services.errors import BadSignatureError, InvalidInputError
from services.events import Event, Kind, Source
from services.ids import is_session_id
from services.livekit.models import Participant, Room, Track, word
from services.livekit.target import LiveKitTarget

_LEEWAY_S = 60


def verify(body: bytes, authorization: str, target: LiveKitTarget) -> WebhookEvent:
    """The webhook, if `authorization` is LiveKit's signature of exactly these bytes.

    LiveKit signs a JWT with the key pair and puts the SHA-256 of the body into its `sha256`
    claim (livekit/protocol webhook/url_notifier.go).

    Raises:
        BadSignatureError: no token, another key, expired, or a hash of another body.
        InvalidInputError: signed, but not a webhook.
    """
    try:
        claims = jwt.decode(
            authorization.removeprefix("Bearer ").strip(),
            target.api_secret.get_secret_value(),
            algorithms=["HS256"],
            issuer=target.api_key,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "iss"]},
        )
        signed = base64.b64decode(str(claims.get("sha256", "")), validate=True)
    except (jwt.PyJWTError, binascii.Error, ValueError):
        raise BadSignatureError(
            "The webhook is not signed with this server's API key.",
            hint="Check that livekit-server's webhook.api_key is LIVEKIT_API_KEY.",
        ) from None
    if not hmac.compare_digest(signed, hashlib.sha256(body).digest()):
        raise BadSignatureError("The webhook's signature doesn't match its body.")
    try:
        told = Parse(body.decode(), WebhookEvent(), ignore_unknown_fields=True)
    except (ParseError, UnicodeDecodeError) as exc:
        raise InvalidInputError(
            "The webhook's body is not a LiveKit event in JSON.", field="body"
        ) from exc
    if not told.event:
        raise InvalidInputError("The webhook has no event type.", field="body")
    return told


def to_event(webhook: WebhookEvent, received_at: datetime) -> Event:
    """Our event for a webhook. LiveKit's `created_at` has whole seconds: we stamp on receipt."""
    try:
        kind = Kind(webhook.event)
    except ValueError:
        kind = Kind.LIVEKIT_OTHER
    data: dict[str, Any] = {}
    if kind is Kind.LIVEKIT_OTHER:
        data["event"] = webhook.event
    if webhook.num_dropped:
        data["num_dropped"] = webhook.num_dropped
    room = Room.from_proto(webhook.room)
    if kind in {Kind.ROOM_STARTED, Kind.ROOM_FINISHED} or ours_in(room.metadata):
        data |= room_facts(room)
    if webhook.HasField("participant"):
        data |= participant_facts(Participant.from_proto(webhook.participant))
        if webhook.participant.disconnect_reason:
            reason = word(api.DisconnectReason, webhook.participant.disconnect_reason)
            data["disconnect_reason"] = reason
    if webhook.HasField("track"):
        data["track"] = track_facts(Track.from_proto(webhook.track))
    return Event(
        id=f"webhook_{webhook.id}" if webhook.id else _id_of(webhook),
        kind=kind,
        at=received_at if not webhook.created_at else _at(webhook.created_at, received_at),
        received_at=received_at,
        source=Source.WEBHOOK,
        room_name=room.name,
        room_sid=room.sid,
        identity=webhook.participant.identity,
        data=data,
    )


def _at(created_s: int, received_at: datetime) -> datetime:
    """The receipt, unless the webhook is late: then its own whole second is nearer to the truth."""
    created_at = from_unix_s(created_s) or received_at
    late_s = (received_at - created_at).total_seconds()
    return received_at if -5 <= late_s <= 2 else created_at


def _id_of(webhook: WebhookEvent) -> str:
    return (
        "webhook_" + hashlib.sha256(webhook.SerializeToString(deterministic=True)).hexdigest()[:32]
    )


def ours_in(metadata: str) -> dict[str, str] | None:
    """What we wrote into the metadata of a room of ours: session_id, agent_id, expires_at."""
    if not metadata or "switchboard" not in metadata:
        return None
    try:
        ours = json.loads(metadata).get("switchboard")
        if not isinstance(ours, dict) or not is_session_id(str(ours.get("session_id", ""))):
            return None
        expires_at = ours.get("expires_at")
        if expires_at and datetime.fromisoformat(str(expires_at)).tzinfo is None:
            return None
    except (ValueError, AttributeError, RecursionError):
        return None
    return {str(name): str(value) for name, value in ours.items()}


def room_facts(room: Room) -> dict[str, Any]:
    """What an event keeps of a room; `switchboard` when it is one of ours."""
    facts: dict[str, Any] = {}
    if (ours := ours_in(room.metadata)) is not None:
        facts["switchboard"] = ours
    return facts


def participant_facts(participant: Participant) -> dict[str, Any]:
    """What an event keeps of a participant."""
    permissions = participant.permissions
    facts: dict[str, Any] = {
        "participant_sid": participant.sid,
        "name": participant.name,
        "kind": participant.kind.value,
        "hidden": participant.is_observer or bool(permissions and permissions.hidden),
    }
    if participant.agent_name:
        facts["agent_name"] = participant.agent_name
    return facts


def track_facts(track: Track) -> dict[str, Any]:
    """What an event keeps of a track."""
    return {
        "sid": track.sid,
        "name": track.name,
        "kind": track.kind,
        "source": track.source,
        "muted": track.muted,
        "mime_type": track.mime_type,
    }
