//! The command line and the configuration.

use std::process::{Command, Output};

use anyhow::Result;
use pombo_tests::server::binary;

fn serve(config: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Result<Output> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pombo.toml");
    std::fs::write(&file, config)?;
    let mut command = Command::new(binary());
    command.arg("serve").arg("--config").arg(&file).arg("--data").arg(folder.path().join("data")).args(arguments);
    command.envs(variables.iter().copied());
    Ok(command.output()?)
}

#[test]
fn a_mistake_in_the_configuration_is_named_and_nothing_starts() -> Result<()> {
    for (config, variables, named) in [
        ("[http]\nlisten_on = \"127.0.0.1:1\"", &[][..], "listen_on"),
        ("[surprise]\nx = 1", &[], "surprise"),
        ("[http]\nlisten = 7", &[], "listen"),
        ("[scheduler]\nmax_attempts = \"many\"", &[], "max_attempts"),
        ("[outbound]\nallow = [\"300.0.0.0/8/9\"]", &[], "allow"),
        ("[http\n", &[], "pombo.toml"),
        ("", &[("POMBO_HTTP__LISTENN", "127.0.0.1:1")], "POMBO_HTTP__LISTENN"),
        ("", &[("POMBO_SCHEDULER__MAX_ATTEMPTS", "x")], "max_attempts"),
    ] {
        let output = serve(config, variables, &[])?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{named}: it started");
        assert!(text.to_lowercase().contains(&named.to_lowercase()), "{named} is not named: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
    Ok(())
}

#[test]
fn help_reads_well_and_unknown_arguments_are_errors() -> Result<()> {
    let help = Command::new(binary()).arg("--help").output()?;
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.status.success());
    for word in ["serve", "openapi", "inspect", "Examples"] {
        assert!(text.contains(word), "{word} is not in the help: {text}");
    }
    let serve_help = Command::new(binary()).args(["serve", "--help"]).output()?;
    for word in ["--config", "--data", "--listen", "--demo", "SIGTERM"] {
        assert!(String::from_utf8_lossy(&serve_help.stdout).contains(word), "{word} is not in serve's help");
    }
    let wrong = serve("", &[], &["--demoo"])?;
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("--demo"));
    Ok(())
}

#[test]
fn the_printed_defaults_are_a_valid_configuration() -> Result<()> {
    let printed = Command::new(binary()).arg("config").output()?;
    assert!(printed.status.success());
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("printed.toml");
    std::fs::write(&file, &printed.stdout)?;
    let checked = Command::new(binary()).arg("config").arg("--check").arg(&file).output()?;
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    Ok(())
}
