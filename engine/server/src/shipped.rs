//! The plugins that the binary carries.

use pombo_sandbox::Embedded;

/// All of them, the renderer first. A `static`: the components of a constant would be in the binary once for each use.
pub(crate) static PLUGINS: [Embedded; 8] = [
    Embedded { name: "renderer", component: include_bytes!(env!("POMBO_PLUGIN_RENDERER")) },
    Embedded { name: "connector-email", component: include_bytes!(env!("POMBO_PLUGIN_CONNECTOR_EMAIL")) },
    Embedded { name: "connector-gateway", component: include_bytes!(env!("POMBO_PLUGIN_CONNECTOR_GATEWAY")) },
    Embedded { name: "connector-whatsapp", component: include_bytes!(env!("POMBO_PLUGIN_CONNECTOR_WHATSAPP")) },
    Embedded {
        name: "connector-whatsapp-cloud",
        component: include_bytes!(env!("POMBO_PLUGIN_CONNECTOR_WHATSAPP_CLOUD")),
    },
    Embedded { name: "flow", component: include_bytes!(env!("POMBO_PLUGIN_FLOW")) },
    Embedded { name: "integration-webhook", component: include_bytes!(env!("POMBO_PLUGIN_INTEGRATION_WEBHOOK")) },
    Embedded { name: "integration-llm", component: include_bytes!(env!("POMBO_PLUGIN_INTEGRATION_LLM")) },
];

/// The renderer, without which no sandbox opens.
pub(crate) fn renderer() -> Embedded {
    PLUGINS[0]
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_is_the_renderer() {
        assert_eq!(super::renderer().name, "renderer");
    }
}
