//! A component of the connector world 0.1.0: what it can do goes on, and what came later is not supported.

use pombo_domain::ConnectorIndex;
use pombo_domain::ports::*;
use serde_json::json;

use crate::support::{Wish, World, built, message, spec, world};

const ONE: ConnectorIndex = ConnectorIndex(1);
const NAME: &str = "hostile-connector-0-1";

async fn with_old() -> World {
    world(Wish { plugins: vec![("old.wasm", built("hostile/connector-0-1.wasm"))], ..Wish::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_0_1_describes_itself_by_the_names_of_today() {
    let world = with_old().await;
    assert!(world.sandbox.refused().is_empty(), "{:?}", world.sandbox.refused());
    let described = world.sandbox.plugin(NAME).expect("is loaded");
    assert_eq!((described.version.as_str(), described.channel.as_str(), described.max_in_flight), ("1.0.0", "test", 8));
    assert_eq!(described.capabilities, ["kv"]);
    assert_eq!(described.features, ["attachments", "lookup"]);
    assert!(described.contents.is_empty() && described.operations.is_empty());
    assert!(described.proofs.is_empty() && described.shared_address.is_none() && described.rules.is_none());
    let given = ["ANA", " "].map(str::to_owned).to_vec();
    let checked = world.sandbox.check_recipients(NAME, given).await.expect("answers");
    assert_eq!(checked[0].as_deref(), Ok("ana"));
    assert!(checked[1].is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_0_1_sends_and_operates_and_stops() {
    let world = with_old().await;
    world.start(1, NAME, json!({})).await;
    // It has no field for the link that the engine would make for its file.
    let outgoing = Outgoing { attachments: vec![world.file(10)], ..message("ana", "Oi") };
    let id = outgoing.client_id;
    let sent = world.sandbox.send(ONE, outgoing).await;
    assert_eq!(sent, SendOutcome::accepted(Some(format!("{id} Oi 1"))));
    let operate = async |operation| world.sandbox.operate(ONE, operation).await;
    let asked = vec!["55".to_owned(), "ana".to_owned()];
    let Ok(Answer::Lookup(found)) = operate(Operation::Lookup(asked)).await else { panic!("answers") };
    assert_eq!(found.iter().map(|f| f.address.as_deref()).collect::<Vec<_>>(), [Some("+55"), None]);
    assert_eq!(operate(Operation::Group("g".into())).await, Err(OperationError::NotFound("g".into())));
    for newer in [
        Operation::Check,
        Operation::ProfilePicture("ana".into()),
        Operation::Other("poll".into(), "{}".into()),
        Operation::Groups,
    ] {
        let answer = operate(newer.clone()).await;
        assert!(matches!(answer, Err(OperationError::Unsupported(_))), "{newer:?}: {answer:?}");
    }
    world.sandbox.stop(ONE).await;
    assert_eq!(world.told.of(1).last(), Some(&SessionState::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_0_1_takes_no_requests_and_says_what_is_wrong_with_its_configuration() {
    let world = with_old().await;
    world.start(1, NAME, json!({})).await;
    let request = ReceivedRequest {
        method: "POST".to_owned(),
        path: "incoming".to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        body: b"{}".to_vec(),
        proven: false,
    };
    let answer = world.sandbox.receive(ONE, request).await;
    assert_eq!(answer, Err(ReceiveError::Unsupported));
    world.sandbox.start(spec(1, NAME, json!({"impossible": true}))).await.expect("starts");
    let problem = SessionState::Failing("configuration: must be possible".into());
    world.told.until(1, |states| states.last() == Some(&problem)).await;
}
