//! Components made of bytes, to be as bad as no toolchain makes them.

/// An unsigned number as the format writes it.
fn leb(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (n & 0x7f) as u8;
        n >>= 7;
        if n == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(content.len() as u64), content].concat()
}

/// As many of the same as are wanted, with their number in front.
fn many(count: u64, one: &[u8]) -> Vec<u8> {
    [leb(count), one.repeat(count as usize)].concat()
}

pub(crate) fn component(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0".to_vec(), sections.concat()].concat()
}

pub(crate) fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat()
}

/// A module in a component.
pub(crate) fn holding(module: &[u8]) -> Vec<u8> {
    section(1, module)
}

fn with_module(sections: &[Vec<u8>]) -> Vec<u8> {
    component(&[holding(&module(sections))])
}

/// The type of a function from nothing to nothing.
const NOTHING: [u8; 3] = [0x60, 0, 0];

/// A component with one function, of these instructions behind these locals.
fn with_function(locals: &[u8], instructions: &[u8]) -> Vec<u8> {
    let body = [locals, instructions, &[0x0b]].concat();
    let code = [leb(1), leb(body.len() as u64), body].concat();
    with_module(&[section(1, &many(1, &NOTHING)), section(3, &many(1, &[0])), section(10, &code)])
}

pub(crate) fn huge_function() -> Vec<u8> {
    with_function(&[0], &[1; 1_500_000])
}

pub(crate) fn deep_blocks() -> Vec<u8> {
    with_function(&[0], &[[2, 0x40].repeat(2000), vec![0x0b; 2000]].concat())
}

pub(crate) fn many_blocks() -> Vec<u8> {
    with_function(&[0], &[2, 0x40, 0x0b].repeat(40_000))
}

pub(crate) fn many_locals() -> Vec<u8> {
    with_function(&[leb(1), leb(25_000), vec![0x7f]].concat(), &[])
}

pub(crate) fn many_types() -> Vec<u8> {
    with_module(&[section(1, &many(40_000, &NOTHING))])
}

/// One on paper: a group of many.
pub(crate) fn grouped_types() -> Vec<u8> {
    let group = [vec![0x4e], many(40_000, &NOTHING)].concat();
    with_module(&[section(1, &many(1, &group))])
}

pub(crate) fn many_functions() -> Vec<u8> {
    with_module(&[section(1, &many(1, &NOTHING)), section(3, &many(130_000, &[0]))])
}

/// A module that begins with almost 4 GiB.
pub(crate) fn huge_memory() -> Vec<u8> {
    let memory = [vec![1, 0], leb(60_000)].concat();
    module(&[section(5, &memory)])
}

pub(crate) fn wide_memory() -> Vec<u8> {
    with_module(&[section(5, &[1, 4, 1])])
}

pub(crate) fn huge_table() -> Vec<u8> {
    let table = [vec![1, 0x70, 0], leb(9_000_000)].concat();
    with_module(&[section(4, &table)])
}

pub(crate) fn many_segments() -> Vec<u8> {
    with_module(&[section(11, &leb(90_000))])
}

pub(crate) fn many_modules() -> Vec<u8> {
    component(&vec![holding(&module(&[])); 200])
}

pub(crate) fn nested_components() -> Vec<u8> {
    (0..40).fold(component(&[]), |inner, _| component(&[section(4, &inner)]))
}

/// Instance types within instance types: three bytes each.
pub(crate) fn nested_types(depth: usize) -> Vec<u8> {
    let types = [vec![1], [0x42, 1, 1].repeat(depth), vec![0x42, 0]].concat();
    component(&[section(7, &types)])
}

pub(crate) fn custom_sections() -> Vec<u8> {
    let one = section(0, &[vec![1, b'x'], vec![0; 4 << 20]].concat());
    component(&vec![one; 5])
}

pub(crate) fn endless_section() -> Vec<u8> {
    component(&[vec![1, 0xff, 0xff, 0xff, 0xff, 0x0f]])
}

/// A module that is valid, within every count, and takes long to compile.
pub(crate) fn slow_module(functions: usize) -> Vec<u8> {
    // local.get 0; i32.const n; i32.xor; local.get 0; i32.add; local.set 0
    let steps: Vec<u8> = (0..30_000u64)
        .flat_map(|n| [vec![0x20, 0, 0x41], leb(n % 63), vec![0x73, 0x20, 0, 0x6a, 0x21, 0]].concat())
        .collect();
    let body = [vec![0], steps, vec![0x20, 0, 0x0b]].concat();
    let one = [leb(body.len() as u64), body].concat();
    module(&[
        section(1, &many(1, &[0x60, 1, 0x7f, 1, 0x7f])),
        section(3, &many(functions as u64, &[0])),
        section(10, &many(functions as u64, &one)),
    ])
}
