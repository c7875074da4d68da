//! `pombo plugin new`: writes a project from the language's template. Overwrites nothing.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use super::args::NewArgs;
use super::lang::{CarriedFile, Lang};
use super::names::Name;
use super::project::{self, OWN_FOLDER, PROJECT_FILE, Project, ProjectError};

/// The placeholder for the plugin's name in a template's contents and file names.
const NAME_MARK: &str = "{{name}}";

/// Why no project was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NewError {
    #[error("{0} exists and is not empty: choose another name, or another folder with --dir")]
    Taken(PathBuf),
    #[error("this build of pombo does not contain a template for {0}")]
    NoTemplate(Lang),
    #[error(transparent)]
    Project(#[from] ProjectError),
}

/// Writes the project; returns what to do next.
pub(super) fn run(args: &NewArgs) -> Result<String, NewError> {
    let folder = args.dir.clone().unwrap_or_else(|| args.name.as_str().into());
    let files = create(args.lang, &args.name, &folder)?;
    let bold =
        |text: &str| if std::io::stdout().is_terminal() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() };
    let folder = folder.display();
    Ok(format!(
        "{} is a new {} plugin in {folder}/ ({files} files).\n\nNext:\n  {}\n  \
         {}     its tests, without an engine\n  \
         {}      upload it to a running engine on each save (POMBO_API_KEY is your key)",
        args.name,
        args.lang,
        bold(&format!("cd {folder}")),
        bold("pombo plugin test"),
        bold("pombo plugin dev"),
    ))
}

/// Writes all files; returns the number of the template's files.
fn create(lang: Lang, name: &Name, folder: &Path) -> Result<usize, NewError> {
    let template = lang.template();
    if template.is_empty() {
        return Err(NewError::NoTemplate(lang));
    }
    let occupied = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => folder.exists(),
    };
    if occupied {
        return Err(NewError::Taken(folder.to_owned()));
    }
    let files = expanded(lang, name, template);
    for (path, bytes) in &files {
        project::write(&folder.join(path), bytes)?;
    }
    Project::open(folder.to_owned())?.keep_sdk()?;
    Ok(files.len())
}

/// The project's files: the template's with the name inserted, and those that every project has.
fn expanded(lang: Lang, name: &Name, template: &[CarriedFile]) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = template
        .iter()
        .map(|file| {
            let bytes = match std::str::from_utf8(file.bytes) {
                Ok(text) => text.replace(NAME_MARK, name.as_str()).into_bytes(),
                Err(_) => file.bytes.to_owned(),
            };
            (file.path.replace(NAME_MARK, name.as_str()), bytes)
        })
        .collect();
    let mut add = |path: &str, text: String| {
        if !files.iter().any(|(there, _)| there == path) {
            files.push((path.to_owned(), text.into_bytes()));
        }
    };
    add(PROJECT_FILE, project::project_text(lang, name));
    add(".gitignore", ignored(lang));
    files
}

/// The files of a project that tools generate.
fn ignored(lang: Lang) -> String {
    let own: &[&str] = match lang {
        Lang::Rust => &["target/"],
        Lang::Js => &["node_modules/", "dist/"],
        Lang::Python => &["dist/", "__pycache__/", ".pytest_cache/"],
    };
    let keys = "*.pem";
    std::iter::once(format!("{OWN_FOLDER}/")).chain(own.iter().map(|&o| o.to_owned())).chain([keys.to_owned()]).fold(
        String::new(),
        |mut text, line| {
            text.push_str(&line);
            text.push('\n');
            text
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &[CarriedFile] = &[
        CarriedFile { path: "src/{{name}}.txt", bytes: b"I am {{name}}; {{secret:KEY}} stays" },
        CarriedFile { path: "logo.bin", bytes: &[0xff, 0xfe, 0x00] },
    ];

    fn name() -> Name {
        "acme-orders".parse().expect("a name")
    }

    #[test]
    fn the_name_goes_into_contents_and_file_names() {
        let files = expanded(Lang::Js, &name(), TEMPLATE);
        let find = |path: &str| files.iter().find(|(p, _)| p == path).map(|(_, bytes)| &bytes[..]);
        assert_eq!(find("src/acme-orders.txt"), Some(&b"I am acme-orders; {{secret:KEY}} stays"[..]));
        assert_eq!(find("logo.bin"), Some(&[0xff, 0xfe, 0x00][..]));
        assert!(find("pombo.toml").is_some_and(|text| text.starts_with(b"# A Pombo plugin")));
        assert!(find(".gitignore").is_some_and(|text| text.starts_with(b".pombo/\nnode_modules/\n")));
    }

    #[test]
    fn a_templates_own_file_wins() {
        let own = &[CarriedFile { path: ".gitignore", bytes: b"mine" }];
        let files = expanded(Lang::Rust, &name(), own);
        let ignores: Vec<_> = files.iter().filter(|(path, _)| path == ".gitignore").collect();
        assert_eq!(ignores, [&(".gitignore".to_owned(), b"mine".to_vec())]);
    }

    #[test]
    fn each_carried_template_becomes_a_project_of_that_name() {
        for lang in [Lang::Rust, Lang::Js, Lang::Python] {
            let place = tempfile::tempdir().expect("a folder");
            let folder = place.path().join("new");
            create(lang, &name(), &folder).expect("a project");
            let project = Project::open(folder.clone()).expect("a project");
            assert_eq!((project.lang, project.name.as_str()), (lang, "acme-orders"));
            let again = create(lang, &name(), &folder).expect_err("must not be overwritten");
            assert!(matches!(again, NewError::Taken(_)), "{again}");
        }
    }
}
