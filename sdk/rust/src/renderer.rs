//! The renderer world: [`Renderer`] and its types. All calls are synchronous and depend only on their arguments.

/// The world as generated from `wit/`.
#[allow(missing_docs, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: ["wit/host", "wit/renderer"],
        world: "pombo:renderer/renderer",
        generate_all,
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_renderer_world",
        default_bindings_module: "pombo_plugin::renderer::bindings",
    });
}

pub use bindings::pombo::renderer::types::*;

/// Renders templates into texts.
pub trait Renderer: 'static {
    /// Checks a template and describes what it can produce.
    fn compile(template: &str) -> Result<TemplateInfo, Problem>;

    /// Renders a batch: one result for each job, in order.
    fn render_batch(templates: &[String], jobs: &[Job]) -> Vec<Result<String, Problem>>;

    /// Renders sample texts and figures for a template's author.
    fn preview(template: &str, variables: &str, seed: u64, samples: u32) -> Result<Preview, Problem>;
}

/// Exports a [`Renderer`](crate::renderer::Renderer) as the plugin of this crate.
#[macro_export]
macro_rules! export_renderer {
    ($renderer:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::renderer as sdk;

            struct Exported;
            impl sdk::bindings::Guest for Exported {
                fn compile(template: ::std::string::String) -> ::std::result::Result<sdk::TemplateInfo, sdk::Problem> {
                    $crate::__install_panic_hook();
                    <$renderer as sdk::Renderer>::compile(&template)
                }
                fn render_batch(
                    templates: ::std::vec::Vec<::std::string::String>,
                    jobs: ::std::vec::Vec<sdk::Job>,
                ) -> ::std::vec::Vec<::std::result::Result<::std::string::String, sdk::Problem>> {
                    $crate::__install_panic_hook();
                    <$renderer as sdk::Renderer>::render_batch(&templates, &jobs)
                }
                fn preview(
                    template: ::std::string::String,
                    variables: ::std::string::String,
                    seed: u64,
                    samples: u32,
                ) -> ::std::result::Result<sdk::Preview, sdk::Problem> {
                    $crate::__install_panic_hook();
                    <$renderer as sdk::Renderer>::preview(&template, &variables, seed, samples)
                }
            }
            sdk::bindings::export_renderer_world! { Exported with_types_in sdk::bindings }
        };
    };
}
