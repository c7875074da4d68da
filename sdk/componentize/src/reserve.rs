//! Reserves memory for a module's heap in advance.
//!
//! The allocators of guests get their memory through `memory.grow`, whatever size the module begins with. In the engine each such
//! call is a call to the operating system, which releases the new pages before the slot's next instance. An automation has a
//! fresh instance for every event, so each event would cost two such calls. A module that was rewritten here begins with some
//! more pages, and `memory.grow` hands those out first: it becomes a function of the module that grows the memory once they are
//! used up. `memory.size` counts the pages handed out. Nothing else changes for the guest: the pages are zero, like new ones.

use anyhow::{Result, anyhow};
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{BlockType, CodeSection, ConstExpr, Function, FunctionSection, GlobalSection, GlobalType};
use wasm_encoder::{Instruction, MemoryType, Module, TypeSection, ValType};
use wasmparser::{Operator, Parser, Payload, TypeRef};

/// The number of pages of 64 KiB reserved in advance.
const PAGES: u64 = 4;

type Error = reencode::Error<std::convert::Infallible>;

/// Returns the module with memory for its heap reserved. Returns it unchanged if it does not have one ordinary memory of its own
/// that it grows.
pub(crate) fn reserve(module: &[u8]) -> Result<Vec<u8>> {
    let Some(mut reserve) = Reserve::look(module)? else { return Ok(module.to_vec()) };
    let mut made = Module::new();
    reserve.parse_core_module(&mut made, Parser::new(0), module).map_err(|error| anyhow!("{error}"))?;
    Ok(made.finish())
}

/// The indices of the added function, type and globals among the module's own.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reserve {
    /// The type of the function.
    signature: u32,
    /// The function in the place of `memory.grow`.
    grow: u32,
    /// The pages that were handed out.
    given: u32,
    /// Those with which the module began.
    first: u64,
}

impl Reserve {
    fn look(module: &[u8]) -> Result<Option<Self>> {
        let (mut found, mut memories, mut grows) = (Self::default(), Vec::new(), false);
        let mut imported = false;
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(types) => {
                    for group in types {
                        found.signature += group?.types().len() as u32;
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        match import?.ty {
                            TypeRef::Func(_) | TypeRef::FuncExact(_) => found.grow += 1,
                            TypeRef::Global(_) => found.given += 1,
                            TypeRef::Memory(_) => imported = true,
                            TypeRef::Table(_) | TypeRef::Tag(_) => {}
                        }
                    }
                }
                Payload::FunctionSection(functions) => found.grow += functions.count(),
                Payload::MemorySection(section) => {
                    for memory in section {
                        memories.push(memory?);
                    }
                }
                Payload::GlobalSection(globals) => found.given += globals.count(),
                Payload::CodeSectionEntry(body) if !grows => {
                    for operator in body.get_operators_reader()? {
                        grows |= matches!(operator?, Operator::MemoryGrow { .. });
                    }
                }
                _ => {}
            }
        }
        let [memory] = memories[..] else { return Ok(None) };
        let most = memory.maximum.unwrap_or(1 << 16);
        let ordinary = !imported && !memory.memory64 && !memory.shared && memory.page_size_log2.is_none();
        // Each section that gets an addition must exist.
        let fits = found.given > 0 && memory.initial + PAGES <= most;
        found.first = memory.initial;
        Ok((grows && ordinary && fits).then_some(found))
    }

    /// `grow(pages) -> old size, or -1`.
    fn function(&self) -> Function {
        // Locals in addition to the parameter: the size before and after.
        let (pages, old, new) = (0, 1, 2);
        let mut function = Function::new([(2, ValType::I32)]);
        for instruction in [
            Instruction::GlobalGet(self.given),
            Instruction::LocalTee(old),
            Instruction::LocalGet(pages),
            Instruction::I32Add,
            Instruction::LocalTee(new),
            // Sizes are at most 65,536: a smaller sum has wrapped around.
            Instruction::LocalGet(old),
            Instruction::I32LtU,
            Instruction::If(BlockType::Empty),
            Instruction::I32Const(-1),
            Instruction::Return,
            Instruction::End,
            Instruction::LocalGet(new),
            Instruction::MemorySize(0),
            Instruction::I32GtU,
            Instruction::If(BlockType::Empty),
            Instruction::LocalGet(new),
            Instruction::MemorySize(0),
            Instruction::I32Sub,
            Instruction::MemoryGrow(0),
            Instruction::I32Const(-1),
            Instruction::I32Eq,
            Instruction::If(BlockType::Empty),
            Instruction::I32Const(-1),
            Instruction::Return,
            Instruction::End,
            Instruction::End,
            Instruction::LocalGet(new),
            Instruction::GlobalSet(self.given),
            Instruction::LocalGet(old),
            Instruction::End,
        ] {
            function.instruction(&instruction);
        }
        function
    }
}

impl Reencode for Reserve {
    type Error = std::convert::Infallible;

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([ValType::I32], [ValType::I32]);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.signature);
        Ok(())
    }

    fn memory_type(&mut self, memory: wasmparser::MemoryType) -> Result<MemoryType, Error> {
        let memory = utils::memory_type(self, memory);
        Ok(MemoryType { minimum: memory.minimum + PAGES, ..memory })
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_global_section(self, globals, section)?;
        let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(ty, &ConstExpr::i32_const(self.first as i32));
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_code_section(self, code, section)?;
        code.function(&self.function());
        Ok(())
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>, Error> {
        match operator {
            Operator::MemoryGrow { .. } => Ok(Instruction::Call(self.grow)),
            Operator::MemorySize { .. } => Ok(Instruction::GlobalGet(self.given)),
            other => utils::instruction(self, other),
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{EntityType, ExportKind, ExportSection, ImportSection, MemorySection};
    use wasmtime::{Engine, Instance, Store, TypedFunc};

    use super::*;

    /// A module whose exports `grow` and `size` are the instructions; with an unused import before them, and a global.
    fn module(minimum: u64, maximum: Option<u64>, grows: bool) -> Vec<u8> {
        let (mut types, mut imports, mut functions) =
            (TypeSection::new(), ImportSection::new(), FunctionSection::new());
        types.ty().function([ValType::I32], [ValType::I32]);
        types.ty().function([], [ValType::I32]);
        imports.import("host", "unused", EntityType::Function(1));
        functions.function(0).function(1);
        let mut memories = MemorySection::new();
        memories.memory(MemoryType { minimum, maximum, memory64: false, shared: false, page_size_log2: None });
        let mut globals = GlobalSection::new();
        let stack = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(stack, &ConstExpr::i32_const(7));
        let mut exports = ExportSection::new();
        exports.export("grow", ExportKind::Func, 1).export("size", ExportKind::Func, 2);
        exports.export("memory", ExportKind::Memory, 0);
        let mut code = CodeSection::new();
        let bodies: [&[Instruction<'_>]; 2] = [
            &[Instruction::LocalGet(0), if grows { Instruction::MemoryGrow(0) } else { Instruction::I32Eqz }],
            &[Instruction::MemorySize(0)],
        ];
        for body in bodies {
            let mut function = Function::new([]);
            for instruction in body.iter().chain([&Instruction::End]) {
                function.instruction(instruction);
            }
            code.function(&function);
        }
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&memories);
        module.section(&globals).section(&exports).section(&code);
        module.finish()
    }

    struct Guest {
        store: Store<()>,
        instance: Instance,
    }

    impl Guest {
        fn new(module: &[u8]) -> Self {
            let engine = Engine::default();
            let module = wasmtime::Module::new(&engine, module).expect("a valid module");
            let mut store = Store::new(&engine, ());
            let unused = wasmtime::Func::wrap(&mut store, || 0_i32);
            let instance = Instance::new(&mut store, &module, &[unused.into()]).expect("instantiates");
            Self { store, instance }
        }
        fn grow(&mut self, pages: i32) -> i32 {
            let grow: TypedFunc<i32, i32> = self.instance.get_typed_func(&mut self.store, "grow").expect("is there");
            grow.call(&mut self.store, pages).expect("does not trap")
        }
        fn size(&mut self) -> i32 {
            let size: TypedFunc<(), i32> = self.instance.get_typed_func(&mut self.store, "size").expect("is there");
            size.call(&mut self.store, ()).expect("does not trap")
        }
        fn real_size(&mut self) -> u64 {
            self.instance.get_memory(&mut self.store, "memory").expect("is there").size(&self.store)
        }
    }

    #[test]
    fn the_first_pages_are_there_already_and_the_guest_sees_no_difference() {
        let plain = module(3, Some(20), true);
        let made = reserve(&plain).expect("can be read");
        let (mut before, mut after) = (Guest::new(&plain), Guest::new(&made));
        assert_eq!(after.real_size(), 3 + PAGES);
        for pages in [0, 1, 3, -1, i32::MAX, 2, 0, 7, 100, 4, 1, 0] {
            assert_eq!(after.size(), before.size());
            assert_eq!(after.grow(pages), before.grow(pages), "by {pages}");
        }
        assert_eq!((after.real_size(), after.size()), (20, 20));
        let mut some = Guest::new(&made);
        assert_eq!((some.grow(PAGES as i32), some.real_size()), (3, 3 + PAGES), "without asking for any");
    }

    #[test]
    fn what_does_not_grow_or_has_no_room_stays_as_it_is() {
        for plain in [module(3, None, false), module(3, Some(3), true), Module::new().finish()] {
            assert_eq!(reserve(&plain).expect("can be read"), plain);
        }
    }
}
