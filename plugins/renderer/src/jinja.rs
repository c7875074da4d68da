//! Any tree as a minijinja template: choices become branches on a draw, literal braces become expressions, and an error's place
//! is led back to the template as it was written.

use std::cell::RefCell;
use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};
use pombo_plugin::renderer::Problem;

use crate::choose::Draws;
use crate::parse::Node;
use crate::problem_at;

/// The function that draws, and the variable that a draw is kept in. Reserved by their leading underscores.
const DRAW: &str = "__draw";
const DRAWN: &str = "__drawn";

/// Steps that one text may take; the longest sensible ones take a few hundred.
const FUEL: u64 = 50_000;
/// Bytes that one text may have.
pub(crate) const MAX_TEXT: usize = 256 << 10;

thread_local! {
    /// The draws of the text being rendered.
    static DRAWS: RefCell<Draws> = RefCell::new(Draws::new(0));
}

pub(crate) fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    // A text that ends in a line feed keeps it. The builder refuses only colliding delimiters, and these are the defaults.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        env.set_syntax(syntax);
    }
    env.set_fuel(Some(FUEL));
    env.set_debug(true);
    env.set_recursion_limit(60);
    env.remove_global("debug");
    env.add_function(DRAW, |n: u32| DRAWS.with_borrow_mut(|d| d.choose(n as usize)) as u32);
    env
}

/// A run of the translated source and where it came from.
#[derive(Debug)]
struct Run {
    out: usize,
    source: usize,
    /// Copied unchanged, so that offsets inside it are the same; otherwise generated for the text at `source`.
    copied: bool,
}

/// A translated template.
#[derive(Debug)]
pub(crate) struct Translated {
    pub(crate) source: String,
    runs: Vec<Run>,
}

impl Translated {
    pub(crate) fn new(source: &str, nodes: &[Node]) -> Self {
        let mut this = Self { source: String::with_capacity(source.len() * 2), runs: Vec::new() };
        this.sequence(source, nodes);
        this
    }

    fn run(&mut self, source: usize, copied: bool) {
        self.runs.push(Run { out: self.source.len(), source, copied });
    }

    fn sequence(&mut self, source: &str, nodes: &[Node]) {
        for node in nodes {
            match node {
                Node::Text { text, at } => {
                    let mut at = *at;
                    for (i, piece) in text.split('{').enumerate() {
                        if i > 0 {
                            self.run(at, false);
                            self.source.push_str("{{'{'}}");
                            at += 1;
                        }
                        self.run(at, true);
                        self.source.push_str(piece);
                        at += piece.len();
                    }
                }
                Node::Tag { start, end, .. } => {
                    self.run(*start, true);
                    self.source.push_str(source.get(*start..*end).unwrap_or_default());
                }
                Node::Choice { alternatives, at } => {
                    self.run(*at, false);
                    let n = alternatives.len();
                    self.source.push_str(&format!("{{% set {DRAWN} = {DRAW}({n}) %}}"));
                    for (i, alternative) in alternatives.iter().enumerate() {
                        self.run(*at, false);
                        self.source.push_str(&match i {
                            0 => format!("{{% if {DRAWN} == 0 %}}"),
                            i if i + 1 == n => "{% else %}".to_owned(),
                            i => format!("{{% elif {DRAWN} == {i} %}}"),
                        });
                        self.sequence(source, &alternative.nodes);
                    }
                    self.run(*at, false);
                    self.source.push_str("{% endif %}");
                }
            }
        }
    }

    /// Where in the template the byte `out` of the translation came from.
    fn origin(&self, out: usize) -> usize {
        let i = self.runs.partition_point(|r| r.out <= out);
        match self.runs.get(i.wrapping_sub(1)) {
            Some(run) if run.copied => run.source + (out - run.out),
            Some(run) => run.source,
            None => 0,
        }
    }

    /// The problem that a minijinja error means.
    pub(crate) fn problem(&self, source: &str, context: &Value, error: &minijinja::Error) -> Problem {
        // An error inside a macro or a filter's callback carries its cause.
        let range = error.range().unwrap_or(0..0);
        let mut offset = self.origin(range.start);
        let message = match error.kind() {
            ErrorKind::UndefinedError => {
                let name = undefined_name(context, error);
                // minijinja points at the filter that stumbled; the name stands before it.
                let before = self.source.get(..range.end).unwrap_or_default();
                if let Some(at) = name.as_ref().and_then(|name| before.rfind(&**name)) {
                    offset = self.origin(at);
                }
                match name {
                    Some(name) => format!("the variable \"{name}\" is not defined"),
                    None => "a variable is not defined".to_owned(),
                }
            }
            ErrorKind::OutOfFuel => "the template takes too many steps: shorten its loops".to_owned(),
            ErrorKind::WriteFailure => format!("the text is longer than {} KiB", MAX_TEXT >> 10),
            kind => match error.detail() {
                Some(detail) => format!("{kind}: {detail}"),
                None => kind.to_string(),
            },
        };
        problem_at(source, offset, message)
    }
}

/// The undefined variable, if it is a name: for `a.b`, `a` if there is no `a`.
fn undefined_name(context: &Value, error: &minijinja::Error) -> Option<String> {
    let name = error.detail()?.split('`').nth(1)?;
    let root = name.split(['.', '[']).next()?;
    let has_root = context.get_attr(root).is_ok_and(|v| !v.is_undefined());
    Some(if has_root { name } else { root }.to_owned()).filter(|n| !n.is_empty())
}

/// Writes a text up to its limit.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_TEXT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn render(
    template: &minijinja::Template<'_, '_>,
    context: &Value,
    draws: Draws,
) -> Result<String, minijinja::Error> {
    DRAWS.set(draws);
    let mut out = Bounded(Vec::with_capacity(256));
    template.render_captured_to(context.clone(), &mut out)?;
    // minijinja writes str only.
    String::from_utf8(out.0).map_err(|_| ErrorKind::WriteFailure.into())
}

/// The variables that a template reads, without what the environment has.
pub(crate) fn variables(env: &Environment<'_>, template: &minijinja::Template<'_, '_>) -> Vec<String> {
    let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    names.retain(|name| name != DRAWN && !env.globals().any(|(global, _)| global == name));
    names
}
