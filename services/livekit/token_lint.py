"""What is dangerous, or does not do what it seems to, in an access token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import SecretStr

from services.ids import OBSERVER_PREFIX
from services.livekit.token_decode import DecodedToken
from services.livekit.token_findings import Finding, Severity, Subject
from services.livekit.token_presets import Holder
from services.livekit.token_request import TokenKind, TokenRequest
from services.livekit.token_rights import RIGHTS
from services.livekit.token_rules import RULES

__all__ = ["Finding", "LintContext", "Severity", "holder_of", "lint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LintContext:
    """What the token itself does not tell."""

    now: datetime
    holder: Holder | None = None  # None: judged by `holder_of`
    keys: Mapping[str, SecretStr] = field(default_factory=dict)  # that may have signed, by API key
    agent_hosts_session: bool | None = None  # None: unknown; livekit-agents does unless told not to


def lint(token: TokenRequest | DecodedToken, context: LintContext) -> tuple[Finding, ...]:
    """Every finding, the worst first; empty when there is nothing to say.

    A request and a token that says the same give the same findings, apart from those that only
    a finished token can have: no end, and a beginning that is yet to come.
    """
    subject = _subject(token, context)
    found = [finding for rule in (*RIGHTS, *RULES) for finding in rule(subject)]
    order = list(Severity)
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def holder_of(says: TokenRequest) -> Holder:
    """For whom a token seems to be. In doubt a person: that is the strictest judgement."""
    if says.kind == TokenKind.AGENT:
        return Holder.AGENT
    if says.grants.hidden and says.identity.startswith(OBSERVER_PREFIX):
        return Holder.OBSERVER
    if not says.grants.room_join or says.kind != TokenKind.STANDARD:
        return Holder.SERVER
    return Holder.PERSON


def _subject(token: TokenRequest | DecodedToken, context: LintContext) -> Subject:
    if isinstance(token, TokenRequest):
        return Subject(
            says=token,
            holder=context.holder or holder_of(token),
            lifetime=token.ttl,
            begins_at=context.now,
            egress="",
            size_bytes=_estimate_bytes(token),
            secrets=dict(context.keys),
            now=context.now,
            agent_hosts_session=context.agent_hosts_session,
        )
    begins_at = token.not_before or token.issued_at
    ends_at = token.expires_at
    config = token.claims.get("roomConfig")
    egress = config.get("egress") if isinstance(config, Mapping) else None
    return Subject(
        says=token.says,
        holder=context.holder or holder_of(token.says),
        lifetime=None if ends_at is None else ends_at - (begins_at or context.now),
        begins_at=begins_at,
        egress=json.dumps(egress) if egress else "",
        size_bytes=token.size_bytes,
        secrets={key: s for key, s in context.keys.items() if key == token.issuer},
        now=context.now,
        agent_hosts_session=context.agent_hosts_session,
    )


def _estimate_bytes(request: TokenRequest) -> int:
    """About the size of the signed token: its long texts in base64, and some 600 bytes besides."""
    config = request.room_config
    texts = [request.metadata, *request.attributes, *request.attributes.values()]
    if config is not None:
        texts += [config.metadata, *(agent.metadata for agent in config.agents)]
    return 600 + sum(len(json.dumps(text)) for text in texts) * 4 // 3
