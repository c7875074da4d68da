//! Templates, compiled once and kept by their source. A guest is single-threaded: one cache per instance.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use minijinja::Environment;
use pombo_plugin::renderer::Problem;

use crate::choose::Draws;
use crate::count::{self, Figures};
use crate::direct::Program;
use crate::jinja::{self, Translated};
use crate::parse::{self, Node};
use crate::problem_at;
use crate::variables::{Variables, context_of};

/// A longer template is refused.
const MAX_TEMPLATE: usize = 256 << 10;
/// When either bound is passed, all is forgotten: simpler than ageing, and campaigns use few templates.
const MAX_CACHED: usize = 512;
const MAX_CACHED_BYTES: usize = 4 << 20;

/// A compiled template.
pub(crate) struct Compiled {
    source: Box<str>,
    nodes: Vec<Node>,
    direct: Option<Program>,
    figures: OnceCell<Figures>,
    /// Shared by the templates of one generation of the cache, and freed with the last of them.
    env: Rc<RefCell<Environment<'static>>>,
    jinja: OnceCell<Result<Prepared, Problem>>,
}

/// A translated template, known to its environment by a name.
struct Prepared {
    env: Rc<RefCell<Environment<'static>>>,
    name: String,
    translated: Translated,
}

impl Compiled {
    fn new(source: &str, env: &Rc<RefCell<Environment<'static>>>) -> Result<Self, Problem> {
        if source.len() > MAX_TEMPLATE {
            return Err(problem_at(source, 0, format!("the template is longer than {} KiB", MAX_TEMPLATE >> 10)));
        }
        let nodes = parse::parse(source)?;
        let direct = Program::new(&nodes);
        let this = Self {
            source: source.into(),
            nodes,
            direct,
            figures: OnceCell::new(),
            env: env.clone(),
            jinja: OnceCell::new(),
        };
        if this.direct.is_none() {
            this.prepared()?;
        }
        Ok(this)
    }

    pub(crate) fn figures(&self) -> Figures {
        *self.figures.get_or_init(|| count::figures(&self.source, &self.nodes))
    }

    fn prepared(&self) -> Result<&Prepared, Problem> {
        self.jinja
            .get_or_init(|| {
                let translated = Translated::new(&self.source, &self.nodes);
                let mut env = self.env.borrow_mut();
                let name = env.templates().count().to_string();
                match env.add_template_owned(name.clone(), translated.source.clone()) {
                    Ok(()) => Ok(Prepared { env: self.env.clone(), name, translated }),
                    Err(e) => Err(translated.problem(&self.source, &minijinja::Value::UNDEFINED, &e)),
                }
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    pub(crate) fn variables(&self) -> Result<Vec<String>, Problem> {
        let mut names = Vec::new();
        if let Some(program) = &self.direct {
            program.variables(&mut names);
        } else {
            let prepared = self.prepared()?;
            let env = prepared.env.borrow();
            if let Ok(template) = env.get_template(&prepared.name) {
                names = jinja::variables(&env, &template);
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    pub(crate) fn render<'a>(
        &self,
        seed: u64,
        variables: &'a str,
        extra: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<String, Problem> {
        if let Some(text) = self.direct.as_ref().and_then(Program::constant) {
            return Ok(text.to_owned());
        }
        let problem = |e| problem_at(&self.source, 0, e);
        let mut extra = extra.peekable();
        let context = match &self.direct {
            Some(program) => {
                let variables = Variables::read(variables, extra).map_err(problem)?;
                let mut out = String::with_capacity(self.source.len() + 32);
                if program.render(&mut out, &variables, &mut Draws::new(seed)).is_ok() {
                    if out.len() <= jinja::MAX_TEXT {
                        return Ok(out);
                    }
                    return Err(problem(format!("the text is longer than {} KiB", jinja::MAX_TEXT >> 10)));
                }
                variables.to_context()
            }
            None if extra.peek().is_none() => context_of(variables).map_err(problem)?,
            None => Variables::read(variables, extra).map_err(problem)?.to_context(),
        };
        let prepared = self.prepared()?;
        let env = prepared.env.borrow();
        env.get_template(&prepared.name)
            .and_then(|template| jinja::render(&template, &context, Draws::new(seed)))
            .map_err(|e| prepared.translated.problem(&self.source, &context, &e))
    }
}

struct Cache {
    by_source: HashMap<Box<str>, Rc<Compiled>>,
    bytes: usize,
    env: Rc<RefCell<Environment<'static>>>,
}

impl Cache {
    fn new() -> Self {
        Self { by_source: HashMap::new(), bytes: 0, env: Rc::new(RefCell::new(jinja::environment())) }
    }
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::new(Cache::new());
}

/// The compiled form of `source`. Mistaken templates are not kept.
pub(crate) fn get(source: &str) -> Result<Rc<Compiled>, Problem> {
    CACHE.with_borrow_mut(|cache| {
        if let Some(found) = cache.by_source.get(source) {
            return Ok(found.clone());
        }
        if cache.by_source.len() >= MAX_CACHED || cache.bytes + source.len() > MAX_CACHED_BYTES {
            *cache = Cache::new();
        }
        let compiled = Rc::new(Compiled::new(source, &cache.env)?);
        cache.bytes += source.len();
        cache.by_source.insert(source.into(), compiled.clone());
        Ok(compiled)
    })
}
