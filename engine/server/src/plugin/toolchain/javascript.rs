//! JavaScript and TypeScript: npm for dependencies, the SDK's own program for the component, vitest for tests.

use std::fs;
use std::process::ExitStatus;

use super::super::project::Project;
use super::{ToolError, expect_component, run, status, tool};

const INSTALL_NODE: &str =
    "install Node.js 20 or later, from https://nodejs.org or your system's packages (it brings npm)";

pub(super) fn build(project: &Project) -> Result<(), ToolError> {
    install(project)?;
    let out = project.out.strip_prefix(&project.root).unwrap_or(&project.out);
    run(tool(project, "npx").args(["--no-install", "pombo-build", "--out"]).arg(out), "the build", INSTALL_NODE)?;
    expect_component(project)
}

pub(super) fn test(project: &Project, rest: &[String]) -> Result<ExitStatus, ToolError> {
    install(project)?;
    status(tool(project, "npx").args(["--no-install", "vitest", "run"]).args(rest), INSTALL_NODE)
}

/// Installs the dependencies if there are none, or if package.json or the SDK is newer than they are.
fn install(project: &Project) -> Result<(), ToolError> {
    let changed = |path: std::path::PathBuf| fs::metadata(path).and_then(|seen| seen.modified()).ok();
    // npm writes it last.
    let installed = changed(project.root.join("node_modules/.package-lock.json"));
    let wanted = changed(project.root.join("package.json")).max(changed(project.own("sdk-js/package.json")));
    if installed.is_some() && installed >= wanted {
        return Ok(());
    }
    eprintln!("installing the dependencies (npm install)");
    let npm = ["install", "--no-audit", "--no-fund", "--loglevel=error"];
    run(tool(project, "npm").args(npm), "npm install", INSTALL_NODE)
}
