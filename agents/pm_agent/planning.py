"""From a stand-up to risks, open questions and tickets; and what a human's answer makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

MAX_TICKETS: Final = 8
MAX_TITLE: Final = 120
MAX_NOTE: Final = 1000

Slots = Mapping[str, Sequence[str]]
StreamTickets = list[dict[str, str]]

# In which slots a word is a risk, and how it is told; {} is the item.
_RISKS: Final = (
    (("blockers",), r"\b(?:vendor|supplier|third[- ]party|customer|client|external)\b", "{} depends on somebody outside."),
    (("blockers",), r"\b(?:access|permissions?|key|licen[cs]e|password|account|vpn)\b", "{} may take longer to get than it looks."),
    (("next", "blockers"), r"\b(?:deadline|today|tonight|by (?:monday|tuesday|wednesday|thursday|friday)|urgent|asap)\b", "{} has little time left."),
    (("next",), r"\b(?:migration|migrate|rewrite|refactor\w*|upgrade|release|deploy\w*|production)\b", "{} can break what works."),
)  # fmt: skip
_MANY_NEXT: Final = 4
_PERSON: Final = (
    r"\b(?:from|by|for|on|with|because) (?!the\b|a\b|an\b|my\b|our\b|it\b|this\b)[a-z]+\b"
)
_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_COUNTS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight")


def risks(slots: Slots) -> list[str]:
    """What may go wrong, as short sentences, at most five."""
    found = [
        sentence.format(_capital(item))
        for where, pattern, sentence in _RISKS
        for slot in where
        for item in slots.get(slot, ())
        if re.search(pattern, item, re.IGNORECASE)
    ]
    if len(slots.get("next", ())) > _MANY_NEXT:
        found.append("That is much for one day.")
    return list(dict.fromkeys(found))[:5]


def open_questions(slots: Slots) -> list[str]:
    """What is still to be found out, as short questions, at most five."""
    found = [
        f"Who can help with {item}?"
        for item in slots.get("blockers", ())
        if not re.search(_PERSON, item, re.IGNORECASE)
    ]
    if not slots.get("next"):
        found.append("What is planned next?")
    return found[:5]


def propose(
    slots: Slots, findings: Mapping[str, Sequence[str]], settled: Iterable[str]
) -> StreamTickets:
    """A ticket for each blocker and for each next thing that was not decided on before."""
    known = {title.casefold() for title in settled}
    about = [*findings.get("risks", ()), *findings.get("questions", ())]
    made: StreamTickets = []
    for slot, kind, lead in (("blockers", "blocker", "Resolve: "), ("next", "task", "")):
        for item in slots.get(slot, ()):
            title = _capital(f"{lead}{item}")[:MAX_TITLE]
            if title.casefold() not in known:
                known.add(title.casefold())
                note = " ".join(text for text in about if item.casefold() in text.casefold())
                made.append({"title": title, "kind": kind, "note": note})
    return made[:MAX_TICKETS]


def revise(tickets: StreamTickets, remark: str) -> StreamTickets:
    """The tickets after a human's remark: only, drop, add, rename; else it becomes a note."""
    said = re.sub(r"\s+", " ", remark).strip()[:MAX_NOTE]
    if re.match(r"(?:please )?(?:only|just)(?: the)? blockers?\b", said, re.IGNORECASE):
        return [t for t in tickets if t["kind"] == "blocker"]
    if re.match(r"(?:please )?(?:only|just)(?: the)? tasks?\b", said, re.IGNORECASE):
        return [t for t in tickets if t["kind"] == "task"]
    if m := re.match(r"(?:please )?(?:only|just|keep)(?: the)? (.+)", said, re.IGNORECASE):
        return _named(tickets, m[1]) or _with_note(tickets, said)
    if m := re.match(
        r"(?:please )?(?:drop|remove|delete|without|leave out|not)(?: the)? (.+)",
        said,
        re.IGNORECASE,
    ):
        gone = _named(tickets, m[1])
        return [t for t in tickets if t not in gone] if gone else _with_note(tickets, said)
    if m := re.match(r"(?:please )?add(?: a ticket)?(?: for| to)?:? (.+)", said, re.IGNORECASE):
        title = _capital(m[1].rstrip(". "))[:MAX_TITLE]
        return [*tickets, {"title": title, "kind": "task", "note": ""}][:MAX_TICKETS]
    if m := re.match(
        r"(?:please )?(?:rename|change)(?: the)? (.+?) (?:to|into) (.+)", said, re.IGNORECASE
    ):
        named = _named(tickets, m[1])
        title = _capital(m[2].rstrip(". "))[:MAX_TITLE]
        if named:
            return [{**t, "title": title} if t in named[:1] else t for t in tickets]
    return _with_note(tickets, said)


def _named(tickets: StreamTickets, words: str) -> StreamTickets:
    """By place ("second one", "number 2", "last", "first two"), else by words of the title."""
    words = words.lower().strip(" .!")
    if m := re.match(r"first (\w+)", words):
        for n, word in enumerate(_COUNTS, 1):
            if n > 1 and m[1] in {word, str(n)}:
                return tickets[:n]
    if re.match(r"last\b", words):
        return tickets[-1:]
    for n, ordinal in enumerate(_ORDINALS, 1):
        if re.match(rf"(?:{ordinal}|(?:number |ticket )?(?:{n}|{_COUNTS[n - 1]}))\b", words):
            return tickets[n - 1 : n]
    words = re.sub(r"\b(?:the|a|one|tickets?|about|for)\b", " ", words)
    wanted = re.findall(r"\w{3,}", words)
    return [t for t in tickets if wanted and all(w in t["title"].lower() for w in wanted)]


def _with_note(tickets: StreamTickets, remark: str) -> StreamTickets:
    return [{**t, "note": f"{t['note']} {remark}".strip()[:MAX_NOTE]} for t in tickets]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# -- the human's answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`tickets` for accept and edit, `remark` for respond, `problem` when it cannot be used."""

    type: Literal["accept", "edit", "respond", "ignore", "unusable"]
    tickets: tuple[dict[str, str], ...] = ()
    remark: str = ""
    problem: str = ""


def request(tickets: StreamTickets, *, number: int, problem: str = "") -> dict[str, Any]:
    """The question for a human: an agent-inbox `HumanInterrupt`."""
    lines = [f"- {t['title']}" + (f" ({t['note']})" if t["note"] else "") for t in tickets]
    description = "\n".join(["Create these tickets?", "", *lines])
    if problem:
        description = f"{problem}\n\n{description}"
    return {
        "action_request": {
            "action": "create_tickets",
            "args": {"tickets": [dict(t) for t in tickets], "proposal": number},
        },
        "config": {
            "allow_accept": True,
            "allow_edit": True,
            "allow_respond": True,
            "allow_ignore": True,
        },
        "description": description,
    }


def decided(answer: Any, proposal: StreamTickets) -> Decision:
    """What a human's answer says: `{"type": …, "args": …}`, or a list of one (agent-inbox).

    An edit's args are `{"tickets": […]}`, the list, or the whole action request.
    """
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    kind = answer.get("type") if isinstance(answer, Mapping) else answer
    args = answer.get("args") if isinstance(answer, Mapping) else None
    match kind:
        case "accept":
            return Decision(type="accept", tickets=tuple(proposal))
        case "ignore":
            return Decision(type="ignore")
        case "respond" if isinstance(args, str) and args.strip():
            return Decision(type="respond", remark=args.strip()[:MAX_NOTE])
        case "edit":
            return _edited(args)
        case "respond":
            return Decision(type="unusable", problem="A remark needs a text.")
    return Decision(type="unusable", problem="The answer must be accept, edit, respond or ignore.")


def _edited(args: Any) -> Decision:
    for key in ("args", "tickets"):
        if isinstance(args, Mapping) and key in args:
            args = args[key]
    tickets = [_checked(t) for t in args] if isinstance(args, list) else []
    good = tuple(t for t in tickets if t is not None)
    if not isinstance(args, list) or len(good) != len(tickets) or len(good) > MAX_TICKETS:
        problem = f"An edit needs a list of at most {MAX_TICKETS} tickets, each with a title."
        return Decision(type="unusable", problem=problem)
    return Decision(type="edit", tickets=good) if good else Decision(type="ignore")


def _checked(ticket: Any) -> dict[str, str] | None:
    if isinstance(ticket, str):
        ticket = {"title": ticket}
    if not isinstance(ticket, Mapping) or not isinstance(ticket.get("title"), str):
        return None
    title = ticket["title"].strip()
    if not title or len(title) > MAX_TITLE:
        return None
    kind = "blocker" if ticket.get("kind") == "blocker" else "task"
    return {"title": title, "kind": kind, "note": str(ticket.get("note") or "")[:MAX_NOTE]}
