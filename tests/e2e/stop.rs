//! SIGTERM drains: accepted messages are sent or kept, sends in progress end, and the exit status is 0.

use std::time::Duration;

use anyhow::Result;
use pombo_tests::http::Client;
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::{Tenant, text_of, unique};
use pombo_tests::wait::{PATIENCE, until};
use serde_json::json;

use crate::shared::smtp;

#[test]
fn sends_in_flight_end_and_the_rest_stays_in_the_queue() -> Result<()> {
    let mut server = Server::start(Options::default())?;
    let tenant = Tenant::create(&server)?;
    let connector = tenant.email(smtp()?, "plain", &json!({"maxInFlight": 5, "timeoutSeconds": 20}))?;
    let mark = unique();
    let slow: Vec<String> = (0..5).map(|n| format!("fault.slow-2000.0.stop{mark}-{n}@customers.test")).collect();
    for to in &slow {
        tenant.send_text(&connector, to, "slow")?;
    }
    let rest: Vec<String> = (0..50).map(|n| format!("fault.slow-2000.0.rest{mark}-{n}@customers.test")).collect();
    let rows: Vec<_> = rest.iter().map(|to| json!({"connectorId": connector, "to": to, "message": "rest"})).collect();
    tenant.try_bulk(&rows)?.expect(201)?;
    until("the slow ones to be on their way", PATIENCE, || {
        let all = slow.iter().map(|to| smtp()?.attempts(to)).collect::<Result<Vec<_>>>()?;
        Ok(all.iter().all(|tried| !tried.is_empty()).then_some(()))
    })?;
    let status = server.terminate(Duration::from_secs(60))?;
    assert!(status.success(), "{status}: {}", server.log_end());
    server.inspect()?;
    for to in &slow {
        assert_eq!(smtp()?.mails_to(to)?.len(), 1, "{to}");
    }
    server.launch()?;
    tenant.wait_total(&[("status", "SENT")], 55, Duration::from_secs(120))?;
    for to in slow.iter().chain(&rest) {
        let mails = smtp()?.mails_to(to)?;
        let seen: Vec<_> = mails.iter().map(|mail| (mail.message_id().to_owned(), mail.0["time"].clone())).collect();
        assert_eq!(mails.len(), 1, "{to} was sent twice or lost: {seen:?}\n{}", server.log()?);
    }
    Ok(())
}

#[test]
fn a_request_in_progress_is_answered_and_a_new_one_is_not_taken() -> Result<()> {
    let mut server = Server::start(Options::default())?;
    let tenant = Tenant::create(&server)?;
    let connector = tenant.email(smtp()?, "plain", &json!({}))?;
    tenant.set_paused(&connector, true)?;
    // A request whose body comes slowly, begun before the signal.
    let body = json!({"connectorId": connector, "to": "a@customers.test", "message": "in time"}).to_string();
    let (first, second) = body.as_bytes().split_at(20);
    let mut stream = std::net::TcpStream::connect(server.address())?;
    use std::io::{Read, Write};
    let head = format!(
        "POST /sendsync/api/queue/send HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        tenant.key,
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(first)?;
    stream.flush()?;
    // The head must have been read before the signal: another request over another connection has passed it by then.
    tenant.client.get("/health")?.expect(200)?;
    server.ask_to_end()?;
    let address = server.address();
    until("new requests to be refused", PATIENCE, || match Client::new(address).get("/ready") {
        Ok(reply) if reply.status == 200 => Ok(None),
        _ => Ok(Some(())),
    })?;
    stream.write_all(second)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let status = server.wait_end(Duration::from_secs(60))?;
    assert!(status.success(), "{status}");
    server.launch()?;
    let list = tenant.list(&[])?;
    assert_eq!(list["meta"]["total"], 1);
    assert_eq!(text_of(&list["data"][0], "message")?, "in time");
    Ok(())
}

#[test]
fn a_send_that_hangs_does_not_hold_up_the_end_for_ever() -> Result<()> {
    let mut server = Server::start(Options::with("[runtime]\ndrain_seconds = 3"))?;
    let tenant = Tenant::create(&server)?;
    let connector = tenant.email(smtp()?, "plain", &json!({"timeoutSeconds": 120}))?;
    let to = format!("fault.hang-data.1.end{}@customers.test", unique());
    let id = tenant.send_text(&connector, &to, "hangs")?;
    until("it to hang", PATIENCE, || {
        Ok(smtp()?.attempts(&to)?.iter().any(|(_, answer)| answer == "hang").then_some(()))
    })?;
    let status = server.terminate(Duration::from_secs(20))?;
    assert!(status.success(), "{status}");
    server.inspect()?;
    server.launch()?;
    tenant.wait_status(&id, &["SENT"])?;
    assert_eq!(smtp()?.mails_to(&to)?.len(), 1);
    Ok(())
}
