"""Values as people read them. Pure: the time now and the viewer's zone are handed in.

The live table writes durations the same way (`frontend/src/rooms/format.ts`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ABSENT: Final = "–"
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_JUST_NOW_S: Final = 5
# Months by our own names: strftime's depend on the server's locale.
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


def duration(seconds: float) -> str:
    """`42s`, `12m 04s`, `3h 07m`, `2d 5h`: two units, rounded down, never negative."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE:02d}m"
    return f"{whole // _DAY}d {whole % _DAY // _HOUR}h"


def latency(seconds: float) -> str:
    """A measured time: `0.3 ms`, `12 ms`, `1.25 s`."""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s"


def age(since: datetime | None, *, now: datetime) -> str:
    """How long something lasts by now; the absent sign for None."""
    return ABSENT if since is None else duration((now - since).total_seconds())


def ago(moment: datetime | None, *, now: datetime) -> str:
    """`just now`, `12m 04s ago`. A moment ahead of us (clocks differ) is just now."""
    if moment is None:
        return ABSENT
    seconds = (now - moment).total_seconds()
    return "just now" if seconds < _JUST_NOW_S else f"{duration(seconds)} ago"


def until(moment: datetime | None, *, now: datetime) -> str:
    """`in 3h 07m`, `now`, or for what is over `12m 04s ago`."""
    if moment is None:
        return ABSENT
    seconds = (moment - now).total_seconds()
    if -_JUST_NOW_S < seconds < 1:
        return "now"
    return f"in {duration(seconds)}" if seconds > 0 else f"{duration(-seconds)} ago"


def moment_text(moment: datetime | None, *, zone: str | None, now: datetime) -> str:
    """A moment in the viewer's zone: `14:03:22` today, else `24 Nov 14:03`, `24 Nov 2025 14:03`.

    `zone` is an IANA name as browsers give it. An unknown one, or None, means UTC, which is said.
    """
    if moment is None:
        return ABSENT
    where = zone_or_utc(zone)
    there, today = moment.astimezone(where), now.astimezone(where)
    suffix = " UTC" if where is UTC else ""
    if there.date() == today.date():
        return f"{there:%H:%M:%S}{suffix}"
    day = f"{there.day} {_MONTHS[there.month - 1]}"
    year = "" if there.year == today.year else f" {there.year}"
    return f"{day}{year} {there:%H:%M}{suffix}"


def span(begin: datetime, end: datetime, *, zone: str | None) -> str:
    """From when to when in the viewer's zone: `30 Oct 00:00 to 28 Nov 18:00`."""
    where = zone_or_utc(zone)
    there = [moment.astimezone(where) for moment in (begin, end)]
    return " to ".join(f"{one.day} {_MONTHS[one.month - 1]} {one:%H:%M}" for one in there)


def zone_or_utc(zone: str | None) -> tzinfo:
    """The zone of that IANA name; UTC where there is none such."""
    if not zone or zone == "UTC":
        return UTC
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # the name comes from the browser
        return UTC


def bytes_text(count: float) -> str:
    """`512 B`, `1.4 kB`, `23 MB`: powers of 1000."""
    units = ["B", "kB", "MB", "GB", "TB"]
    power = 0
    while abs(count) >= 999.5 and power < len(units) - 1:
        count, power = count / 1000, power + 1
    digits = 1 if power and abs(count) < 9.95 else 0
    return f"{count:,.{digits}f} {units[power]}"


def number(value: float) -> str:
    """With thousands separated: `1,204`; fractions rounded to one place."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def count_text(count: int, one: str, many: str | None = None) -> str:
    """`1 room`, `1,204 rooms`; `many` for a plural that is not made with an s."""
    word = one if count == 1 else (many or f"{one}s")
    return f"{count:,} {word}"


def listing(names: list[str], *, limit: int = 5) -> str:
    """`a, b and c`; of a long list the first and how many more."""
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit:,} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def clip(text: str, limit: int) -> str:
    """At most `limit` characters; what was cut off is marked."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, without the middle: names of rooms differ at their ends."""
    if len(text) <= limit:
        return text
    tail = min(8, limit // 2)
    return f"{text[: limit - tail - 1]}…{text[-tail:]}"


# Controls, and characters that turn the writing direction: a name must not disguise itself.
_UNSEEN: Final = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def plain(text: str) -> str:
    """Untrusted text with what cannot be seen made visible. For places that are not markdown."""
    return _UNSEEN.sub("\ufffd", text)


_BREAKS: Final = re.compile(r"\s*[\n\r\t]\s*")
_PUNCTUATION: Final = re.compile(r"([!-/:-@\[-`{-~])")
# Streamlit 1.67 replaces these in the finished text, where no backslash helps: addresses become
# links, "->" an arrow, ":streamlit:" its logo. An invisible joiner (U+2060) after them prevents it.
_REPLACED: Final = re.compile(
    r"https?\\:|www(?=\\\.)|\\@|\\-(?=\\[->])|\\<(?=\\[-=])|\\[>~](?=\\=)|\\:streamlit", re.I
)
_JOINER: Final = "\u2060"


def md(text: str) -> str:
    """Untrusted text for Streamlit's markdown: shows as it is, formats and links nothing.

    For names and ids that somebody may copy use `code`: what is shown here may hold joiners.
    """
    escaped = _PUNCTUATION.sub(r"\\\1", _one_line(text))
    return _REPLACED.sub(lambda found: found[0] + _JOINER, escaped)


def code(text: str) -> str:
    """Untrusted text as inline code for Streamlit's markdown: exact, also when copied."""
    # Streamlit 1.67 rewrites this one even in code; the joiner is the lesser evil.
    inner = _one_line(text).replace(":material/", f":material{_JOINER}/")
    if not inner.strip():
        return ABSENT
    longest = max((len(run) for run in re.findall("`+", inner)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if inner.startswith(("`", " ")) or inner.endswith(("`", " ")) else ""
    return f"{fence}{padding}{inner}{padding}{fence}"


def _one_line(text: str) -> str:
    return plain(_BREAKS.sub(" ", text))
