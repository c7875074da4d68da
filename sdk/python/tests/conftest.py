"""The components of the probes, built once a run, in both languages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from component_host import Host

PYTHON = Path(__file__).parent.parent
JS = PYTHON.parent / "js"


def _build_python(project: Path, out: Path) -> None:
    command = [sys.executable, "-m", "pombo_plugin.build", "--entry", "automation.py", "--out", str(out)]
    subprocess.run(command, cwd=project, env={**os.environ, "PYTHONPATH": str(PYTHON / "src")}, check=True)


def _build_js(project: Path, out: Path) -> None:
    node = shutil.which("node")
    assert node and (JS / "node_modules").is_dir(), "run sdk/test.sh: it installs the packages of sdk/js"
    scope = project / "node_modules" / "@pombo"
    scope.mkdir(parents=True, exist_ok=True)
    if not (scope / "plugin").exists():
        (scope / "plugin").symlink_to(JS, target_is_directory=True)
    subprocess.run([node, str(JS / "bin" / "pombo-build.js"), "--out", str(out)], cwd=project, check=True)


BUILDERS = {"js": (_build_js, JS / "test" / "probe"), "python": (_build_python, PYTHON / "tests" / "probe")}


@pytest.fixture(scope="session", params=["js", "python"])
def probe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A component that tries what differs in the engine."""
    build, source = BUILDERS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    project = folder / "project"
    shutil.copytree(source, project, ignore=shutil.ignore_patterns("node_modules", "dist"))
    out = folder / "plugin.wasm"
    build(project, out)
    host = Host(out)
    host.language = request.param
    return host


@pytest.fixture(autouse=True)
def forgets(request: pytest.FixtureRequest) -> None:
    """Each test starts with a host that was asked nothing."""
    if "probe" in request.fixturenames:
        request.getfixturevalue("probe").forget()
