"""Say a trouble once, and once that it is over."""

from __future__ import annotations

import logging


class Once:
    """Warnings by name. A log that cannot be written to is no trouble of the call's."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._said: set[str] = set()

    def warn(self, name: str, message: str, *values: object) -> None:
        """Warn, unless this trouble is known already."""
        if name not in self._said:
            self._said.add(name)
            self._log.warning(message, *values)

    def over(self, name: str, message: str) -> None:
        """Say that it is over, if it was said."""
        if name in self._said:
            self._said.discard(name)
            self._log.info(message)
