//! Python: a virtual environment in `.pombo/venv` with the packages of `requirements.txt`, the SDK's own module for the
//! component, pytest for tests.

use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;

use sha2::{Digest, Sha256};

use super::super::project::Project;
use super::{ToolError, answer, expect_component, run, status, tool};

const INSTALL_PYTHON: &str = "install Python 3.11 or later with its venv module, from https://python.org or on Debian `sudo apt-get install python3-venv`";
const REQUIREMENTS: &str = "requirements.txt";
/// The file that records the requirements of the environment.
const STAMP: &str = "venv/.requirements";

pub(super) fn build(project: &Project) -> Result<(), ToolError> {
    let python = environment(project)?;
    let out = project.out.strip_prefix(&project.root).unwrap_or(&project.out);
    run(tool(project, python).args(["-m", "pombo_plugin.build", "--out"]).arg(out), "the build", INSTALL_PYTHON)?;
    expect_component(project)
}

pub(super) fn test(project: &Project, rest: &[String]) -> Result<ExitStatus, ToolError> {
    let python = environment(project)?;
    status(tool(project, python).args(["-m", "pytest"]).args(rest), INSTALL_PYTHON)
}

/// The environment's interpreter; created or updated if needed.
fn environment(project: &Project) -> Result<PathBuf, ToolError> {
    let python = project.own("venv/bin/python");
    let wanted = requirements(project)?;
    let stamp = project.own(STAMP);
    if python.is_file() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    if !python.is_file() {
        eprintln!("creating a virtual environment in {}", project.own("venv").display());
        let interpreter = interpreter(project)?;
        run(
            tool(project, interpreter).args(["-m", "venv"]).arg(project.own("venv")),
            "python -m venv",
            INSTALL_PYTHON,
        )?;
    }
    eprintln!("installing {REQUIREMENTS} (pip)");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS];
    run(tool(project, &python).args(pip), "pip install", INSTALL_PYTHON)?;
    // pip takes a folder of the same version for the one that it installed.
    let again = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--force-reinstall", "--no-deps"];
    run(tool(project, &python).args(again).arg(project.own("sdk-python")), "pip install of the SDK", INSTALL_PYTHON)?;
    fs::write(&stamp, wanted).map_err(|error| ToolError::Io { what: format!("write {}", stamp.display()), error })?;
    Ok(python)
}

/// Changes whenever the packages to install do.
fn requirements(project: &Project) -> Result<String, ToolError> {
    let path = project.root.join(REQUIREMENTS);
    let text = fs::read(&path).map_err(|error| ToolError::Io { what: format!("read {}", path.display()), error })?;
    let mut hash = Sha256::new();
    hash.update(text);
    hash.update(project.sdk_stamp());
    Ok(hex::encode(hash.finalize()))
}

/// A Python that is new enough.
fn interpreter(project: &Project) -> Result<&'static str, ToolError> {
    let enough = "import sys, venv; sys.exit(sys.version_info < (3, 11))";
    ["python3", "python"]
        .into_iter()
        .find(|program| answer(tool(project, program).args(["-c", enough])).is_some())
        .ok_or_else(|| ToolError::Missing { program: "Python 3.11".to_owned(), hint: INSTALL_PYTHON })
}
