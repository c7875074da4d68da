//! Turns a core WebAssembly module, as a guest toolchain links it, into a component.
//!
//! The module describes its world in a custom section, which the binding generator has written. Nothing else is
//! needed, and no adapter is linked: a guest that imports WASI under its old core names is refused.

mod reserve;

use anyhow::{Context, Result};
use wit_component::ComponentEncoder;

/// Makes a component of `module` and validates it.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>> {
    let module = reserve::reserve(module).context("this is not a core module")?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .context(
            "this core module does not contain a description of its component (was it built with the SDK's export macro?)",
        )?
        .encode()
        .context("the module does not fit the world it describes")
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_no_module_is_refused() {
        let error = super::componentize(b"not wasm").expect_err("must not be taken");
        assert!(error.to_string().contains("not a core module"), "{error}");
    }

    #[test]
    fn a_module_without_a_world_gives_no_exports_but_is_valid() {
        let empty = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
        let component = super::componentize(&empty).expect("an empty module is a valid one");
        assert_eq!(&component[..4], b"\0asm");
        assert_ne!(component[4..8], empty[4..8], "the version field says component, not module");
    }
}
