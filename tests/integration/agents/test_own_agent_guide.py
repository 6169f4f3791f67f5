"""docs/your-own-agent.md: every code block in it does what the guide says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from services.settings import PROJECT_DIR

GUIDE: Final = PROJECT_DIR / "docs" / "your-own-agent.md"


def test_the_guides_blocks_make_an_agent_that_answers(tmp_path: Path) -> None:
    blocks = re.findall(r"```(\w+)\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "json", "bash", "python"]
    graph, config, describe, talk = (text for _, text in blocks)
    for folder in ("pm_agent", "echo"):
        (tmp_path / "agents").mkdir(exist_ok=True)
        (tmp_path / "agents" / folder).symlink_to(PROJECT_DIR / "agents" / folder)
    (tmp_path / "agents" / "weather").mkdir()
    (tmp_path / "agents" / "weather" / "graph.py").write_text(graph)
    file = tmp_path / "langgraph.json"
    file.write_text(config)
    assert list(json.loads(config)["graphs"]) == ["pm-agent", "echo", "weather"]
    env = {
        **os.environ,
        "SWITCHBOARD_LANGGRAPH_JSON": str(file),
        "SWITCHBOARD_DATA_DIR": str(tmp_path / "data"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }

    def run(*command: str) -> str:
        return subprocess.run(
            command,
            cwd=PROJECT_DIR,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    drawn = json.loads(run("bash", "-c", describe))
    assert {name: one["error"] for name, one in drawn.items()} == {
        "pm-agent": "", "echo": "", "weather": "",
    }  # fmt: skip
    said = run(sys.executable, "-c", talk)
    assert said.strip() == "['Hello. Which town?', 'Bern', 'In Bern: sunny.']"
