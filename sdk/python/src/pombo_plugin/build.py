"""Builds an automation into a component: ``python -m pombo_plugin.build [--entry FILE] [--out FILE]``. Makes no network connection.

The entry is ``automation.py``, the result ``out`` of ``pombo.toml`` or ``dist/plugin.wasm``. The project's own folder and the
environment's packages go into the component; what is compiled for this machine does not run there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

PACKAGE = Path(__file__).parent


def build(entry: Path, out: Path) -> int:
    """Builds the component from the module and returns its size in bytes. Raises :class:`BuildError`."""
    if not entry.is_file():
        raise BuildError(f"there is no {entry}: name the automation's module with --entry")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.part")
    with tempfile.TemporaryDirectory() as folder:
        # The SDK comes first, so that its replacements of clock, random numbers and output are in place when the automation is loaded.
        Path(folder, "pombo_component.py").write_text(
            f"from pombo_plugin._guest import WitWorld, warm\nimport {entry.stem}\nfrom pombo_plugin._automation import exported\n"
            "exported()\nwarm()\n"
        )
        paths = [folder, str(entry.resolve().parent), str(PACKAGE.parent), *_packages()]
        command = [
            sys.executable, "-c", "from componentize_py import script; script()", "--wit-path", str(PACKAGE / "wit"), "--world", "automation",
            "componentize", "pombo_component", "--stub-wasi", "--output", str(part.resolve()),
        ]
        for path in dict.fromkeys(paths):
            command += ["--python-path", path]
        made = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    if made.returncode != 0:
        part.unlink(missing_ok=True)
        raise BuildError(f"the component cannot be built: {_reason(made.stdout + made.stderr)}")
    os.replace(part, out)
    return out.stat().st_size


class BuildError(Exception):
    """Why the component could not be built."""


def _packages() -> list[str]:
    return [path for path in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")) if Path(path).is_dir()]


def _environment() -> dict[str, str]:
    """The packages come from the environment that runs this."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {**kept, "VIRTUAL_ENV": sys.prefix}


def _reason(output: str) -> str:
    """The error of the automation's own module, if it is one, without the tool's own stack."""
    output = output.split("\nStack backtrace:")[0]
    return output.rsplit("Caused by:", 1)[-1].strip()


def main() -> int:
    """Parses the command line and builds."""
    parser = argparse.ArgumentParser(prog="python -m pombo_plugin.build", description="Builds an automation into a component.")
    parser.add_argument("--entry", type=Path, default=Path("automation.py"))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    out = given.out or Path(_project().get("out", "dist/plugin.wasm"))
    try:
        size = build(given.entry, out)
    except BuildError as error:
        print(f"pombo_plugin.build: {error}", file=sys.stderr)
        return 1
    print(f"{out}: {size / 1024:.0f} KiB")
    return 0


def _project() -> dict[str, str]:
    manifest = Path("pombo.toml")
    return tomllib.loads(manifest.read_text()) if manifest.is_file() else {}


if __name__ == "__main__":
    sys.exit(main())
