"""The check of the words: what it reads, what it reports, and what it leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import glossary


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def reported(root: Path) -> list[str]:
    return [str(hit) for hit in glossary.hits(root)]


def test_a_string_of_python_is_reported_with_its_line_and_the_word_to_use(tmp_path: Path) -> None:
    write(tmp_path, "pages/one.py", 'x = 1\nst.button("Take away")\n')
    write(tmp_path, "services/two.py", 'text = f"{name} may be chance"\n')
    assert reported(tmp_path) == [
        "pages/one.py:2: “Take away”: use “export”",
        "services/two.py:1: “may be chance”: use “not significant”",
    ]


def test_docstrings_comments_and_names_that_contain_a_word_are_no_texts(tmp_path: Path) -> None:
    write(
        tmp_path,
        "dashboard/one.py",
        '"""How grave it is."""\n# Take away\ndef amend() -> str:\n    """Put out."""\n'
        '    return "amendment output"\n',
    )
    assert reported(tmp_path) == []


def test_a_label_counts_as_a_whole_and_in_its_own_case(tmp_path: Path) -> None:
    write(tmp_path, "dashboard/one.py", 'a = "Facts"\nb = "facts"\nc = "Facts about rooms"\n')
    assert reported(tmp_path) == ["dashboard/one.py:1: “Facts”: use “Details”"]


def test_public_modules_classes_and_functions_are_reported(tmp_path: Path) -> None:
    write(
        tmp_path,
        "services/crossing.py",
        "class KeptThings:\n    def put_out(self) -> None: ...\n    def _mend(self) -> None: ...\n",
    )
    assert reported(tmp_path) == [
        "services/crossing.py:1: “crossing”: use “loop bridge”",
        "services/crossing.py:1: “KeptThings”: use “saved_items”",
        "services/crossing.py:2: “put_out”: use “remove”",
    ]


def test_the_front_end_is_read_without_its_comments(tmp_path: Path) -> None:
    write(
        tmp_path,
        "frontend/src/rooms/Row.tsx",
        "/** Who was there.\n * Take away. */\n// How grave\n"
        'const url = "http://x"; const word = "Who was there";\n'
        "return <p>\n  Rows hold\n  still while {n} wait\n</p>;\n",
    )
    assert reported(tmp_path) == [
        "frontend/src/rooms/Row.tsx:4: “Who was there”: use “participant”",
        "frontend/src/rooms/Row.tsx:5: “Rows hold still”: use “live updates paused while hovering”",
    ]


def test_prose_of_the_docs_is_read_over_line_ends_and_without_code(tmp_path: Path) -> None:
    write(tmp_path, "docs/a.md", "# A\n\nIt may be\nchance.\n\n```\nTake away\n```\n")
    write(tmp_path, "README.md", "`make doctor` mends it.\n")
    assert reported(tmp_path) == [
        "docs/a.md:3: “may be chance”: use “not significant”",
        "README.md:1: “mends”: use “fix”",
    ]


def test_paths_that_are_still_to_be_rewritten_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "dashboard/old/one.py", 'st.button("Take away")\n')
    write(tmp_path, "dashboard/new/one.py", 'st.button("Take away")\n')
    monkeypatch.setattr(glossary, "HISTORY", ("dashboard/old/",))
    assert reported(tmp_path) == ["dashboard/new/one.py:1: “Take away”: use “export”"]
