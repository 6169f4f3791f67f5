"""What a caller means, by rules: tables of patterns over what speech recognition gives.

No punctuation, no capitals and the usual mishearings ("block her", "stand up") are expected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from agents.pm_agent.state import SLOTS, Intent, Slot

MAX_CHARS: Final = 2000  # of one utterance; the rest is cut
MAX_ITEM_CHARS: Final = 160
MAX_ITEMS: Final = 12  # of one slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """`slots` holds what was said about each, in order; `[]` is an explicit "nothing"."""

    intent: Intent
    slots: dict[Slot, list[str]] = field(default_factory=dict)


_MISHEARD: Final = (
    (r"[\u2018\u2019]", "'"),
    (r"\bstand[- ]up\b", "standup"),
    (r"\bblock (?:her|or|as)s?\b|\bblock(?:er)?'s\b|\bblack(?:er|ers)\b", "blockers"),
    (r"\bblocked (?:buy|bye|bi)\b", "blocked by"),
    (r"\bgood[- ]by(?:e)?\b", "goodbye"),
    (r"\b(?:bye[- ]bye|by by)\b", "bye"),
    (r"\bi(?:'| )?m\b", "i'm"),
    (r"\bive\b", "i've"),
    (r"(?<!was )(?<!were )\bill(?= \w)", "i'll"),
    (r"\bwe(ll|ve)\b", r"we'\1"),
    (r"\b(that|what|there|let)s\b", r"\1's"),
    (r"\b(did|do|could|is)nt\b", r"\1n't"),
    (r"\bcant\b", "can't"),
    (r"\b(?:um+|uh+|er+m?|hmm+|mhm)\b", " "),
)
_FILLER: Final = (
    r"(?:(?:and|so|well|ok|okay|yes|yeah|no|please|thanks|thank you|oh|alright|all right|right|"
    r"great|then|for now|for today|sorry|just|i think|actually|hey|hi|cheers)\s+)*"
)
_END: Final = (
    r"(?:\s+(?:please|thanks|thank you|for now|for today|today|then|really|at all|at the moment|"
    r"right now|so far|so much|very much|everyone|everybody|there|all|now))*"
)

# The whole utterance, politeness aside. The first that fits counts.
_WHOLE: Final[tuple[tuple[Intent, str], ...]] = (
    ("goodbye", r"(?:goodbye|bye|see you(?: later| soon| tomorrow)?|talk to you (?:later|soon)|hang up|take care|have a (?:nice|good) (?:day|one|evening))(?: (?:goodbye|bye))?"),
    ("finish", r"(?:that's (?:all|it|everything)|that is (?:all|it|everything)|that was (?:all|it)|i'm (?:done|finished|through)|we're (?:done|finished)|nothing (?:else|more)|no more|that's all from me|finish|stop|end(?: the)? standup)(?: (?:from|for) (?:me|us))?"),
    ("skip", r"(?:skip|skip (?:it|this|that|this one|that one|the question)|pass|next(?: question| one| please)?|move on|go on|continue|no comment|i don't know|don't know|not sure|no idea)"),
    ("none", r"(?:no|nope|nah|none|nothing|no one|not really|nothing (?:to report|new|special|planned|done|is blocking(?: me| us)?|blocks (?:me|us)|blocking(?: me| us)?|in my way)|(?:no|zero|i have no|there are no|there's no|i don't have any|we have no|i've no) (?:blockers?|blocks?|problems?|issues?|obstacles?|impediments?)|not blocked|i'm not blocked|all (?:good|clear|fine)|everything is (?:fine|good|clear))"),
    ("help", r"(?:help(?: me)?|what can (?:you|i) (?:do|say)|how does (?:this|it) work|who are you|what are you|what is this|what do you (?:do|want)|what should i say|i need help|can you help me)"),
    ("repeat", r"(?:repeat|repeat (?:that|it|this|the question)|(?:can|could|would) you (?:please )?(?:repeat|say)(?: that| it| the question)?(?: again)?|say (?:that|it) again|come again|again|once more|one more time|pardon(?: me)?|excuse me|what did you (?:just )?say|what was (?:that|the question)|what|i didn't (?:hear|get|catch) (?:that|you|it)|didn't catch that)"),
    ("yes", r"(?:yes|yeah|yep|sure|ok|okay|ready|i'm ready|go ahead|let's (?:go|start|begin|do it)|start|start (?:the|my) standup|standup|begin|of course|certainly|i want to (?:do|give|start) (?:a|the|my) standup|alright|fine|good|thanks|thank you|great|perfect)"),
    ("hello", r"(?:hello|hi|hey|good (?:morning|afternoon|evening|day)|are you there|is (?:anyone|anybody|someone) there|can you hear me|how are you(?: doing)?|test(?:ing)?)(?: (?:hello|hi|pm|agent|are you there|can you hear me))*"),
    ("unclear", r"(?:shut up|go away|you(?:'re| are) (?:stupid|an idiot|useless|dumb)|this is (?:stupid|useless|nonsense)|f\w*ck(?: (?:you|off|this))?|damn(?: it)?|shit|never mind|whatever|blah(?: blah)*)"),
)  # fmt: skip

# Anywhere in it.
_RECALL: Final = (
    r"\b(?:what|which|do i have|are there|remind|tell me|list|show|read|any)\b.*"
    r"\b(?:last time|last call|last standup|yesterday's standup|previous(?:ly)?|before|"
    r"my (?:open )?(?:blockers?|tickets?)|open tickets?|open blockers?|(?:blockers?|tickets?) do i have|"
    r"did i (?:say|tell you|report)|what i (?:said|told you)|my notes)\b"
)
_CORRECTION: Final = (
    r"^(?:(?:no|oh|sorry|wait|hang on|hold on|well|and|ok|okay)[, ]+)*"
    r"(?:i (?:actually )?(?:meant|mean)(?: to say)?|actually|correction|let me correct(?: that| myself)?|"
    r"scratch that|that's (?:wrong|not right|not correct|not what i said)|i misspoke|you misheard(?: me)?|"
    r"make that|change that to|it should be|not that)\b[, ]*(?:but |it's |it is |it was |that )?"
)
_LEAVING: Final = r"[,.!? ]*\b(?:(?:and )?(?:that's all|that is all|that's it)[,. ]*)?(?:thanks|thank you)?[,. ]*(?:goodbye|bye|that's all|that is all|that's everything)(?: (?:for now|for today|from me|thanks|thank you|then|bye))*[.! ]*$"

# Where talk about a slot begins.
_SUBJECT: Final = r"(?:i|we)"
_BEGINS: Final[tuple[tuple[Slot, str], ...]] = (
    ("blockers", r"(?:(?:but|and|also|because)\s+)?(?:there (?:are|is|'s) )?(?:i have |i've (?:got )?|we have |with |my |the |our |a |one |only |no |zero |any )*blockers?(?:\s*:|\s+(?:is|are|was|were|today|would be|right now|include)\b|\s*(?=[,.!?]|$))"),
    ("blockers", r"(?:no|without|zero|not any) (?:blockers?|impediments?|obstacles?|problems|issues)\b"),
    ("blockers", r"(?:nothing|no one|nobody) (?:is )?(?:blocks|blocking)(?: (?:me|us))?\b"),
    ("blockers", rf"(?:but |and |also )*(?:(?:{_SUBJECT}(?:'m| am|'re| are|'ve been| was| were| got| get) )?(?:currently |still |also |now |not |a bit |completely )*(?:blocked|stuck|held up)(?: (?:by|on|with|because(?: of)?|at|in|waiting for)| until)?)\b"),
    ("blockers", rf"(?:but |and |also )*(?:{_SUBJECT}(?:'m| am|'re| are) )?(?:still |just |also )?waiting (?:for|on)\b"),
    ("blockers", rf"(?:but |and |also )*{_SUBJECT} (?:can't|cannot|can not|couldn't|still need|need help|have (?:a|one) (?:problem|issue))\b"),
    ("next", r"(?:and |then |but |also )*(?:today|tomorrow|next(?: up| week| steps?)?|later(?: today)?|this (?:afternoon|week)|after that)\b(?! to\b)"),
    ("next", rf"(?:and |then |but |also )*(?:today |tomorrow |next )*{_SUBJECT}(?:'ll| will| plan(?: to)?| want to| intend to|'m going to| am going to|'m gonna|'re going to| are going to| need to| have to| should|'d like to)\b"),
    ("next", r"(?:and |then )*(?:(?:my |the )?plan(?: for (?:today|tomorrow))? is(?: to)?|(?:i'm )?(?:planning|going) to|will (?:be )?(?=\w))\b"),
    ("done", r"(?:and |then |also )*(?:yesterday|last (?:week|night|friday)|this morning|so far|since (?:yesterday|monday|last time))\b"),
    ("done", rf"(?:and |then |also |yesterday |today )*{_SUBJECT}(?:'ve| have|'re| are|'m)? (?:also |already |just |finally |mostly |almost )*(?:finished|completed|done|did|fixed|shipped|merged|wrote|written|built|closed|deployed|released|reviewed|implemented|created|made|added|tested|worked|met|set up|cleaned|updated|refactored|started|prepared|investigated|resolved|removed|moved|spoke|talked|got)\b"),
    ("done", r"(?:finished|completed|shipped|merged|deployed|what(?:'s| i(?:'ve)?) done|done)\b(?:\s*:| is\b)?"),
)  # fmt: skip
_MARKS: Final = tuple(
    (slot, re.compile(rf"\b(?:{p})" if p[0] != "^" else p)) for slot, p in _BEGINS
)

# What is not kept of the beginning of an item.
_LEAD: Final[dict[Slot, str]] = {
    "done": rf"^(?:yesterday|last (?:week|night|friday)|this morning|so far|since (?:yesterday|monday|last time)|today|(?:done|finished) with|done:?|what(?:'s| i(?:'ve)?) done(?: is)?|{_SUBJECT}(?:'ve|'m|'re| have| are)?|also|already|just|and|then)\b[,: ]*",
    "next": rf"^(?:today|tomorrow|next(?: up| steps?)?(?: is)?|later|{_SUBJECT}(?:'ll| will| plan(?: to)?| want to| intend to|'m going to| am going to|'m gonna|'re going to| are going to| need to| have to| should|'d like to)|(?:my |the )?plan(?: for (?:today|tomorrow))? is(?: to)?|(?:i'm )?(?:planning|going) to|will(?: be)?|also|and|then|but)\b[,: ]*",
    "blockers": rf"^(?:(?:there (?:are|is)|i have|i've(?: got)?|we have|with|my|the|our|a|one|only)(?= (?:\w+ )?blockers?\b)|blockers?(?: (?:is|are|was|were|would be|include))?|{_SUBJECT}(?:'m|'re| am| are|'ve been| was| were| got| get)|currently|still|also|now|completely|that|because(?: of)?|(?:blocked|stuck|held up)(?: (?:by|on|with|because(?: of)?|at|in)| until)?|and|but)(?![\w'])[,: ]*",
}  # fmt: skip
_EMPTY: Final = re.compile(
    r"^(?:no|none|nothing|not|zero|any|i have no|without|(?:no|without|zero|not any) (?:blockers?|impediments?|obstacles?|problems|issues)|i have no blockers?|there (?:are|is) no blockers?|"
    r"(?:i'm |i am |we're )?not (?:blocked|stuck)|(?:nothing|no one|nobody) (?:is )?(?:blocks|blocking)(?: (?:me|us))?|nothing (?:planned|done|new|special)|no blockers?.*)$"
)
_HOLLOW: Final = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "at",
        "be",
        "but",
        "by",
        "did",
        "done",
        "for",
        "have",
        "i",
        "in",
        "is",
        "it",
        "my",
        "of",
        "on",
        "or",
        "so",
        "that",
        "the",
        "then",
        "this",
        "to",
        "today",
        "tomorrow",
        "was",
        "we",
        "well",
        "will",
        "with",
        "yesterday",
        "yes",
        "no",
        "ok",
        "okay",
        "also",
        "just",
        "next",
    ]
)

# Function words of other languages, and English ones that show that it is not one of them.
_FOREIGN: Final = frozenset(
    [
        "ich",
        "habe",
        "und",
        "der",
        "die",
        "das",
        "nicht",
        "ist",
        "ein",
        "eine",
        "gestern",
        "heute",
        "fertig",
        "mit",
        "auf",
        "je",
        "suis",
        "et",
        "le",
        "la",
        "les",
        "nous",
        "avons",
        "est",
        "pas",
        "une",
        "hier",
        "pour",
        "yo",
        "el",
        "los",
        "las",
        "hoy",
        "ayer",
        "para",
        "con",
        "pero",
        "estoy",
        "una",
        "terminado",
        "terminé",
        "che",
        "sono",
        "ho",
        "una",
        "oggi",
        "ieri",
        "het",
        "een",
        "ik",
        "niet",
        "gisteren",
        "vandaag",
    ]
)
_ENGLISH: Final = frozenset(
    [
        "the",
        "and",
        "i",
        "is",
        "to",
        "of",
        "a",
        "in",
        "it",
        "you",
        "that",
        "was",
        "for",
        "on",
        "are",
        "with",
        "we",
        "my",
        "have",
        "this",
        "not",
        "but",
        "what",
        "will",
        "did",
        "no",
        "yes",
        "an",
    ]
)


def normalised(text: str) -> str:
    """Lower case, one space, punctuation that ends a clause kept, mishearings mended."""
    text = re.sub(r"[^\w\s'.,:;!?#/@+\u2018\u2019-]", " ", text[:MAX_CHARS]).lower()
    for pattern, better in _MISHEARD:
        text = re.sub(pattern, better, text)
    return re.sub(r"\s+", " ", text).strip()


def understand(text: str, *, asking: str = "", told: tuple[str, ...] = ()) -> Understood:
    """What `text` means where the slot `asking` was asked for and `told` was filled last."""
    said = normalised(text)
    bare = re.sub(r"[.,:;!?]", " ", said)
    bare = re.sub(r"\s+", " ", bare).strip()
    if not re.search(r"\w", bare):
        return Understood(intent="unheard")
    if _is_foreign(bare):
        return Understood(intent="foreign")
    for intent, pattern in _WHOLE:
        if re.fullmatch(f"{_FILLER}{pattern}{_END}", bare):
            return _whole(intent, asking, bare)
    if re.search(_RECALL, bare):
        return Understood(intent="recall")
    if found := re.match(_CORRECTION, said):
        return _corrected(said[found.end() :], asking, told)
    rest = re.sub(_LEAVING, "", said)
    slots = _slots(rest, asking)
    if not slots:
        if rest != said:
            return Understood(intent="goodbye" if "bye" in said[len(rest) :] else "finish")
        return Understood(intent="unclear")
    return Understood(intent="finish" if rest != said else "update", slots=slots)


def _whole(intent: Intent, asking: str, bare: str) -> Understood:
    if intent == "none" and re.search(r"\bblock|\bproblem|\bobstacle|\bimpediment", bare):
        return Understood(intent="update", slots={"blockers": []})
    for slot in SLOTS:
        if intent in {"none", "skip"} and slot == asking:
            return Understood(intent=intent, slots={slot: []})
    return Understood(intent=intent)


def _corrected(rest: str, asking: str, told: tuple[str, ...]) -> Understood:
    """Replace: what a marker names, else what was told last."""
    last = next((slot for slot in reversed(told) if slot in SLOTS), asking)
    slots = _slots(rest, last)
    return Understood(intent="correct", slots=slots) if slots else Understood(intent="correct")


def _slots(said: str, asking: str) -> dict[Slot, list[str]]:
    """What is said about each slot: from each marker to the next one of another slot."""
    slots: dict[Slot, list[str]] = {}
    for slot, piece in _pieces(said, asking):
        items = [item for part in _parts(piece) if (item := _item(slot, part))]
        if items:
            slots[slot] = [*slots.get(slot, []), *items][:MAX_ITEMS]
        elif _EMPTY.match(_bare(piece)):
            slots.setdefault(slot, [])
    return slots


def _pieces(said: str, asking: str) -> list[tuple[Slot, str]]:
    marks = sorted(
        {(m.start(), -m.end(), slot) for slot, pattern in _MARKS for m in pattern.finditer(said)}
    )
    cuts: list[tuple[int, Slot]] = []
    free_from = 0
    for start, end, slot in marks:
        if start < free_from:  # inside a longer marker
            continue
        hollow = bool(cuts) and not _content(said[cuts[-1][0] : start])
        if hollow and not _EMPTY.match(_bare(said[cuts[-1][0] : start])):
            cuts[-1] = (cuts[-1][0], slot)  # "today i finished …": the later marker says what it is
        elif not cuts or cuts[-1][1] != slot:
            cuts.append((start, slot))
        free_from = -end
    asked: Slot | None = next((slot for slot in SLOTS if slot == asking), None)
    head = said[: cuts[0][0]] if cuts else said
    pieces: list[tuple[Slot, str]] = []
    if _content(head) and asked is not None:
        pieces.append((asked, head))
    for n, (start, slot) in enumerate(cuts):
        pieces.append((slot, said[start : cuts[n + 1][0] if n + 1 < len(cuts) else len(said)]))
    return pieces


def _parts(piece: str) -> list[str]:
    """Where one thing ends and another begins; "login and audit pages" stays one."""
    return re.split(
        r"[.;!?]+(?:\s|$)|,\s*(?:and\s+)?|\s+and (?=(?:i|we|the|a|an|also|then|my)\b)", piece
    )


def _item(slot: Slot, part: str) -> str:
    part = part.strip(" ,.:;!?-")
    if _EMPTY.match(part):
        return ""
    before = ""
    while part != before:
        before, part = part, re.sub(_LEAD[slot], "", part).strip(" ,.:;!?-")
    if not _content(part) or _EMPTY.match(part):
        return ""
    if len(part) <= MAX_ITEM_CHARS:
        return part
    return part[:MAX_ITEM_CHARS].rsplit(" ", 1)[0]


def _content(text: str) -> bool:
    return any(word not in _HOLLOW for word in re.findall(r"[\w']+", text) if word != "'")


def _bare(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[.,:;!?]", " ", text)).strip()


def _is_foreign(bare: str) -> bool:
    letters = [c for c in bare if c.isalpha()]
    if letters and sum(c > "\u024f" for c in letters) * 2 > len(letters):
        return True
    words = bare.split()
    return sum(w in _FOREIGN for w in words) >= 2 and not any(w in _ENGLISH for w in words)
