"""Keeps what fails in the recorder away from the call."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from switchboard_recorder.once import Once

P = ParamSpec("P")
T = TypeVar("T")


class Guard:
    """Calls a function; an error costs a warning, once for each function."""

    def __init__(self) -> None:
        self._once = Once(logging.getLogger("switchboard_recorder"))

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What the function gives, or None where it failed."""
        try:
            return function(*args, **kwargs)
        except Exception as exc:  # noqa: BLE001  # the promise of this module
            name = getattr(function, "__qualname__", type(function).__name__)
            self._once.warn(name, "The recorder failed in %s (%s).", name, type(exc).__name__)
            return None
