"""Drawing the review of a session: notes, result, scorecard and comment."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import streamlit as st

from dashboard.ui import bridge, drafts, feedback, viewer
from dashboard.ui import format as fmt
from dashboard.ui.actions import attempt, show_failure
from services.errors import InvalidInputError, SwitchboardError
from services.reviews.service import (
    SCORES,
    TAGS_MOST,
    TEXT_MOST,
    VERDICTS,
    Note,
    Opinion,
    Review,
    Score,
)

_KEY: Final = "review"
_VERDICTS: Final = {
    "pass": (":material/thumb_up:", "Pass", "green"),
    "fail": (":material/thumb_down:", "Fail", "red"),
    "unsure": (":material/help:", "Unsure", "orange"),
}


def draw(session_id: str, note_at: datetime | None) -> None:
    """All of it. `note_at`: the moment about which the reader wants to write now."""
    pinned_key = f"{_KEY}.{session_id}.at"
    if note_at is not None:
        st.session_state[pinned_key] = note_at
    review = bridge.read(lambda: bridge.runtime().reviews.of(session_id))
    st.header("Review", anchor=False)
    left, right = st.columns(2, gap="medium")
    with left:
        _notes(session_id, review)
        _note_form(session_id, st.session_state.get(pinned_key), pinned_key)
    with right:
        _verdict_form(session_id, review)


def verdict(session_id: str) -> None:
    """The scorecard alone."""
    _verdict_form(session_id, bridge.read(lambda: bridge.runtime().reviews.of(session_id)))


def _notes(session_id: str, review: Review) -> None:
    if not review.notes:
        st.caption("No notes yet. Press N in the view above to add one at the current time.")
    for note in review.notes:
        with st.container(horizontal=True, vertical_alignment="center"):
            tags = " ".join(f":gray-badge[{fmt.md(tag)}]" for tag in note.tags)
            st.markdown(
                f"{fmt.md(note.text)}  \n:small[:gray[at {viewer.moment(note.pinned_at)}, "
                f"by {fmt.md(note.author)}]] {tags}"
            )
            st.space("stretch")
            if st.button(
                "Remove note",
                key=f"{_KEY}.{note.id}.remove",
                icon=":material/delete:",
                type="tertiary",
            ):
                _remove(session_id, note)


def _remove(session_id: str, note: Note) -> None:
    reviews = bridge.runtime().reviews
    try:
        bridge.write(lambda caller: reviews.remove_note(session_id, note.id, actor=caller))
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{_KEY}.remove.error", retry=False)
        return

    def put_back() -> None:
        bridge.write(lambda caller: reviews.put_back(session_id, note, actor=caller))

    feedback.flash("Note removed", undo=put_back)
    st.rerun()


def _note_form(session_id: str, pinned_at: datetime | None, pinned_key: str) -> None:
    runtime = bridge.runtime()
    key = f"{_KEY}.{session_id}.note"
    draft = drafts.draft_key(key)
    label = "Note" if pinned_at is None else f"Note at {viewer.moment(pinned_at)}"
    with st.form(key):
        text = st.text_area(label, key=f"{draft}.text", max_chars=TEXT_MOST)
        tags = st.multiselect(
            "Tags",
            ["slow", "wrong", "misheard", "good"],
            key=f"{draft}.tags",
            accept_new_options=True,
            max_selections=TAGS_MOST,
        )
        sent = st.form_submit_button("Add note", icon=":material/edit_note:")

    def write() -> None:
        bridge.write(
            lambda caller: runtime.reviews.add_note(
                session_id,
                pinned_at=pinned_at or runtime.now(),
                text=text,
                tags=tuple(tags),
                actor=caller,
            )
        )
        drafts.sent(key)
        st.session_state.pop(pinned_key, None)

    if sent:
        attempt(key, write, done="Note added")
    show_failure(key)


def _verdict_form(session_id: str, review: Review) -> None:
    reviews = bridge.runtime().reviews
    key = f"{_KEY}.{session_id}.verdict"
    newest = review.opinions[0] if review.opinions else None
    if newest is not None:
        _said(newest, others=len(review.opinions) - 1)
    with st.form(key):
        verdict = st.segmented_control(
            "Result",
            list(VERDICTS),
            default=newest.verdict if newest is not None else None,
            format_func=lambda one: _VERDICTS[one][1],
            key=f"{key}.verdict",
        )
        scores: dict[str, Score] = {}
        for number, question in enumerate(reviews.questions):
            given = st.segmented_control(
                fmt.plain(question),
                list(SCORES),
                format_func=str.capitalize,
                default=newest.scores.get(question) if newest is not None else None,
                key=f"{key}.{number}",
            )
            if given is not None:
                scores[question] = given
        remark = st.text_input(
            "Comment",
            value=newest.remark if newest is not None else "",
            key=f"{key}.remark",
            max_chars=TEXT_MOST,
        )
        sent = st.form_submit_button("Save review", icon=":material/gavel:")

    def judge() -> None:
        if verdict is None:
            raise InvalidInputError(
                "No result selected.", hint="Select Pass, Fail or Unsure, then save again."
            )
        bridge.write(
            lambda caller: reviews.judge(
                session_id, verdict, remark=remark, scores=scores, actor=caller
            )
        )

    if sent:
        attempt(key, judge, done="Review saved")
    show_failure(key)


def _said(opinion: Opinion, *, others: int) -> None:
    icon, word, colour = _VERDICTS[opinion.verdict]
    more = f" · {fmt.count_text(others, 'earlier review')}" if others else ""
    st.markdown(
        f":{colour}-badge[{icon} {word}] :small[:gray[by {fmt.md(opinion.author)}, "
        f"{viewer.moment(opinion.at)}{more}]]"
    )
