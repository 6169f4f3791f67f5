"""Every error has a stable code and a status; every code of LiveKit's has an error of ours."""

from __future__ import annotations

import pytest
from livekit import api

from services import errors
from services.errors import (
    ConflictError,
    InvalidInputError,
    LiveKitRejectedError,
    LiveKitTimeoutError,
    LiveKitUnavailableError,
    NotFoundError,
    SwitchboardError,
)
from services.livekit.client import translate

EXPECTED: dict[str, type[SwitchboardError]] = {
    "canceled": LiveKitRejectedError,
    "unknown": LiveKitRejectedError,
    "invalid_argument": InvalidInputError,
    "malformed": InvalidInputError,
    "deadline_exceeded": LiveKitTimeoutError,
    "not_found": NotFoundError,
    "bad_route": LiveKitRejectedError,
    "already_exists": ConflictError,
    "permission_denied": LiveKitRejectedError,
    "unauthenticated": LiveKitRejectedError,
    "resource_exhausted": LiveKitRejectedError,
    "failed_precondition": LiveKitRejectedError,
    "aborted": LiveKitRejectedError,
    "out_of_range": InvalidInputError,
    "unimplemented": LiveKitRejectedError,
    "internal": LiveKitRejectedError,
    "unavailable": LiveKitUnavailableError,
    "dataloss": LiveKitRejectedError,
}


def _codes_of_livekit() -> set[str]:
    known = vars(api.ServerErrorCode)
    return {value for name, value in known.items() if name.isupper() and isinstance(value, str)}


def test_the_table_names_every_code_of_the_pinned_livekit_api() -> None:
    assert _codes_of_livekit() == set(EXPECTED)


@pytest.mark.parametrize("code", sorted(EXPECTED))
def test_each_livekit_code_becomes_an_error_that_says_which_call_failed(code: str) -> None:
    found = translate(api.ServerError(code, "the reason", status=500), "ListRooms")
    assert type(found) is EXPECTED[code]
    assert "ListRooms" in found.message
    assert 400 <= found.http_status <= 503
    if isinstance(found, LiveKitRejectedError):
        assert found.livekit_code == code


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_known_by_its_status_too(status: int) -> None:
    found = translate(api.ServerError("unknown", "", status=status), "ListRooms")
    assert isinstance(found, LiveKitRejectedError)
    assert "LIVEKIT_API_SECRET" in found.hint


def test_a_refused_key_is_explained_and_what_livekit_said_of_it_is_not_repeated() -> None:
    found = translate(api.ServerError("unauthenticated", "token eyJx", status=401), "CreateRoom")
    assert "LIVEKIT_API_SECRET" in found.hint
    assert "eyJx" not in str(found)


def _all_errors() -> list[type[SwitchboardError]]:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    return [cls for cls in classes if issubclass(cls, SwitchboardError)]


@pytest.mark.parametrize("cls", _all_errors(), ids=lambda cls: cls.__name__)
def test_each_error_has_a_code_a_status_and_words_for_people(cls: type[SwitchboardError]) -> None:
    error = cls("What happened.", hint="What to do.")
    assert cls.code.isidentifier()
    assert cls.code.islower()
    assert 400 <= cls.http_status <= 599
    assert cls.title
    assert str(error) == "What happened. What to do."
    assert cls.retryable == (cls.http_status in {429, 503})


def test_codes_are_unique_because_programs_switch_on_them() -> None:
    codes = [cls.code for cls in _all_errors()]
    assert sorted(codes) == sorted(set(codes))


def test_the_tree_in_the_docstring_is_the_tree_of_the_code() -> None:
    for cls in _all_errors():
        if cls is not SwitchboardError:
            assert cls.__name__ in (errors.__doc__ or "")
