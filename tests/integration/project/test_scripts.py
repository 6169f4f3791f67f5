"""The scripts behind the Makefile: their checks fail when they should."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import environment, frontend, lock, run, staged, version
from scripts.check import CHECKS, Check
from scripts.check import run as run_check
from services.settings import Settings
from tests.support.ports import free_port

ROOT = Path(__file__).parents[3]
FIND_PYTHON = ROOT / "scripts" / "find-python"


# -- compiled requirements


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's own requirements."""
    for name in ("pyproject.toml", *lock.FILES.values()):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_compiled_requirements_agree_with_pyproject() -> None:
    assert lock.problems(ROOT) == []


def test_a_dependency_that_was_added_but_not_compiled_is_seen(project: Path) -> None:
    edit(project / "pyproject.toml", '  "aiosqlite",\n', '  "aiosqlite",\n  "rich",\n')
    said = lock.problems(project)
    assert (
        "pyproject.toml has changed since requirements.txt was compiled. Run `make lock`." in said
    )
    assert any("requirements-dev.txt" in sentence for sentence in said), "it includes the app"


def test_another_range_of_python_is_seen(project: Path) -> None:
    edit(project / "pyproject.toml", ">=3.11,<3.14", ">=3.12,<3.14")
    assert len(lock.problems(project)) == len(lock.FILES)


def test_a_version_of_a_part_that_the_whole_does_not_have_is_seen(project: Path) -> None:
    edit(project / "requirements-core.txt", "streamlit==1.67.0", "streamlit==1.66.0")
    said = "requirements.txt differs from requirements-core.txt in streamlit==1.66.0."
    assert said in lock.problems(project)


def test_a_part_of_pyproject_that_is_no_dependency_does_not_matter(project: Path) -> None:
    edit(project / "pyproject.toml", "line-length = 100", "line-length = 99")
    assert lock.problems(project) == []


def test_a_version_that_was_edited_by_hand_is_seen(project: Path) -> None:
    edit(project / "requirements.txt", "streamlit==1.67.0", "streamlit==1.66.0")
    assert "requirements.txt was edited by hand. Run `make lock`." in lock.problems(project)


def test_a_file_compiled_by_other_means_is_seen(project: Path) -> None:
    edit(project / "requirements.txt", "# compiled from", "# made by")
    assert lock.problems(project)


def test_a_missing_file_is_seen(project: Path) -> None:
    (project / "requirements-dev.txt").unlink()
    assert "requirements-dev.txt is missing. Run `make lock`." in lock.problems(project)


def test_an_address_of_a_registry_is_seen(project: Path) -> None:
    path = project / "requirements.txt"
    path.write_text(f"--index-url https://pypi.example/simple\n{path.read_text()}")
    assert any("names an address" in sentence for sentence in lock.problems(project))


def test_a_pin_without_a_hash_is_seen(project: Path) -> None:
    path = project / "requirements.txt"
    path.write_text(f"{path.read_text()}zzz==1.0\n")
    assert "requirements.txt: zzz==1.0 has no hash." in lock.problems(project)


# -- version


@pytest.fixture
def versioned(tmp_path: Path) -> Path:
    """A project whose four places name version 1.2.3."""
    (tmp_path / "frontend").mkdir()
    (tmp_path / "api").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "frontend/package.json").write_text('{"version": "1.2.3"}')
    (tmp_path / "api/app.py").write_text('VERSION: Final = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [1.2.3] - 2026-11-24\n\n## [1.2.2]\n")
    return tmp_path


def test_one_version_everywhere_is_well(versioned: Path) -> None:
    assert version.problems(versioned) == []


@pytest.mark.parametrize("name", ["CHANGELOG.md", "frontend/package.json", "api/app.py"])
def test_another_version_somewhere_is_seen(versioned: Path, name: str) -> None:
    edit(versioned / name, "1.2.3", "1.2.4")
    assert len(version.problems(versioned)) == 1


def test_a_changelog_that_is_missing_is_seen(versioned: Path) -> None:
    (versioned / "CHANGELOG.md").unlink()
    assert version.problems(versioned) == ["CHANGELOG.md names no version."]


# -- switchboard run


def test_each_port_has_a_data_folder_of_its_own() -> None:
    folders = [run.data_dir_for(Settings(), port).name for port in (8501, 8600, 8601)]
    assert folders == [".switchboard", ".switchboard-8600", ".switchboard-8601"]


def test_a_data_folder_that_was_set_is_used_on_any_port(tmp_path: Path) -> None:
    settings = Settings(switchboard_data_dir=tmp_path)
    assert run.data_dir_for(settings, 8600) == tmp_path


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    port = free_port()
    assert run.is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not run.is_free(port)


def test_a_busy_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    port = free_port()
    env = {**os.environ, "SWITCHBOARD_DATA_DIR": str(tmp_path)}
    with socket.create_server(("127.0.0.1", port)):
        done = subprocess.run(
            [sys.executable, "-m", "scripts.cli", "run", "--port", str(port)],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith(f"Port {port} is in use.")


# -- finding Python


@pytest.fixture
def fake_python(tmp_path: Path) -> Callable[..., None]:
    """Puts a program on PATH that answers as a Python of some version would."""

    def make(name: str, *, fits: bool, makes_venvs: bool = True) -> None:
        path = tmp_path / name
        path.write_text(
            "#!/bin/sh\n"
            'case "$2" in\n'
            f"  *ensurepip*) exit {0 if makes_venvs else 1};;\n"
            f"  *version_info*sys.exit*|*sys.exit*version_info*) exit {0 if fits else 1};;\n"
            "  *print*) echo 3.12;;\n"
            "esac\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return make


def find_python(folder: Path, *, named: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", FIND_PYTHON, str(folder / "no-venv/bin/python")],
        env={"PATH": str(folder), "PYTHON": named},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_newest_python_that_fits_is_taken(
    tmp_path: Path, fake_python: Callable[..., None]
) -> None:
    fake_python("python3", fits=False)
    fake_python("python3.13", fits=False)  # as a pyenv shim without that version
    fake_python("python3.12", fits=True)
    fake_python("python3.11", fits=True)
    assert find_python(tmp_path).stdout == "python3.12\n"


def test_a_python_that_was_named_comes_first(
    tmp_path: Path, fake_python: Callable[..., None]
) -> None:
    fake_python("python3.12", fits=True)
    fake_python("mine", fits=True)
    assert find_python(tmp_path, named=str(tmp_path / "mine")).stdout == f"{tmp_path}/mine\n"


def test_a_python_without_venv_is_passed_over(
    tmp_path: Path, fake_python: Callable[..., None]
) -> None:
    fake_python("python3.13", fits=True, makes_venvs=False)
    fake_python("python3", fits=True)
    assert find_python(tmp_path).stdout == "python3\n"


def test_only_a_python_without_venv_is_said_with_the_way_out(
    tmp_path: Path, fake_python: Callable[..., None]
) -> None:
    fake_python("python3", fits=True, makes_venvs=False)
    done = find_python(tmp_path)
    assert done.returncode == 1
    assert "sudo apt-get install python3.12-venv" in done.stderr


def test_no_python_at_all_is_said_with_the_way_out(tmp_path: Path) -> None:
    done = find_python(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("There is no Python 3.11, 3.12 or 3.13 on PATH.")


def test_the_supported_pythons_are_those_of_pyproject() -> None:
    low, high = (".".join(map(str, part)) for part in environment.SUPPORTED)
    assert f'requires-python = ">={low},<{high}"' in (ROOT / "pyproject.toml").read_text()


# -- setting up


def test_uv_asks_where_pip_would() -> None:
    config = (
        "global.index-url='https://mirror.example/simple'\n"
        "global.extra-index-url='\\nhttps://one.example\\nhttps://two.example'\n"
        "global.trusted-host='mirror.example other.example'\n"
        "global.no-cache-dir='true'\n"
        "install.find-links='/wheels /more'\n"
        ":env:.timeout='30.0'\n"
        ":env:.index-url='https://nearer.example/simple'\n"
    )
    assert environment.uv_environment(config, {"HOME": "/h"}) == {
        "HOME": "/h",
        "UV_DEFAULT_INDEX": "https://nearer.example/simple",
        "UV_INDEX": "https://one.example https://two.example",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_INSECURE_HOST": "mirror.example other.example",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_HTTP_TIMEOUT": "30",
    }


def test_what_is_set_for_uv_itself_stays() -> None:
    config = (
        "global.index-url='https://mirror.example/simple'\n:env:.proxy='http://proxy.example'\n"
    )
    given = {"UV_INDEX_URL": "https://mine.example/simple", "HTTPS_PROXY": "http://mine.example"}
    assert environment.uv_environment(config, given) == given


def test_the_launcher_works_from_any_folder_and_survives_odd_names(tmp_path: Path) -> None:
    root = tmp_path / 'it\'s a "folder" of $HOME'
    (root / "scripts").mkdir(parents=True)
    (root / "scripts" / "cli.py").write_text("def main(): import sys; print(sys.argv[1:])\n")
    path = tmp_path / "switchboard"
    path.write_text(environment.launcher(Path(sys.executable), root, windows=False))
    path.chmod(0o755)
    (tmp_path / "click.py").write_text("raise SystemExit('not this one')")
    done = subprocess.run([path, "a b", "*"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "['a b', '*']\n"), done.stderr


def test_on_windows_the_launcher_is_a_command_file() -> None:
    text = environment.launcher(Path("C:/a b/python.exe"), Path("C:/100%"), windows=True)
    assert text.startswith('@"C:/a b/python.exe" -P -c "import sys; ')
    assert "C:/100%%" in text
    assert text.endswith('" %*\r\n')


def test_help_imports_nothing_that_takes_time() -> None:
    heavy = ("streamlit", "livekit", "sqlalchemy", "aiohttp", "fastapi", "pydantic", "numpy")
    code = f"import sys, scripts.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# -- front end


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (None, []),
        (("b/chunk.js", "other"), ["b/chunk.js"]),
        (("new.js", "x"), ["new.js"]),
    ],
)
def test_a_front_end_that_differs_from_its_source_is_seen(
    tmp_path: Path, change: tuple[str, str] | None, seen: list[str]
) -> None:
    for name in ("one", "other"):
        (tmp_path / name / "b").mkdir(parents=True)
        (tmp_path / name / "a.js").write_text("same")
        (tmp_path / name / "b/chunk.js").write_text("same!")
    if change:
        (tmp_path / "one" / change[0]).write_text(change[1])
    assert frontend.differences(tmp_path / "one", tmp_path / "other") == seen
    assert frontend.differences(tmp_path / "other", tmp_path / "one") == seen


# -- make check


def test_a_check_that_fails_is_told_with_its_output() -> None:
    _, well, said, _ = run_check(Check("x", (sys.executable, "-c", "print('why'); exit(3)")))
    assert (well, said) == (False, "why\n")


def test_a_check_whose_program_is_missing_fails() -> None:
    _, well, said, _ = run_check(Check("x", ("/no/such/program",)))
    assert not well
    assert "No such file" in said


def test_each_check_has_a_name_of_its_own() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)


# -- before a commit


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"-----BEGIN RSA " + b"PRIVATE KEY-----\n" + b"M" * 64, "holds a private key"),
        (b"t=eyJhbGciOiJIUzI1NiJ9" + b".eyJzdWIiOiJuIn0." + b"x" * 43, "holds a signed token"),
        (b"APIabcdefghijkl: " + b"s" * 43, "holds a LiveKit key pair"),
        (b"x" * 1_500_000, "has 1.5 MB"),
    ],
)
def test_what_must_not_be_committed_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert staged.problems(file) == [f"{file} {said}."]


def test_no_file_of_the_repository_would_be_refused() -> None:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("This copy of the project is not a git repository.")
    files = [ROOT / name for name in done.stdout.decode().split("\0") if name]
    assert [said for file in files if file.is_file() for said in staged.problems(file)] == []
