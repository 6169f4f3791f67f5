"""LiveKit's plugins by name: `deepgram.STT {"model": "nova-3"}` in a setting."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from services.errors import ConfigError

OFFLINE: Final = "offline"
_SHAPE: Final = re.compile(r"\s*([a-z_][a-z0-9_]*)\.([A-Za-z_][A-Za-z0-9_]*)\s*(\{.*\})?\s*", re.S)
_EXAMPLE: Final = 'Write offline, or a plugin such as deepgram.STT {"model": "nova-3"}.'


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A class of a LiveKit plugin and what it is made with."""

    setting: str
    package: str
    name: str
    arguments: dict[str, Any]

    @classmethod
    def parse(cls, setting: str, value: str) -> Plugin:
        """Of a setting's value; `setting` is its name, for what is said of mistakes.

        Raises:
            ConfigError: it is not of that form.
        """
        match = _SHAPE.fullmatch(value)
        if match is None:
            raise ConfigError(f"{setting} names no plugin: {value!r}.", hint=_EXAMPLE)
        package, name, arguments = match.groups()
        try:
            read = json.loads(arguments or "{}")
        except ValueError as exc:
            raise ConfigError(
                f"The arguments in {setting} are not JSON: {exc}.", hint=_EXAMPLE
            ) from None
        return cls(setting=setting, package=package, name=name, arguments=read)

    def make(self, kind: type[Any]) -> Any:
        """The object, which must be a `kind`.

        Raises:
            ConfigError: not installed, no such class, an unknown argument, or it refuses them.
        """
        found = self._find(kind)
        try:
            inspect.signature(found).bind(**self.arguments)
        except TypeError as exc:
            known = ", ".join(inspect.signature(found).parameters)
            raise ConfigError(
                f"{self.setting}: {self.package}.{self.name} cannot be made so: {exc}.",
                hint=f"Its arguments are: {known}.",
            ) from None
        try:
            return found(**self.arguments)
        except Exception as exc:
            raise ConfigError(
                f"{self.setting}: {self.package}.{self.name} refused: {exc}",
                hint="Most plugins want a key in the environment, such as DEEPGRAM_API_KEY.",
            ) from exc

    def _find(self, kind: type[Any]) -> type[Any]:
        path = f"livekit.plugins.{self.package}"
        pip = f"livekit-plugins-{self.package.replace('_', '-')}"
        try:
            module = importlib.import_module(path)
        except ModuleNotFoundError as exc:
            if exc.name not in {path, "livekit.plugins"}:
                raise ConfigError(
                    f"{self.setting}: {path} needs the package {exc.name}, which is not installed.",
                    hint=f"pip install --force-reinstall {pip}",
                ) from exc
            raise ConfigError(
                f"{self.setting}: the plugin {self.package} is not installed.",
                hint=f"pip install {pip}",
            ) from None
        found = getattr(module, self.name, None)
        if not isinstance(found, type) or not issubclass(found, kind):
            fitting = [
                name
                for name, value in vars(module).items()
                if isinstance(value, type) and issubclass(value, kind)
            ]
            raise ConfigError(
                f"{self.setting}: {path} has no {kind.__name__} of the name {self.name}.",
                hint=f"It has: {', '.join(sorted(fitting)) or 'none'}.",
            )
        return found


def wanted(setting: str, value: str) -> Plugin | None:
    """The plugin that a setting names; None for `offline`."""
    if value.strip().lower() == OFFLINE:
        return None
    return Plugin.parse(setting, value)
