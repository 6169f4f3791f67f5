"""Drawing how one hears a room through the dashboard, by streamlit-webrtc."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Final

import av
import streamlit as st
from streamlit_webrtc import (
    AudioHTMLAttributes,
    Translations,
    WebRtcMode,
    create_audio_source_track,
    webrtc_streamer,
)

from dashboard.rooms.audio_monitoring import relayed_key, stop_relayed
from dashboard.ui import bridge, feedback
from services.audio.monitoring import HZ, Listening
from services.errors import SwitchboardError

_EVERY_S: Final = 1.0
_WORDS: Final = Translations(start="Resume playback", stop="Stop listening")


def panel(room_name: str) -> None:
    """A button; then a player that is silent until unmuted."""
    key = relayed_key(room_name)
    listening: Listening | None = st.session_state.get(key)
    if listening is None or listening.said:
        _offer(room_name, key, listening)
        return
    source = create_audio_source_track(
        _frames(listening),
        key=f"{key}.source.{id(listening)}",
        sample_rate=HZ,
    )
    context = webrtc_streamer(
        key=f"{key}.player.{id(listening)}",
        mode=WebRtcMode.RECVONLY,
        rtc_configuration={"iceServers": []},  # else it asks a public server for addresses
        media_stream_constraints={"audio": True, "video": False},
        source_audio_track=source,
        sendback_video=False,
        desired_playing_state=True,
        audio_html_attrs=AudioHTMLAttributes(autoPlay=True, controls=True, muted=True),
        translations=_WORDS,
    )
    left = st.button("Stop listening", key=f"{key}.stop", icon=":material/hearing_disabled:")
    st.caption(
        "Audio is muted. Unmute the player to listen. Participants can't see or hear you."
        if context.state.playing
        else "Connecting audio from the dashboard…"
    )
    if left:
        stop_relayed(room_name)
        st.rerun()
    st.fragment(_until_over, run_every=_EVERY_S)(listening)


def _offer(room_name: str, key: str, before: Listening | None) -> None:
    error_key = f"{key}.error"
    if before is not None:
        st.info(before.said, icon=":material/hearing_disabled:")
    st.caption(
        "Use this if this browser cannot reach LiveKit's media ports. The dashboard relays the "
        "audio with a short delay. Participants can't see or hear you. Listening is logged."
    )
    if st.button("Listen in through relay", key=f"{key}.begin", icon=":material/hearing:"):
        st.session_state.pop(error_key, None)
        runtime = bridge.runtime()
        try:
            st.session_state[key] = bridge.write(
                lambda caller: runtime.listeners.listen(room_name, actor=caller)
            )
        except SwitchboardError as error:
            st.session_state[error_key] = error
        st.rerun()
    if (failed := st.session_state.get(error_key)) is not None:
        feedback.show_error(failed, key=error_key, retry=False)


def _until_over(listening: Listening) -> None:
    if listening.said:
        st.rerun()


def _frames(listening: Listening) -> Callable[[int, Fraction], av.AudioFrame]:
    def frame(pts: int, time_base: Fraction) -> av.AudioFrame:
        made = av.AudioFrame.from_ndarray(
            listening.pull().reshape(1, -1), format="s16", layout="mono"
        )
        made.sample_rate = HZ
        return made

    return frame
