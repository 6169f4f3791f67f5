"""What the viewer's browser tells about the viewer."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from dashboard.ui import format as fmt
from services.clock import utc_now


def moment(value: datetime | None) -> str:
    """A moment as `format.moment_text` writes it, in the viewer's zone."""
    return fmt.moment_text(value, zone=st.context.timezone, now=utc_now())


def zone_name() -> str:
    """The viewer's zone; UTC while the browser has not told."""
    return st.context.timezone or "UTC"
