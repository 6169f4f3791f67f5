from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from dashboard.ui import format as fmt

NOW = datetime(2026, 11, 24, 14, 3, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        # The same table stands in frontend/tests/rooms/format.test.ts.
        (-3, "0s"),
        (0.9, "0s"),
        (59, "59s"),
        (60, "1m 00s"),
        (724, "12m 04s"),
        (3_599, "59m 59s"),
        (3_600, "1h 00m"),
        (11_220, "3h 07m"),
        (86_399, "23h 59m"),
        (86_400, "1d 0h"),
        (190_800, "2d 5h"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float, text: str) -> None:
    assert fmt.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00031, "0.3 ms"), (0.0124, "12 ms"), (0.9994, "999 ms"), (1.25, "1.25 s"), (75, "75.00 s")],
)
def test_measured_times_keep_what_matters(seconds: float, text: str) -> None:
    assert fmt.latency(seconds) == text


def test_ages_are_counted_from_now() -> None:
    then = NOW - timedelta(minutes=12, seconds=4)
    assert fmt.age(then, now=NOW) == "12m 04s"
    assert fmt.ago(then, now=NOW) == "12m 04s ago"
    assert fmt.ago(NOW - timedelta(seconds=4), now=NOW) == "just now"


def test_a_moment_ahead_of_us_is_just_now() -> None:
    assert fmt.ago(NOW + timedelta(seconds=30), now=NOW) == "just now"
    assert fmt.age(NOW + timedelta(seconds=30), now=NOW) == "0s"


def test_what_is_to_come_is_counted_down_and_then_past() -> None:
    assert fmt.until(NOW + timedelta(hours=3, minutes=7), now=NOW) == "in 3h 07m"
    assert fmt.until(NOW + timedelta(seconds=0.4), now=NOW) == "now"
    assert fmt.until(NOW - timedelta(seconds=4), now=NOW) == "now"
    assert fmt.until(NOW - timedelta(seconds=65), now=NOW) == "1m 05s ago"


def test_what_is_not_known_has_a_sign_of_its_own() -> None:
    assert fmt.age(None, now=NOW) == fmt.ABSENT
    assert fmt.ago(None, now=NOW) == fmt.ABSENT
    assert fmt.until(None, now=NOW) == fmt.ABSENT
    assert fmt.moment_text(None, zone="UTC", now=NOW) == fmt.ABSENT


@pytest.mark.parametrize(
    ("moment", "zone", "text"),
    [
        (NOW, "Europe/Berlin", "15:03:22"),
        (NOW, "UTC", "14:03:22 UTC"),
        (NOW, None, "14:03:22 UTC"),
        (NOW, "Not/AZone", "14:03:22 UTC"),
        (NOW, "../etc/passwd", "14:03:22 UTC"),
        (NOW - timedelta(days=1), "Europe/Berlin", "23 Nov 15:03"),
        (datetime(2025, 7, 4, 12, tzinfo=UTC), "America/New_York", "4 Jul 2025 08:00"),
        # Still today in UTC, but tomorrow in Auckland is already there.
        (datetime(2026, 11, 24, 1, tzinfo=UTC), "Pacific/Auckland", "24 Nov 14:00"),
    ],
)
def test_moments_are_told_in_the_viewers_zone(
    moment: datetime, zone: str | None, text: str
) -> None:
    assert fmt.moment_text(moment, zone=zone, now=NOW) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (1_449, "1.4 kB"),
        (9_960, "10 kB"),
        (999_400, "999 kB"),
        (999_600, "1.0 MB"),
        (23_000_000, "23 MB"),
        (7.2e15, "7,200 TB"),
    ],
)
def test_bytes_are_told_in_the_unit_that_fits(count: float, text: str) -> None:
    assert fmt.bytes_text(count) == text


def test_counts_agree_with_their_noun() -> None:
    assert fmt.count_text(1, "room") == "1 room"
    assert fmt.count_text(1_204, "room") == "1,204 rooms"
    assert fmt.count_text(2, "person", "people") == "2 people"
    assert fmt.count_text(0, "agent") == "0 agents"


def test_numbers_have_their_thousands_separated() -> None:
    assert fmt.number(12_345) == "12,345"
    assert fmt.number(0.25) == "0.2"
    assert fmt.number(1_234.56) == "1,234.6"


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (list("abcde"), "a, b, c, d and e"),
        (list("abcdefg"), "a, b, c, d, e and 2 more"),
    ],
)
def test_lists_are_told_in_words(names: list[str], text: str) -> None:
    assert fmt.listing(names) == text


def test_long_text_is_cut_and_the_cut_is_marked() -> None:
    assert fmt.clip("abcdef", 6) == "abcdef"
    assert fmt.clip("abcdefg", 6) == "abcde…"


def test_long_names_keep_the_end_that_tells_them_apart() -> None:
    assert fmt.shorten("pm-agent-01a20d9dcd5e73cd", 25) == "pm-agent-01a20d9dcd5e73cd"
    assert fmt.shorten("pm-agent-01a20d9dcd5e73cd", 20) == "pm-agent-01…cd5e73cd"
    assert fmt.shorten("abcdef", 4) == "a…ef"


def test_a_name_cannot_hide_what_it_says() -> None:
    assert fmt.plain("pay\u202etxt.exe\u0000") == "pay\ufffdtxt.exe\ufffd"
    assert fmt.plain("Zoë 李 🙂\n") == "Zoë 李 🙂\n"


@pytest.mark.parametrize(
    "text",
    [
        "**bold** _it_ `code` ~~gone~~",
        "[link](javascript:alert(1)) ![image](http://e.example/x.png)",
        "<script>alert(1)</script> &amp;",
        ":red[hot] :material/home: :smile: $a^2$",
        "# title",
        "- item",
        "| a | b |",
        "\\",
    ],
)
def test_untrusted_text_keeps_no_markdown_of_its_own(text: str) -> None:
    shown = fmt.md(text).replace("\u2060", "")
    assert re.sub(r"\\(.)", r"\1", shown) == text
    without_escapes = re.sub(r"\\.", "", shown)
    assert not re.search(r"[!-/:-@\[-`{-~]", without_escapes)


def test_untrusted_text_hides_nothing_in_markdown_either() -> None:
    assert fmt.md("pay\u202etxt") == "pay\ufffdtxt"
    assert fmt.code("pay\u202etxt") == "`pay\ufffdtxt`"


def test_untrusted_text_stays_on_one_line() -> None:
    assert fmt.md("a\n\n# b\r\nc\td") == "a \\# b c d"
    assert fmt.code("a\n\nb") == "`a b`"


@pytest.mark.parametrize(
    "text",
    [
        "https://e.example",
        "HTTP://e.example",
        "www.e.example",
        "me@e.example",
        "a->b",
        "a--b",
        "a>=b",
    ],
)
def test_addresses_and_arrows_in_untrusted_text_are_left_as_they_are(text: str) -> None:
    # Streamlit turns these into links and arrows after reading the markdown: a joiner prevents it.
    assert "\u2060" in fmt.md(text)
    assert "\u2060" not in fmt.code(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pm-agent-1", "`pm-agent-1`"),
        ("a`b", "``a`b``"),
        ("a``b`", "``` a``b` ```"),
        ("`", "`` ` ``"),
        (" x ", "`  x  `"),
        ("", fmt.ABSENT),
        ("  ", fmt.ABSENT),
    ],
)
def test_names_become_code_that_nothing_breaks_out_of(text: str, shown: str) -> None:
    assert fmt.code(text) == shown
