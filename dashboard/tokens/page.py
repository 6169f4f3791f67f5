"""Making a token: its form with the check beside it, the token, its join link and QR code."""

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
            findings(bridge.runtime().tokens.lint(wish.request, holder=wish.holder))
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
        st.markdown(":green[:material/check_circle:] Nothing in it is dangerous or strange.")
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
        "Make the token",
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
        whom = fmt.code(minted.identity) if minted.identity else "a program"
        where = f" in {fmt.code(minted.room)}" if minted.room else ""
        st.markdown(f":green[:material/check_circle:] **Token for** {whom}{where}")
        if made.request != request:
            st.caption(":orange[:material/edit:] The form has changed since this token was made.")
        st.code(minted.token, language=None, wrap_lines=True)
        st.caption(_expiry(minted))
        if made.request.grants.room_join:
            _join_link(minted)
        st.button("Forget it", key="tokens.forget", icon=":material/delete:", on_click=_forget)


def _expiry(minted: MintedToken) -> str:
    now = utc_now()
    until = f"{viewer.moment(minted.expires_at)} ({viewer.zone_name()})"
    if minted.expires_at <= now:
        return f":red[:material/timer_off:] It ended at {until}. Make a new one."
    return (
        f":material/timer: Valid until {until}, {fmt.until(minted.expires_at, now=now)}. "
        "LiveKit cannot take it back. Only this browser tab has it: it is kept nowhere else."
    )


def _forget() -> None:
    st.session_state.pop(_MINTED, None)


def _join_link(minted: MintedToken) -> None:
    if not st.toggle("Join link and QR code", key=_LINK):
        return
    server = bridge.runtime().target.public_url
    url = join_url(server, minted.token)
    st.warning(
        "The link leads to an outside page, LiveKit Meet at meet.livekit.io, and carries the "
        "token: that page and whoever has the link can use it until it ends.",
        icon=":material/public:",
    )
    st.caption(f"{fmt.md(reach(server))} The server's address is {fmt.code(server)}.")
    st.code(url, language=None, wrap_lines=True, height=120)
    st.link_button("Open the outside page", url, key="tokens.open", icon=":material/open_in_new:")
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
            "The browser that opens it must reach the LiveKit server. This one listens on this "
            "machine only: the link works here, and a telephone cannot use it."
        )
    if parts.scheme == "ws":
        return (
            "The browser that opens it must reach the LiveKit server. It will probably refuse: "
            "a page over https may not connect to ws. Set LIVEKIT_PUBLIC_URL to a wss address."
        )
    return "The browser that opens it must reach the LiveKit server."


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
            hint="Make the token again with less metadata and fewer attributes.",
            field="metadata",
        ) from None
    svg: str = code.svg_inline(scale=4, border=4, dark="#000", light="#fff")
    return svg
