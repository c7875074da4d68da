//! The plugins' worlds as Rust, generated from `wit/`: the only `bindgen!` site. Both worlds share one set of host interfaces.

/// The connector world.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub(crate) mod connector {
    wasmtime::component::bindgen!({
        path: ["../../wit/host", "../../wit/connector"],
        world: "pombo:connector/connector",
        exports: { default: async },
        with: {
            "pombo:host/http.exchange": crate::host::http::exchange::Exchange,
            "pombo:host/websocket.connection": crate::host::websocket::Connection,
            "pombo:host/media.upload": crate::host::media::Upload,
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
