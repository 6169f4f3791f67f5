"""What a person sees who starts it with a setting that cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.dashboard import Dashboard
from tests.support.processes import StartError


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"SWITCHBOARD_QQ": "1"}, "SWITCHBOARD_QQ is not a setting."),
        pytest.param(
            {"SWITCHBOARD_POLL_INTERVAL_S": "often"},
            "SWITCHBOARD_POLL_INTERVAL_S cannot be used",
            marks=pytest.mark.full,
        ),
        pytest.param(
            {"LIVEKIT_URL": "ws://127.0.0.1:9"},
            "LIVEKIT_URL is set but LIVEKIT_API_KEY is not.",
            marks=pytest.mark.full,
        ),
        ({"STREAMLIT_SERVER_ADDRESS": "0.0.0.0"}, "server.address is 0.0.0.0"),
        ({"SWITCHBOARD_AUTH_MODE": "oidc"}, "has no part [auth]"),
        pytest.param(
            {"SWITCHBOARD_AUTH_MODE": "proxy"},
            "SWITCHBOARD_PROXY_SECRET is missing or short",
            marks=pytest.mark.full,
        ),
        pytest.param(
            {"SWITCHBOARD_AUTH_MODE": "password", "SWITCHBOARD_USERS_FILE": "/dev/null/none"},
            "Cannot read the users file",
            marks=pytest.mark.full,
        ),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_sentence(
    tmp_path: Path, env: dict[str, str], sentence: str
) -> None:
    dashboard = Dashboard(
        tmp_path / "data", env={"SWITCHBOARD_EMBEDDED_LIVEKIT": "off", **env}, empty=True
    )
    try:
        with pytest.raises(StartError) as stopped:
            dashboard.start()
    finally:
        dashboard.stop()
    said = str(stopped.value)
    assert sentence in said
    assert "Traceback" not in said
