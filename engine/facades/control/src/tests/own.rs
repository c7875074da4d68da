//! Operations that only a connector's plugin knows.

use pombo_domain::ports::{Answer, Operation, OperationError, OwnKind};
use serde_json::{Value, json};

use super::support::{Engine, Refused};

#[tokio::test]
async fn an_operation_of_the_plugins_own_is_carried_out_at_once_and_answered() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let connectors = &engine.world.connectors;
    connectors.describe_plugin("connector-chat", |plugin| {
        let kind = |name: &str| OwnKind { name: name.to_owned(), schema: None };
        plugin.operations = vec![kind("link-step"), kind("list-templates")];
    });
    let path = format!("/v1/connectors/{id}/operations");
    let step = json!({"id": "s1", "answer": "123456"});
    let body = json!({"kind": "link-step", "value": step});
    for (answer, shown) in
        [(Answer::Other(r#"{"done":true}"#.to_owned()), json!({"done": true})), (Answer::Done, Value::Null)]
    {
        connectors.answer(Ok(answer));
        let answered = engine.post(&engine.a, &path, body.clone()).await.expect(200);
        assert_eq!(answered, json!({"value": shown}));
        let asked = connectors.asked();
        let [Operation::Other(kind, value)] = asked.as_slice() else { panic!("{asked:?}") };
        assert_eq!((kind.as_str(), serde_json::from_str::<Value>(value).expect("JSON")), ("link-step", step.clone()));
    }
    connectors.answer(Ok(Answer::Other("no JSON".to_owned())));
    assert_eq!(engine.post(&engine.a, &path, body.clone()).await.error(502).0, "channel_failed");
    connectors.answer(Err(OperationError::Invalid("the code is wrong".to_owned())));
    assert_eq!(engine.post(&engine.a, &path, body.clone()).await.error(400).0, "invalid");
    connectors.asked();

    // What the plugin does not know, and what has operations of its own here.
    for kind in ["call", "list-templates", ""] {
        let refused = engine.post(&engine.a, &path, json!({"kind": kind, "value": {}})).await;
        assert_eq!(refused.error(400).0, "unsupported", "{kind}");
    }
    let large = json!({"kind": "link-step", "value": "x".repeat(64 << 10)});
    assert_eq!(engine.post(&engine.a, &path, large).await.error(400).1, ["value"]);
    engine.post(&engine.b, &path, body).await.error(404);
    assert!(connectors.asked().is_empty(), "nothing of it reached the plugin");
}
