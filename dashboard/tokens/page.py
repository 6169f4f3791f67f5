"""Creating a token: its form with the check beside it, the token, its join link and QR code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlencode, urlsplit

import segno
import streamlit as st
from segno.encoder import DataOverflowError

from dashboard.tokens import token_form, token_state
from dashboard.ui import bridge, feedback, viewer
from dashboard.ui import format as fmt
from services.clock import utc_now
from services.errors import InvalidInputError, SwitchboardError
from services.livekit.tokens import Finding, MintedToken, Severity, TokenRequest, check
from services.settings import LOOPBACK

MEET_URL: Final = "https://meet.livekit.io/custom"
_MINTED: Final = "tokens.minted"
_LINK: Final = "tokens.link"
_QR_PX: Final = 320
SIDE_PX: Final = 420  # below that, one side stands under the other

Colour = Literal["red", "orange", "blue"]
_SEVERITY: Final[dict[Severity, tuple[Colour, str, str]]] = {
    Severity.DANGER: ("red", ":material/dangerous:", "Danger"),
    Severity.WARNING: ("orange", ":material/warning:", "Warning"),
    Severity.NOTICE: ("blue", ":material/info:", "Notice"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A token of this browser session, and what was asked for."""

    request: TokenRequest
    minted: MintedToken


def make() -> None:
    """The form, what the check says of it, and the token."""
    grid = st.grid(2, min_column_width=SIDE_PX, gap=("medium", "large"))
    with grid.cell():
        wish = token_form.draw()
        token_state.write_address()
    with grid.cell():
        problem = wish.error
        if wish.request is not None:
            found = bridge.runtime().tokens.lint(wish.request, holder=wish.holder)
            # A form without a room is unfinished, not dangerous: the caption of the button says so.
            findings([one for one in found if one.code != "no_room"])
            problem = _problem(wish.request)
        st.space("small")
        _mint(wish.request, problem)
        _made(wish.request)


def findings(found: Sequence[Finding]) -> None:
    """What the lint says, the worst first: colour, icon and word say the same."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header("Check", anchor=False, width="content")
        _counts(found)
    if not found:
        st.markdown(":green[:material/check_circle:] No issues found")
        return
    with st.container(border=True):
        for finding in found:
            colour, icon, word = _SEVERITY[finding.severity]
            st.markdown(
                f":{colour}-badge[{icon} {word}] {fmt.md(finding.message)}  \n"
                f":gray[:small[{fmt.md(finding.hint)}]]"
            )


def _counts(found: Sequence[Finding]) -> None:
    """How many of each kind, for a glance."""
    for severity, (colour, icon, word) in _SEVERITY.items():
        count = sum(finding.severity is severity for finding in found)
        if count:
            st.badge(fmt.count_text(count, word.lower()), icon=icon, color=colour)


def _problem(request: TokenRequest) -> InvalidInputError | None:
    try:
        check(request)
    except InvalidInputError as error:
        return error
    return None


def _mint(request: TokenRequest | None, problem: InvalidInputError | None) -> None:
    clicked = st.button(
        "Create token",
        key="tokens.make",
        type="primary",
        icon=":material/key:",
        disabled=problem is not None,
        width="stretch",
    )
    if problem is not None:
        st.caption(f":orange[:material/edit:] {fmt.md(str(problem))}")
    if not clicked or request is None:
        return
    try:
        actions = bridge.runtime().actions
        minted = bridge.write(lambda caller: actions.mint_token(request, actor=caller))
    except SwitchboardError as error:
        feedback.show_error(error, key="tokens.make.error")
    else:
        st.session_state[_MINTED] = _Made(request=request, minted=minted)
        st.session_state[_LINK] = False


def _made(request: TokenRequest | None) -> None:
    made: _Made | None = st.session_state.get(_MINTED)
    if made is None:
        return
    minted = made.minted
    with st.container(border=True):
        whom = fmt.code(minted.identity) if minted.identity else "a server"
        where = f" in {fmt.code(minted.room)}" if minted.room else ""
        st.markdown(f":green[:material/check_circle:] **Token for** {whom}{where}")
        if made.request != request:
            st.caption(
                ":orange[:material/edit:] The form has changed since you created this token."
            )
        st.code(minted.token, language=None, wrap_lines=True)
        st.caption(_expiry(minted))
        if made.request.grants.room_join:
            _join_link(minted)
        st.button("Discard token", key="tokens.forget", icon=":material/delete:", on_click=_forget)


def _expiry(minted: MintedToken) -> str:
    now = utc_now()
    until = viewer.moment(minted.expires_at)
    if minted.expires_at <= now:
        return f":red[:material/timer_off:] Expired at {until}. Create a new token."
    return (
        f":material/timer: Valid until {until}, {fmt.until(minted.expires_at, now=now)}. "
        "A token can't be revoked. Switchboard doesn't store it."
    )


def _forget() -> None:
    st.session_state.pop(_MINTED, None)


def _join_link(minted: MintedToken) -> None:
    if not st.toggle("Join link and QR code", key=_LINK):
        return
    server = bridge.runtime().target.public_url
    url = join_url(server, minted.token)
    st.warning(
        "The link opens an external page, LiveKit Meet (meet.livekit.io), and contains the token. "
        "That page and anyone with the link can use the token until it expires.",
        icon=":material/public:",
    )
    st.caption(f"{fmt.md(reach(server))} Server URL: {fmt.code(server)}")
    st.code(url, language=None, wrap_lines=True, height=120)
    st.link_button("Open LiveKit Meet", url, key="tokens.open", icon=":material/open_in_new:")
    try:
        image = qr_svg(url)
    except InvalidInputError as error:
        feedback.show_error(error, key="tokens.qr")
    else:
        about = f"QR code of the join link for {minted.identity} in {minted.room}"
        st.image(image, width=_QR_PX, alt=fmt.plain(about))


def join_url(server_url: str, token: str) -> str:
    """LiveKit's own meeting page, told where to connect and with which token."""
    return f"{MEET_URL}?{urlencode({'liveKitUrl': server_url, 'token': token})}"


def reach(server_url: str) -> str:
    """Which browsers can reach the server, as far as its address tells."""
    parts = urlsplit(server_url)
    if parts.hostname in LOOPBACK:
        return (
            "The browser that opens the link must reach the LiveKit server. This server listens on "
            "this machine only, so the link doesn't work on other devices."
        )
    if parts.scheme == "ws":
        return (
            "The browser that opens the link must reach the LiveKit server. Browsers block ws:// from "
            "an https page. Set LIVEKIT_PUBLIC_URL to a wss:// URL."
        )
    return "The browser that opens the link must reach the LiveKit server."


def qr_svg(text: str) -> str:
    """The text as a QR code: black on white in every theme, which scanners need.

    Raises:
        InvalidInputError: the text is too long for one.
    """
    try:
        code = segno.make_qr(text, error="l", boost_error=False)
    except DataOverflowError:
        raise InvalidInputError(
            "The link is too long for a QR code.",
            hint="Create the token again with less metadata and fewer attributes.",
            field="metadata",
        ) from None
    svg: str = code.svg_inline(scale=4, border=4, dark="#000", light="#fff")
    return svg
