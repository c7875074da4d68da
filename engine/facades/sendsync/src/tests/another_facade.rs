//! What it takes to add a facade, shown with one that exists in this file alone: its value, and its place in the list of those that
//! are served. Nothing else names it.

use poem::web::Data;
use poem::{EndpointExt, IntoEndpoint};
use poem_openapi::param::Path;
use poem_openapi::payload::PlainText;
use poem_openapi::{Object, OpenApi, OpenApiService};
use pombo_api::error::{Fails, Failure, status};
use pombo_api::options::ApiState;
use pombo_api::{Facade, Sections, UnknownParameters};

use super::*;

static NOTES: Facade = Facade {
    name: "notes",
    title: "Notes",
    summary: "Notes, under /notes",
    base: "/notes",
    aliases: &["/notes/api/v1"],
    home: "/notes",
    host_base: Some("/v1"),
    routes: || service().into_endpoint().map_to_response().boxed(),
    document: || service().spec(),
    page: || service().swagger_ui_html(),
    operations: <(Notes,)>::operations,
    failure_status: Failure::own_status,
    write_failure: |failure, id| Response::builder().body(format!("{} ({id})", failure.message)),
    unknown_parameters: UnknownParameters::Ignored,
};

fn service() -> OpenApiService<Notes, ()> {
    OpenApiService::new(Notes, NOTES.title, "1")
}

struct Author(&'static str);

#[derive(Object)]
struct Problem {
    /// What is wrong.
    message: String,
}

#[derive(Default)]
struct Notes;

impl pombo_api::Section for Notes {
    const FILE: &'static str = file!();
}

#[OpenApi]
impl Notes {
    /// The newest note
    #[oai(path = "/newest", method = "get", operation_id = "newest_note")]
    async fn newest(&self, state: Data<&Arc<ApiState>>, author: Data<&Arc<Author>>) -> PlainText<String> {
        PlainText(format!("{}, {}", author.0.0, state.options.public_url))
    }

    /// A note
    #[oai(path = "/of/:id", method = "get", operation_id = "get_note")]
    async fn get(&self, id: Path<u32>) -> Result<PlainText<String>, Fails<Problem, { status::NOT_FOUND }>> {
        Err(Failure::not_found(&format!("Note {}", id.0)).into())
    }
}

#[tokio::test]
async fn a_facade_is_added_by_its_value_alone() {
    let mut site = Site::new().await;
    let state = Arc::clone(&site.state);
    let template = || Err("none".to_owned());
    let facades = vec![
        FACADE.serve_with(Arc::clone(&state), Arc::new(SendsyncDeps { template, pace: site.pace.clone() })),
        NOTES.serve_with(state, Arc::new(Author("Ana"))),
    ];
    let hosts = [("notes.example.com".to_owned(), "notes".to_owned())];
    site.app = application(facades, &hosts).boxed();

    // By its base, by another base (the longest wins), and at the root of a host; parameters that it does not know are ignored.
    let host = ("host", "notes.example.com");
    for (path, headers) in [
        ("/notes/newest?sort=up&sort=down", vec![]),
        ("/notes/api/v1/newest", vec![]),
        ("/newest", vec![host]),
        ("/v1/newest", vec![host]),
    ] {
        let answer = site.call(Method::GET, path, &headers, ()).await;
        assert_eq!((answer.status.as_u16(), answer.body), (200, b"Ana, http://127.0.0.1:8080".to_vec()), "{path}");
    }
    // Its failures have its own form, the framework's too.
    let id = ("x-request-id", "r-1");
    for (path, status, body) in
        [("/notes/of/7", 404, "Note 7 not found (r-1)"), ("/notes/older", 404, "no operation has this path (r-1)")]
    {
        let answer = site.call(Method::GET, path, &[id], ()).await;
        assert_eq!((answer.status.as_u16(), String::from_utf8_lossy(&answer.body).as_ref()), (status, body), "{path}");
    }
    let wrong_method = site.call(Method::POST, "/notes/newest", &[], ()).await;
    assert_eq!((wrong_method.status.as_u16(), &wrong_method.headers["allow"]), (405, &"GET".parse().expect("a value")));
    // The documentation has it, with the file of its handlers.
    let index = site.call(Method::GET, "/docs", &[], ()).await;
    assert!(
        String::from_utf8_lossy(&index.body).contains("<a href=\"/docs/notes\">Notes</a> under <code>/notes</code>")
    );
    let document = site.call(Method::GET, "/docs/notes.json", &[], ()).await.expect(200);
    assert_eq!(document["paths"]["/of/{id}"]["get"]["operationId"], "get_note");
    let table = NOTES.table();
    assert!(
        table.contains(
            "| `newest_note` | GET | `/newest` | none | `engine/facades/sendsync/src/tests/another_facade.rs` |"
        ),
        "{table}"
    );
    // The others are where they were.
    assert_eq!(site.get("/connectors").await.status, 200);
}
