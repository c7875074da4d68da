//! `smtp`: submits a message for a connector. `pool` keeps its connections, `dialogue` speaks with the server and knows how far
//! it got, `body` streams the content.
//!
//! lettre's connection is driven command by command rather than through its transport: only so is it known whether the end of
//! the content was sent, on which it hangs whether a retry is safe.

mod body;
mod dialogue;
pub(crate) mod pool;
mod progress;
mod target;

use std::sync::Arc;
use std::time::Duration;

use lettre::Address;
use wasmtime::component::{Accessor, HasSelf};

use self::body::Part;
use self::dialogue::{Failed, Submission};
use self::progress::Progress;
use self::target::{Login, Target};
use super::network;
use super::route::Route;
use super::tcp::Unreachable;
use super::{granted, media};
use crate::bindings::host::smtp::{self, Envelope, Error, Failure, Security, Segment, Server, Stage};
use crate::grants::Capability;
use crate::limits::{REASON_BYTES, SMTP_SMALL_BYTES, cut};
use crate::state::{Context, HostState, Services};

fn not_sent(stage: Stage, reason: impl Into<String>) -> Error {
    Error::NotSent(Failure { stage, reason: reason.into() })
}

/// Whether the operator allows this server, other than loopback, without TLS.
fn plain_allowed(services: &Services, host: &str, port: u16) -> bool {
    let with_port = format!("{host}:{port}");
    services
        .smtp_plain_hosts
        .iter()
        .any(|allowed| allowed.eq_ignore_ascii_case(host) || allowed.eq_ignore_ascii_case(&with_port))
}

async fn target(context: &Context, services: &Services, server: Server) -> Result<Target, Error> {
    let host = server.host.trim().trim_end_matches('.').to_ascii_lowercase();
    context.hosts.check(&host, server.port).map_err(Error::Refused)?;
    let login = match server.login {
        None => None,
        Some(login) => Some(Login {
            password: context.secret(&login.password_secret).map_err(Error::Refused)?.to_owned(),
            username: login.username,
        }),
    };
    let route = network::route(context, services, &host, server.port).await.map_err(|e| match e {
        Unreachable::Forbidden => Error::Refused("the server's address is not allowed by the operator".to_owned()),
        Unreachable::Failed(why) => not_sent(Stage::Connect, why),
    })?;
    // What goes to a proxy leaves this machine.
    let stays_here = matches!(&route, Route::Direct(addresses) if addresses.iter().all(|a| a.ip().is_loopback()));
    if server.security == Security::None && !stays_here && !plain_allowed(services, &host, server.port) {
        return Err(Error::Refused(
            "a server on another machine must be used with starttls or tls, unless the operator allows it".to_owned(),
        ));
    }
    let limit = services.limits.host_call;
    let own = server.timeout_millis.map(|ms| Duration::from_millis(u64::from(ms)));
    Ok(Target {
        host,
        port: server.port,
        route,
        security: server.security,
        login,
        extra_ca: server.extra_ca,
        step: own.unwrap_or(limit).min(limit),
    })
}

fn addresses(envelope: &Envelope) -> Result<(Option<Address>, Vec<Address>), Error> {
    let parse = |text: &String| {
        text.parse::<Address>()
            .map_err(|_| Error::Invalid("the envelope holds something that is not an address".to_owned()))
    };
    let recipients = envelope.recipients.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    if recipients.is_empty() {
        return Err(Error::Invalid("the envelope has no recipient".to_owned()));
    }
    Ok((envelope.sender.as_ref().map(parse).transpose()?, recipients))
}

/// The message's parts, and the bytes of its files.
fn parts(context: &Context, services: &Services, message: Vec<Segment>) -> Result<(Vec<Part>, u64), Error> {
    let mut files = 0;
    let parts = message
        .into_iter()
        .map(|segment| match segment {
            Segment::Bytes(bytes) => Ok(Part::Bytes(bytes)),
            Segment::Media(id) => {
                let (path, file) = media::path_of(context, services, &id)
                    .ok_or_else(|| Error::Invalid("a file of the message is not one of its attachments".to_owned()))?;
                files += file.size;
                Ok(Part::File(path))
            }
        })
        .collect::<Result<_, _>>()?;
    Ok((parts, files))
}

async fn submit(
    context: &Arc<Context>,
    services: &Arc<Services>,
    server: Server,
    envelope: Envelope,
    message: Vec<Segment>,
) -> Result<smtp::Reply, Error> {
    let (sender, recipients) = addresses(&envelope)?;
    let (parts, files) = parts(context, services, message)?;
    let target = target(context, services, server).await?;
    // The send's own deadline comes after this one, so that the plugin can say what the result means.
    let total = services.limits.send.saturating_sub(Duration::from_secs(2)).max(services.limits.send / 2);
    let progress = Arc::new(Progress::default());
    let pool = context.smtp.clone();
    let result = if files <= SMTP_SMALL_BYTES {
        let parts = body::read_small(parts).await.map_err(|e| {
            tracing::warn!(error = %e, connector = %context.id, "an attachment cannot be read");
            not_sent(Stage::Content, "an attachment cannot be read")
        })?;
        Submission { target, sender, recipients, parts, progress: progress.clone() }.run(&pool, total).await
    } else {
        // Files are read by the thread that writes the message: a bounded piece at a time, few such threads at once.
        let waiting = services.large_sends.clone().acquire_owned();
        let permit = match tokio::time::timeout(total, waiting).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) | Err(_) => return Err(not_sent(Stage::Connect, "too many large messages wait to be sent")),
        };
        let submission = Submission { target, sender, recipients, parts, progress: progress.clone() };
        let runtime = tokio::runtime::Handle::current();
        let thread = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            runtime.block_on(submission.run(&pool, total))
        });
        thread.await.unwrap_or_else(|_| Err(Failed::Broke("the sending thread failed".to_owned())))
    };
    result.map_err(|failed| match failed {
        Failed::Rejected(reply) => Error::Rejected(reply),
        Failed::Invalid(why) => Error::Invalid(why),
        Failed::Broke(why) => {
            let failure = Failure { stage: progress.stage(), reason: cut(&why, REASON_BYTES) };
            if progress.may_be_accepted() { Error::Unknown(failure) } else { Error::NotSent(failure) }
        }
    })
}

impl smtp::Host for HostState {}

impl<T: Send + 'static> smtp::HostWithStore<T> for HasSelf<HostState> {
    async fn submit(
        accessor: &Accessor<T, Self>,
        server: Server,
        envelope: Envelope,
        message: Vec<Segment>,
    ) -> Result<smtp::Reply, Error> {
        let (context, services) = granted(accessor, Capability::Smtp).map_err(Error::Refused)?;
        submit(&context, &services, server, envelope, message).await
    }
}
