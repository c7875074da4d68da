//! A first look at uploaded bytes: one pass that counts, so that nothing behind it meets a component whose size on paper is harmless
//! and whose content is not. Runs on a thread of its own: the format's reader follows nested types by recursion.
//!
//! Time is linear in the bytes, memory is bounded by the type sections, whose size is.

use wasmparser::{
    BlockType, ComponentType, ComponentTypeDeclaration, ComponentTypeRef, Encoding, InstanceTypeDeclaration, Operator,
    Parser, Payload, TableInit, TypeBounds,
};

/// What a component may hold. Each bound is well above what CPython with its standard library needs.
const MODULES: u64 = 120;
const COMPONENTS: u64 = 120;
const NESTED_COMPONENTS: usize = 8;
const FUNCTIONS: u64 = 120_000;
const TYPES: u64 = 30_000;
const TYPE_BYTES: u64 = 1 << 20;
const TYPE_SECTION_BYTES: usize = 256 << 10;
const TYPE_DEPTH: u32 = 12;
const IMPORTS: u64 = 40_000;
const EXPORTS: u64 = 60_000;
const GLOBALS: u64 = 60_000;
const INSTANCES: u64 = 4_000;
const ALIASES: u64 = 60_000;
const MEMORIES: u64 = 4;
const TABLES: u64 = 60;
const TABLE_ELEMENTS: u64 = crate::limits::AUTOMATION_TABLE_ELEMENTS as u64;
const ELEMENTS: u64 = 400_000;
const SEGMENTS: u64 = 60_000;
const FUNCTION_BYTES: usize = 1 << 20;
const LOCALS: u64 = 20_000;
const BLOCKS_DEEP: u32 = 1_000;
const BLOCKS: u64 = 30_000;
const BRANCH_TARGETS: u64 = 60_000;
const CUSTOM_BYTES: u64 = 16 << 20;
/// The stack of the thread: more than a type section full of nothing but nested types takes.
const STACK_BYTES: usize = 384 << 20;

/// What was found at the top.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Names of the component's own imports.
    pub(crate) imports: Vec<String>,
    /// Names of its own exports.
    pub(crate) exports: Vec<String>,
    /// Bytes of memory that its modules begin with.
    pub(crate) memory: u64,
}

/// Walks on a thread of its own. `Err` says what to change.
pub(crate) fn walk(component: &bytes::Bytes) -> Result<Found, String> {
    match Parser::is_component(component) {
        true => {}
        false if Parser::is_core_wasm(component) => {
            return Err(
                "this is a core WebAssembly module; make a component of it, with the build command of the plugin's SDK"
                    .to_owned(),
            );
        }
        false if component.starts_with(b"\0asm") => {
            return Err(
                "this is WebAssembly of a version that the engine does not know; build it with the plugin's SDK"
                    .to_owned(),
            );
        }
        false => {
            return Err(
                "this is not a WebAssembly component: upload the file that the SDK's build command makes".to_owned()
            );
        }
    }
    let bytes = component.clone();
    let walked = std::thread::Builder::new().name("walk".to_owned()).stack_size(STACK_BYTES);
    let walked = walked
        .spawn(move || Walk::default().all(&bytes))
        .map_err(|_| "the engine has no thread to check it on".to_owned())?;
    walked.join().unwrap_or_else(|_| Err("its structure cannot be read".to_owned()))
}

#[derive(Default)]
struct Walk {
    found: Found,
    modules: u64,
    components: u64,
    functions: u64,
    types: u64,
    type_bytes: u64,
    imports: u64,
    exports: u64,
    globals: u64,
    instances: u64,
    aliases: u64,
    memories: u64,
    tables: u64,
    elements: u64,
    segments: u64,
    custom: u64,
    /// The encodings of the components and modules around the place where we are.
    around: Vec<Encoding>,
}

fn count(total: &mut u64, more: u64, most: u64, what: &str) -> Result<(), String> {
    *total = total.saturating_add(more);
    if *total <= most { Ok(()) } else { Err(format!("it has more than {most} {what}; make it smaller")) }
}

fn malformed(error: wasmparser::BinaryReaderError) -> String {
    format!("it is damaged or cut off: {} (at byte {})", error.message(), error.offset())
}

impl Walk {
    fn all(mut self, component: &[u8]) -> Result<Found, String> {
        let mut ended = false;
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload.map_err(malformed)?;
            ended = matches!(payload, Payload::End(_)) && self.around.len() == 1;
            self.one(payload)?;
        }
        if ended { Ok(self.found) } else { Err("it is damaged or cut off: its end is missing".to_owned()) }
    }

    fn one(&mut self, payload: Payload<'_>) -> Result<(), String> {
        let top = self.around.len() == 1;
        match payload {
            Payload::Version { encoding, .. } => self.around.push(encoding),
            Payload::End(_) => {
                self.around.pop();
            }
            Payload::ModuleSection { .. } => count(&mut self.modules, 1, MODULES, "modules")?,
            Payload::ComponentSection { .. } => {
                count(&mut self.components, 1, COMPONENTS, "nested components")?;
                if self.around.len() >= NESTED_COMPONENTS {
                    return Err(format!("its components are nested more than {NESTED_COMPONENTS} deep; compose fewer"));
                }
            }
            Payload::TypeSection(section) => {
                self.type_section(section.range(), u64::from(section.count()))?;
                for group in section {
                    let types = group.map_err(malformed)?.into_types().len() as u64;
                    count(&mut self.types, types, TYPES, "types")?;
                }
            }
            Payload::CoreTypeSection(section) => {
                self.type_section(section.range(), u64::from(section.count()))?;
                for one in section {
                    if let wasmparser::CoreType::Module(declared) = one.map_err(malformed)? {
                        count(&mut self.types, declared.len() as u64, TYPES, "types")?;
                    }
                }
            }
            Payload::ComponentTypeSection(section) => {
                self.type_section(section.range(), u64::from(section.count()))?;
                for one in section {
                    self.component_type(&one.map_err(malformed)?, 1)?;
                }
            }
            Payload::ImportSection(section) => count(&mut self.imports, section.count().into(), IMPORTS, "imports")?,
            Payload::ExportSection(section) => count(&mut self.exports, section.count().into(), EXPORTS, "exports")?,
            Payload::GlobalSection(section) => count(&mut self.globals, section.count().into(), GLOBALS, "globals")?,
            Payload::TagSection(section) => count(&mut self.globals, section.count().into(), GLOBALS, "globals")?,
            Payload::FunctionSection(section) => {
                count(&mut self.functions, section.count().into(), FUNCTIONS, "functions")?;
            }
            Payload::MemorySection(section) => {
                count(&mut self.memories, section.count().into(), MEMORIES, "memories")?;
                for memory in section {
                    let memory = memory.map_err(malformed)?;
                    if memory.memory64 || memory.shared {
                        return Err(
                            "it uses a 64-bit or shared memory; build it for 32 bits without threads".to_owned()
                        );
                    }
                    let page = 1u64 << memory.page_size_log2.unwrap_or(16).min(16);
                    self.found.memory = self.found.memory.saturating_add(memory.initial.saturating_mul(page));
                }
            }
            Payload::TableSection(section) => {
                count(&mut self.tables, section.count().into(), TABLES, "tables")?;
                for table in section {
                    let table = table.map_err(malformed)?;
                    if table.ty.initial > TABLE_ELEMENTS {
                        return Err(format!(
                            "one of its tables has more than {TABLE_ELEMENTS} entries; leave out code that it does not use"
                        ));
                    }
                    if let TableInit::Expr(expression) = table.init {
                        self.body(expression.get_operators_reader())?;
                    }
                }
            }
            Payload::ElementSection(section) => {
                count(&mut self.segments, section.count().into(), SEGMENTS, "segments")?;
                for one in section {
                    let entries = match one.map_err(malformed)?.items {
                        wasmparser::ElementItems::Functions(list) => list.count(),
                        wasmparser::ElementItems::Expressions(_, list) => list.count(),
                    };
                    count(&mut self.elements, entries.into(), ELEMENTS, "table entries")?;
                }
            }
            Payload::DataCountSection { count: n, .. } => count(&mut 0, n.into(), SEGMENTS, "segments")?,
            Payload::DataSection(section) => count(&mut self.segments, section.count().into(), SEGMENTS, "segments")?,
            Payload::CodeSectionStart { count: n, .. } => count(&mut 0, n.into(), FUNCTIONS, "functions")?,
            Payload::CodeSectionEntry(body) => self.function(&body)?,
            Payload::InstanceSection(section) => {
                count(&mut self.instances, section.count().into(), INSTANCES, "instances")?;
            }
            Payload::ComponentInstanceSection(section) => {
                count(&mut self.instances, section.count().into(), INSTANCES, "instances")?;
            }
            Payload::ComponentAliasSection(section) => {
                count(&mut self.aliases, section.count().into(), ALIASES, "aliases")?;
            }
            Payload::ComponentCanonicalSection(section) => {
                count(&mut self.functions, section.count().into(), FUNCTIONS, "functions")?;
            }
            Payload::ComponentImportSection(section) => {
                count(&mut self.imports, section.count().into(), IMPORTS, "imports")?;
                for import in section.into_iter().take_while(|_| top) {
                    let import = import.map_err(malformed)?;
                    // A type that the world uses from an interface is not an interface that the engine must offer.
                    if !matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                        self.found.imports.push(import.name.name.to_owned());
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                count(&mut self.exports, section.count().into(), EXPORTS, "exports")?;
                for export in section.into_iter().take_while(|_| top) {
                    self.found.exports.push(export.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::ComponentStartSection { .. } => {
                return Err("it has a start function, which the engine does not run; leave it out".to_owned());
            }
            Payload::CustomSection(section) => {
                count(
                    &mut self.custom,
                    section.data().len() as u64,
                    CUSTOM_BYTES,
                    "bytes of custom sections (strip it)",
                )?;
            }
            Payload::UnknownSection { id, .. } => {
                return Err(format!("it has a section of the unknown kind {id}; build it with the plugin's SDK"));
            }
            Payload::StartSection { .. } => {}
            _ => {
                return Err("it has a section that the engine does not know; build it with the plugin's SDK".to_owned());
            }
        }
        Ok(())
    }

    fn type_section(&mut self, range: std::ops::Range<usize>, types: u64) -> Result<(), String> {
        if range.len() > TYPE_SECTION_BYTES {
            return Err(format!("one of its type sections has more than {TYPE_SECTION_BYTES} bytes; use fewer types"));
        }
        count(&mut self.type_bytes, range.len() as u64, TYPE_BYTES, "bytes of types")?;
        count(&mut self.types, types, TYPES, "types")
    }

    fn component_type(&mut self, one: &ComponentType<'_>, depth: u32) -> Result<(), String> {
        if depth > TYPE_DEPTH {
            return Err(format!("its types are nested more than {TYPE_DEPTH} deep; flatten them"));
        }
        match one {
            ComponentType::Component(declarations) => {
                count(&mut self.types, declarations.len() as u64, TYPES, "types")?;
                for declaration in declarations {
                    if let ComponentTypeDeclaration::Type(inner) = declaration {
                        self.component_type(inner, depth + 1)?;
                    }
                }
            }
            ComponentType::Instance(declarations) => {
                count(&mut self.types, declarations.len() as u64, TYPES, "types")?;
                for declaration in declarations {
                    if let InstanceTypeDeclaration::Type(inner) = declaration {
                        self.component_type(inner, depth + 1)?;
                    }
                }
            }
            ComponentType::Defined(_) | ComponentType::Func(_) | ComponentType::Resource { .. } => {}
        }
        Ok(())
    }

    fn function(&mut self, body: &wasmparser::FunctionBody<'_>) -> Result<(), String> {
        if body.range().len() > FUNCTION_BYTES {
            return Err(format!(
                "one of its functions has more than {FUNCTION_BYTES} bytes; split it, or turn inlining down"
            ));
        }
        let mut locals = 0;
        for group in body.get_locals_reader().map_err(malformed)? {
            count(&mut locals, group.map_err(malformed)?.0.into(), LOCALS, "locals in one function")?;
        }
        self.body(body.get_operators_reader().map_err(malformed)?)
    }

    fn body(&mut self, mut operators: wasmparser::OperatorsReader<'_>) -> Result<(), String> {
        let (mut deep, mut blocks, mut targets) = (0u32, 0, 0);
        while !operators.eof() {
            match operators.read().map_err(malformed)? {
                Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                    let _: BlockType = blockty;
                    deep += 1;
                    if deep > BLOCKS_DEEP {
                        return Err(format!(
                            "one of its functions nests blocks more than {BLOCKS_DEEP} deep; split it"
                        ));
                    }
                    count(&mut blocks, 1, BLOCKS, "blocks in one function")?;
                }
                Operator::End => deep = deep.saturating_sub(1),
                Operator::BrTable { targets: table } => {
                    count(&mut targets, table.len().into(), BRANCH_TARGETS, "branch targets in one function")?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}
