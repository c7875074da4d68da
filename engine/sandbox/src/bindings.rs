//! The plugins' worlds as Rust, generated from `wit/`: the only `bindgen!` site. Connectors and renderers share one set of host
//! interfaces; automations have their own, whose functions are synchronous for the guest.

/// The connector world.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub(crate) mod connector {
    wasmtime::component::bindgen!({
        path: ["../../wit/host", "../../wit/connector"],
        world: "pombo:connector/connector",
        exports: { default: async },
        with: {
            "pombo:host/http.exchange": crate::host::resources::Exchange,
            "pombo:host/websocket.connection": crate::host::resources::Connection,
            "pombo:host/media.upload": crate::host::resources::Upload,
        },
    });
}

/// The renderer world.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub(crate) mod renderer {
    wasmtime::component::bindgen!({
        path: ["../../wit/host", "../../wit/renderer"],
        world: "pombo:renderer/renderer",
        exports: { default: async },
        with: { "pombo:host/log": crate::bindings::connector::pombo::host::log },
    });
}

pub(crate) use connector::pombo::connector::types;
pub(crate) use connector::pombo::host;
pub(crate) use renderer::pombo::renderer::types as rendering;

/// The automation world.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub(crate) mod automation {
    wasmtime::component::bindgen!({
        path: "../../wit/automation",
        world: "pombo:automation/automation",
        imports: {
            "pombo:automation/kv.get": async | trappable,
            "pombo:automation/kv.list": async | trappable,
            "pombo:automation/http.send": async | trappable,
        },
        exports: { default: async },
    });
}
