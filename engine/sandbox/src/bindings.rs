//! The plugins' worlds as Rust, generated from `wit/`: the only `bindgen!` site. Connectors of all versions and renderers share one
//! set of host interfaces; automations have their own, whose functions are synchronous for the guest.

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

/// The connector world in its version 0.1.0. Its host interfaces are those of the newest version: they are implemented once.
#[allow(missing_docs, unreachable_pub, dead_code, clippy::all)]
pub(crate) mod connector_0_1 {
    wasmtime::component::bindgen!({
        path: ["../../wit/host", "../../wit/frozen/connector-0.1.0"],
        world: "pombo:connector/connector",
        exports: { default: async },
        with: {
            "pombo:host/log": crate::bindings::connector::pombo::host::log,
            "pombo:host/clock": crate::bindings::connector::pombo::host::clock,
            "pombo:host/random": crate::bindings::connector::pombo::host::random,
            "pombo:host/kv": crate::bindings::connector::pombo::host::kv,
            "pombo:host/http": crate::bindings::connector::pombo::host::http,
            "pombo:host/websocket": crate::bindings::connector::pombo::host::websocket,
            "pombo:host/smtp": crate::bindings::connector::pombo::host::smtp,
            "pombo:host/media": crate::bindings::connector::pombo::host::media,
            "pombo:host/events": crate::bindings::connector::pombo::host::events,
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
pub(crate) use connector_0_1::pombo::connector::types as types_0_1;
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
