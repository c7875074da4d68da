//! Attachments: several, large, received byte for byte; too large refused; the engine's memory stays bounded.

use anyhow::{Context, Result};
use pombo_tests::files::{noise, sha256};
use pombo_tests::http::Form;
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::{SENDSYNC, Tenant, text_of, unique};
use pombo_tests::webhook::{Receiver, pdf};
use serde_json::json;

use crate::shared::{mailing_tenant, queueing_tenant, smtp};

const MB: usize = 1 << 20;

fn form(connector: &str, to: &str) -> Form {
    Form::new().field("connectorId", connector).field("to", to).field("message", "Segue o comprovante")
}

#[test]
fn several_files_arrive_byte_for_byte() -> Result<()> {
    let (tenant, connector) = mailing_tenant()?;
    let to = format!("files{}@customers.test", unique());
    let files = [
        ("boleto.pdf", "application/pdf", pdf(300_000)),
        ("foto ção.png", "image/png", noise(1_000_001, 7)),
        ("empty.txt", "text/plain", Vec::new()),
        ("dots.txt", "text/plain", b".\r\n..\r\n.leading\n\r\rlines\n".to_vec()),
    ];
    let mut body = form(&connector, &to);
    for (name, content_type, content) in &files {
        body = body.file("attachments", name, content_type, content);
    }
    let sent =
        body.into_request(tenant.client.request("POST", &format!("{SENDSYNC}/queue/send"))).send()?.expect_json(201)?;
    let id = text_of(&sent, "id")?;
    tenant.wait_status(&id, &["SENT"])?;
    let mail = smtp()?.wait_for(&to)?;
    let wanted: Vec<(String, String, String, u64)> = files
        .iter()
        .map(|(name, content_type, content)| {
            ((*name).to_owned(), (*content_type).to_owned(), sha256(content), content.len() as u64)
        })
        .collect();
    assert_eq!(mail.attachments(), wanted);
    // The list shows them, and their links work without further credentials and give the same bytes.
    let list = tenant.list(&[])?;
    let shown = list["data"][0]["attachments"].as_array().context("no attachments")?;
    assert_eq!(shown.len(), 4, "{list}");
    for (row, (name, _, content)) in shown.iter().zip(&files) {
        assert_eq!(row["originalFileName"], *name, "{row}");
        let url = text_of(row, "url")?;
        let path = url.find("/v1/").map_or(url.as_str(), |at| &url[at..]);
        let file = crate::shared::server()?.client().get(path)?.expect(200)?;
        assert_eq!(sha256(&file.body), sha256(content), "{name}");
    }
    Ok(())
}

#[test]
fn fifty_megabytes_pass_and_one_byte_more_does_not() -> Result<()> {
    let server = Server::start(Options::default())?;
    let tenant = Tenant::create(&server)?;
    let connector = tenant.email(smtp()?, "plain", &json!({"timeoutSeconds": 60}))?;
    let path = format!("{SENDSYNC}/queue/send");
    let before = server.memory("VmHWM")?;
    let content = noise(50 * MB, 3);
    let digest = sha256(&content);
    let to = format!("large{}@customers.test", unique());
    let sent = form(&connector, &to)
        .file("attachments", "a.bin", "application/octet-stream", &content)
        .file("attachments", "b.bin", "application/octet-stream", &content)
        .into_request(tenant.client.request("POST", &path))
        .send()?
        .expect_json(201)?;
    tenant.wait_status(&text_of(&sent, "id")?, &["SENT"])?;
    let mail = smtp()?.wait_for(&to)?;
    let received: Vec<(String, u64)> = mail.attachments().into_iter().map(|(_, _, sha, size)| (sha, size)).collect();
    assert_eq!(received, [(digest.clone(), 50 * MB as u64), (digest, 50 * MB as u64)]);
    let grown = server.memory("VmHWM")?.saturating_sub(before);
    assert!(grown < 80 * MB as u64, "its memory grew by {} MB for files of 100 MB", grown / MB as u64);

    let mut larger = content;
    larger.push(0);
    let refused = form(&connector, "b@customers.test")
        .file("attachments", "c.bin", "application/octet-stream", &larger)
        .into_request(tenant.client.request("POST", &path))
        .send()?;
    assert!(refused.status == 413 || refused.status == 400, "{refused:?}");
    assert_eq!(refused.json()?["statusCode"], refused.status);
    assert!(refused.text().contains("50"), "the limit is not named: {refused:?}");
    assert_eq!(tenant.total(&[])?, 1);
    Ok(())
}

#[test]
fn a_file_is_fetched_once_from_its_url_and_attached() -> Result<()> {
    let receiver = Receiver::start()?;
    let (tenant, connector) = mailing_tenant()?;
    let to = format!("fault.451.1.url{}@customers.test", unique());
    let path = "/file/200000/boleto.pdf";
    let body =
        json!({"connectorId": connector, "to": to, "message": "Segue o boleto", "attachmentUrl": receiver.url(path)});
    let id = text_of(&tenant.send(&body)?, "id")?;
    tenant.wait_status(&id, &["SENT"])?;
    let mail = smtp()?.wait_for(&to)?;
    let attachments = mail.attachments();
    assert_eq!(attachments.len(), 1, "{mail:?}");
    assert_eq!(
        (attachments[0].2.as_str(), attachments[0].1.as_str()),
        (sha256(&pdf(200_000)).as_str(), "application/pdf")
    );
    assert!(attachments[0].0.ends_with("boleto.pdf"), "{attachments:?}");
    assert_eq!(receiver.received(path).len(), 1, "the retry fetched it again");
    // A file that never ends, and one that is too large, fail for good instead of filling the disk.
    for path in ["/endless/x.pdf".to_owned(), format!("/file/{}/big.pdf", 51 * MB)] {
        let to = format!("n{}@customers.test", unique());
        let body = json!({"connectorId": connector, "to": to, "message": "x", "attachmentUrl": receiver.url(&path)});
        let id = text_of(&tenant.send(&body)?, "id")?;
        let failed = tenant.wait_status(&id, &["FAILED"])?;
        assert_eq!(failed["reason"]["code"], "attachment", "{path}: {failed}");
        assert!(smtp()?.mails_to(&to)?.is_empty());
    }
    Ok(())
}

#[test]
fn a_file_that_was_refused_leaves_nothing_behind() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let path = format!("{SENDSYNC}/queue/send");
    let mut body = form(&connector, "a@customers.test");
    for n in 0..11 {
        body = body.file("attachments", &format!("{n}.txt"), "text/plain", b"x");
    }
    let reply = body.into_request(tenant.client.request("POST", &path)).send()?.expect(400)?;
    assert!(reply.text().contains("attachments"), "{reply:?}");
    let bad = form(&connector, "nobody").file("attachments", "a.txt", "text/plain", b"unwanted");
    bad.into_request(tenant.client.request("POST", &path)).send()?.expect(400)?;
    let hostile = form(&connector, "a@customers.test").file("attachments", "../../etc/passwd", "text/plain", b"x");
    let sent = hostile.into_request(tenant.client.request("POST", &path)).send()?.expect_json(201)?;
    let message = tenant.message(&text_of(&sent, "id")?)?;
    let name = text_of(&message["attachments"][0], "fileName")?;
    assert!(!name.contains('/') && !name.contains(".."), "{name}");
    assert_eq!(tenant.total(&[])?, 1);
    Ok(())
}
