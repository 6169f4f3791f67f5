"""Drawing the device check: this browser, its way to LiveKit, the microphone, and hearing.

The sound goes to the dashboard and back by streamlit-webrtc: what is measured is what left the
browser, after its own noise suppression and gain. It is held in memory for seconds, and not kept.
"""

from __future__ import annotations

from typing import Any, Final

import av
import numpy as np
import streamlit as st
from streamlit_webrtc import (
    AudioHTMLAttributes,
    PcmAudioSource,
    Translations,
    WebRtcMode,
    WebRtcStreamerContext,
    create_audio_sink_track,
    create_pcm_audio_source_track,
    webrtc_streamer,
)

from dashboard.components.device_probe import device_probe
from dashboard.system import check_results
from dashboard.ui import bridge, join_tokens
from services.audio import browser_check, microphone_check
from services.audio.microphone_check import HZ, Microphone, Reading
from services.health.findings import Area, Check, Finding

_KEY: Final = "devices"
_MICROPHONE: Final = f"{_KEY}.microphone"
_HEARD: Final = f"{_KEY}.heard"
_EVERY_S: Final = 0.4
_SPOKEN_S: Final = 0.5  # enough of it to play back
_FLOOR_DB: Final = -60.0  # what the meter shows as empty

_HEARING: Final = Check(
    code="device_hearing",
    area=Area.MICROPHONE,
    name="Playback",
    impact="The agent answers by voice.",
)
_WORDS: Final = Translations(
    start="Start microphone",
    stop="Stop microphone",
    select_device="Select device",
    media_api_not_available="This browser doesn't give the page access to a microphone.",
    device_ask_permission="Allow the microphone in the browser's address bar.",
    device_not_available="No microphone found. Connect one.",
    device_access_denied="The microphone is blocked. Allow it in the browser's address bar.",
)


def panel() -> None:
    """Both halves; neither needs a call, nor disturbs one."""
    st.caption(
        "Check this browser, the network and the microphone before a call. No audio is stored."
    )
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Browser and network", anchor=False)
        _browser()
    with right:
        st.subheader("Microphone and playback", anchor=False)
        _sound()


def _browser() -> None:
    runtime = bridge.runtime()
    result = device_probe(join_tokens.take(_KEY), key=f"{_KEY}.probe")
    if result.asked:
        join_tokens.ask(_KEY, lambda caller: runtime.devices.ticket(actor=caller))
    join_tokens.show_failure(_KEY)
    probe = browser_check.Probe.from_browser(result.found)
    if probe is not None:
        check_results.draw_live(browser_check.judge(probe))


def _sound() -> None:
    if _MICROPHONE not in st.session_state:
        st.session_state[_MICROPHONE] = Microphone()
    held: Microphone = st.session_state[_MICROPHONE]
    source = create_pcm_audio_source_track(key=f"{_KEY}.out", sample_rate=HZ)
    context = webrtc_streamer(
        key=f"{_KEY}.sound",
        mode=WebRtcMode.SENDRECV,
        rtc_configuration={"iceServers": []},  # else it asks a public server for addresses
        media_stream_constraints={
            "audio": {"echoCancellation": True, "noiseSuppression": True},
            "video": False,
        },
        source_audio_track=source.track,
        sink_audio_track=create_audio_sink_track(_taker(held), key=f"{_KEY}.in"),
        sendback_video=False,
        audio_html_attrs=AudioHTMLAttributes(autoPlay=True, controls=False),
        media_toggle_controls=False,
        translations=_WORDS,
        on_change=_changed,
    )
    if context.state.signalling:
        st.caption(
            "Connecting audio to the dashboard… This check needs UDP from this browser to the "
            "dashboard's machine. Calls don't need that."
        )
    elif not context.state.playing:
        st.caption("If an error appears, run the browser check to find the cause.")
    st.fragment(_measured, run_every=_EVERY_S if context.state.playing else None)(
        context, held, source
    )


def _changed() -> None:
    """What was measured belongs to one start of the microphone, and is shown after its end."""
    context: Any = st.session_state.get(f"{_KEY}.sound")
    if isinstance(context, WebRtcStreamerContext) and context.state.signalling:
        st.session_state[_MICROPHONE] = Microphone()
        st.session_state.pop(_HEARD, None)


def _taker(held: Microphone) -> Any:
    """Takes frames on Streamlit's loop: a tenth of a millisecond for each 20 ms of sound."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=HZ)

    def take(frame: av.AudioFrame) -> None:
        for one in resampler.resample(frame):
            held.hear(one.to_ndarray().reshape(-1).astype(np.int16))

    return take


def _measured(context: Any, held: Microphone, source: PcmAudioSource) -> None:
    reading = held.read()
    on = context.state.playing
    if on:
        _meter(reading)
        with st.container(horizontal=True):
            if st.button(
                "Play recording",
                key=f"{_KEY}.replay",
                icon=":material/replay:",
                disabled=reading.spoken_s < _SPOKEN_S,
            ):
                source.clear()
                source.push(held.last())
            if st.button("Play test sound", key=f"{_KEY}.chime", icon=":material/volume_up:"):
                source.clear()
                source.push(microphone_check.chime())
    if reading.heard_s > 0:
        st.segmented_control(
            "Did you hear it?",
            ["yes", "no"],
            format_func=str.capitalize,
            key=_HEARD,
            help="Your answer sets the result of the playback check.",
        )
        check_results.draw_live((*microphone_check.judge(reading), _hearing()))


def _meter(reading: Reading) -> None:
    share = (reading.level_db - _FLOOR_DB) / -_FLOOR_DB
    st.progress(
        min(1.0, max(0.0, share)),
        text=f"{':green[**Speech**]' if reading.speaks else ':gray[No speech]'} · "
        f"{reading.level_db:.0f} dB",
    )


def _hearing() -> Finding:
    match st.session_state.get(_HEARD):
        case "yes":
            return _HEARING.ok("You heard the sound.")
        case "no":
            return _HEARING.problem(
                "You heard no sound.",
                "Turn the volume up, select another output in the system's sound settings, and make "
                "sure that the browser tab is not muted.",
            )
    return _HEARING.unknown("Play a sound, then answer whether you heard it.")
