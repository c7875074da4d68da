//! The demo's mailbox over real sockets: a mail goes in by SMTP and is read on the page.

use std::sync::Arc;

use poem::Endpoint;
use poem::Request;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::mailbox::Mailbox;
use super::{page, smtp};
use crate::adapters::clock::SystemClock;

const MAIL: &str = "From: Loja <loja@example.com>\r\nTo: cliente@exemplo.com\r\nSubject: =?utf-8?q?Ol=C3=A1_=3Cb=3E?=\r\n\
    Message-ID: <1@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n\
    --c\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nOl=C3=A1 <script>x</script>\r\n..dot\r\n\
    --c\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Oi</p><script>alert(1)</script>\r\n--c--\r\n\
    --b\r\nContent-Type: application/pdf; name=boleto.pdf\r\nContent-Disposition: attachment; filename=boleto.pdf\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQ=\r\n--b--\r\n";

/// Speaks SMTP line by line; the answers' first digits.
async fn send(address: std::net::SocketAddr, mail: &str) -> Vec<String> {
    let mut socket = BufReader::new(TcpStream::connect(address).await.expect("connected"));
    let mut answers = Vec::new();
    let commands = [
        "",
        "EHLO test\r\n",
        "MAIL FROM:<loja@example.com>\r\n",
        "RCPT TO:<cliente@exemplo.com>\r\n",
        "DATA\r\n",
        &format!("{mail}.\r\n"),
        "QUIT\r\n",
    ];
    for command in commands {
        socket.write_all(command.as_bytes()).await.expect("written");
        let mut line = String::new();
        // The last line of an answer has a space after its code.
        while line.as_bytes().get(3) != Some(&b' ') {
            line.clear();
            assert_ne!(socket.read_line(&mut line).await.expect("read"), 0, "closed");
        }
        answers.push(line[..3].to_owned());
    }
    answers
}

struct Fixture {
    folder: tempfile::TempDir,
    mailbox: Arc<Mailbox>,
    smtp: std::net::SocketAddr,
}

async fn start(max: usize) -> Fixture {
    let folder = tempfile::tempdir().expect("folder");
    let mailbox = Arc::new(Mailbox::open(folder.path().to_owned(), max).expect("opened"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let smtp = listener.local_addr().expect("bound");
    tokio::spawn(smtp::serve(listener, Arc::clone(&mailbox), Arc::new(SystemClock)));
    Fixture { folder, mailbox, smtp }
}

async fn get(mailbox: &Arc<Mailbox>, path: &str) -> (u16, http::HeaderMap, String) {
    let request = Request::builder().uri(path.parse().expect("a path")).finish();
    let response = page::endpoint(Arc::clone(mailbox)).get_response(request).await;
    let (parts, body) = response.into_parts();
    (parts.status.as_u16(), parts.headers, body.into_string().await.expect("text"))
}

#[tokio::test]
async fn a_mail_that_came_by_smtp_is_read_escaped_and_decoded() {
    let fixture = start(10).await;
    assert_eq!(send(fixture.smtp, MAIL).await, ["220", "250", "250", "250", "354", "250", "221"]);

    let (status, _, json) = get(&fixture.mailbox, "/api/mails").await;
    let list: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let mail = &list["mails"][0];
    assert_eq!((status, &list["total"], mail["subject"].as_str()), (200, &1.into(), Some("Olá <b>")));
    assert_eq!(mail["envelope"]["to"][0], "cliente@exemplo.com");
    assert_eq!(mail["messageId"], "1@example.com");
    assert!(mail["text"].as_str().is_some_and(|t| t.contains("Olá <script>") && t.contains("\n.dot")), "{json}");
    assert_eq!(mail["attachments"][0]["filename"], "boleto.pdf");

    let (_, headers, page) = get(&fixture.mailbox, "/mails/1").await;
    assert!(page.contains("Olá &lt;script&gt;") && page.contains("<iframe sandbox src=\"/mails/1/html\""), "{page}");
    assert!(!page.contains("<script"), "{page}");
    assert!(headers["content-security-policy"].to_str().expect("text").contains("default-src 'none'"));
    let (_, headers, html) = get(&fixture.mailbox, "/mails/1/html").await;
    assert!(html.contains("<p>Oi</p>"));
    assert!(headers["content-security-policy"].to_str().expect("text").starts_with("sandbox;"));
    let (_, headers, pdf) = get(&fixture.mailbox, "/mails/1/attachments/0").await;
    assert_eq!((headers["content-type"].to_str().expect("text"), pdf.as_str()), ("application/pdf", "%PDF-1.4"));
    let (_, _, list) = get(&fixture.mailbox, "/").await;
    assert!(list.contains("Olá &lt;b&gt;"), "{list}");
    for missing in ["/mails/2", "/mails/x", "/mails/1/attachments/7", "/elsewhere", "/mails/..%2f..%2fx"] {
        assert_eq!(get(&fixture.mailbox, missing).await.0, 404, "{missing}");
    }
}

#[tokio::test]
async fn the_newest_mails_are_kept_also_over_a_restart() {
    let fixture = start(2).await;
    for _ in 0..3 {
        send(fixture.smtp, MAIL).await;
    }
    let numbers = |mailbox: &Mailbox| mailbox.newest(10).iter().map(|m| m.number).collect::<Vec<_>>();
    assert_eq!(numbers(&fixture.mailbox), [3, 2]);
    let again = Mailbox::open(fixture.folder.path().to_owned(), 2).expect("opened");
    assert_eq!(numbers(&again), [3, 2]);
}
