"""The audit log, for other programs: page by page as JSON is the page's; here it is whole, as CSV."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from api.deps import Auditor, SharedRuntime
from api.streaming import download, pieces_of
from services.store.audit_records import AuditQuery

router = APIRouter(tags=["Audit"])

_DAYS: Final = {"1d": 1, "7d": 7, "30d": 30, "90d": 90}


@router.get("/audit")
async def audit_log(
    runtime: SharedRuntime,
    caller: Auditor,
    q: Annotated[str | None, Query(max_length=200)] = None,
    action: Annotated[str | None, Query(max_length=200)] = None,
    outcome: Annotated[str | None, Query(max_length=40)] = None,
    since: Literal["1d", "7d", "30d", "90d"] | None = None,
) -> StreamingResponse:
    """What was done, newest first, as CSV: at, who, as what, the action, on what, the outcome."""
    wanted = AuditQuery(
        text=q,
        action=action,
        outcome=outcome,
        since=runtime.now() - timedelta(days=_DAYS[since]) if since is not None else None,
    )
    pieces = await runtime.acall(lambda: runtime.audit_reader.export(wanted, actor=caller))
    return download("switchboard-audit.csv", "text/csv; charset=utf-8", pieces_of(runtime, pieces))
