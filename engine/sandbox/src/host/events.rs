//! `events`: what a connector tells of its session and its channel. Checked, bounded in rate, and given to the engine in the
//! order of the calls.

use pombo_domain::ports::{Account, ChannelEvent, IntakeError, KvWrite, SessionState};
use wasmtime::component::{Accessor, HasSelf};

use super::{granted, kv};
use crate::bindings::host::events::{self, Error, Event};
use crate::bindings::host::kv as kv_types;
use crate::grants::Capability;
use crate::limits::EVENTS_AT_ONCE;
use crate::state::{Context, HostState, Services};
use crate::worlds::event::{ACCOUNT, AccountDetails, Told, event, file, link_step, weight};

/// What a change of the session weighs.
const STATE_BYTES: usize = 1024;

/// Checks that the files that events point to are there: no event may name a file that cannot be fetched.
async fn check_files(context: &Context, services: &Services, events: &[ChannelEvent]) -> Result<(), Error> {
    for file in events.iter().filter_map(file) {
        let path = services.media.path(context.tenant, file.id);
        let size = tokio::fs::metadata(path).await.ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
        match size {
            Some(size) if size == file.size => {}
            Some(size) => return Err(Error::Invalid(format!("media.size: the file has {size} bytes"))),
            None => return Err(Error::Invalid("media.id: there is no such file; upload it first".to_owned())),
        }
    }
    Ok(())
}

async fn take(
    context: &Context,
    services: &Services,
    events: Vec<ChannelEvent>,
    writes: Vec<KvWrite>,
) -> Result<(), Error> {
    services.events.take(context.index, events, writes).await.map_err(|error| match error {
        IntakeError::Unavailable(why) => {
            tracing::warn!(connector = %context.id, reason = why, "a connector's event was not taken");
            Error::Unavailable("the engine does not take it now".to_owned())
        }
    })
}

async fn emit_state(context: &Context, state: SessionState, account: Option<Account>) {
    let _turn = context.session.slot.events_gate.enter(1, STATE_BYTES).await;
    context.session.set(state, account);
}

/// What a connector tells of its account belongs to the session. What is not of that form is passed over.
async fn emit_account(context: &Context, json: &str) {
    let _turn = context.session.slot.events_gate.enter(1, STATE_BYTES).await;
    match AccountDetails::read(json) {
        Some(details) => context.session.describe(details),
        None => tracing::debug!(connector = %context.id, "what a connector told of its account is not of its form"),
    }
}

async fn emit_event(context: &Context, services: &Services, event: ChannelEvent) -> Result<(), Error> {
    let events = vec![event];
    check_files(context, services, &events).await?;
    let _turn = context.session.slot.events_gate.enter(1, weight(&events[0])).await;
    let step = link_step(&events[0]);
    take(context, services, events, Vec::new()).await?;
    if let Some(step) = step {
        context.session.ask(step);
    }
    Ok(())
}

async fn commit(
    context: &Context,
    services: &Services,
    events: Vec<ChannelEvent>,
    changes: Vec<kv_types::Change>,
) -> Result<(), Error> {
    check_files(context, services, &events).await?;
    let bytes = events.iter().map(weight).sum();
    let _turn = context.session.slot.events_gate.enter(events.len(), bytes).await;
    let writes = kv::checked(context, services, changes).await.map_err(|error| match error {
        kv_types::Error::Refused(why) => Error::Refused(why),
        kv_types::Error::Quota(why) => Error::Quota(why),
        kv_types::Error::Unavailable(why) => Error::Unavailable(why),
        kv_types::Error::TimedOut => Error::TimedOut,
    })?;
    let step = events.iter().filter_map(link_step).next_back();
    take(context, services, events, writes).await?;
    if let Some(step) = step {
        context.session.ask(step);
    }
    Ok(())
}

impl events::Host for HostState {}

impl<T: Send + 'static> events::HostWithStore<T> for HasSelf<HostState> {
    async fn emit(accessor: &Accessor<T, Self>, said: Event) -> Result<(), Error> {
        let (context, services) = granted(accessor, Capability::Events).map_err(Error::Refused)?;
        let work = async {
            match event(said).map_err(Error::Invalid)? {
                Told::State(state, account) => {
                    emit_state(&context, state, account).await;
                    Ok(())
                }
                Told::Event(ChannelEvent::Other(kind, json)) if kind == ACCOUNT => {
                    emit_account(&context, &json).await;
                    Ok(())
                }
                Told::Event(event) => emit_event(&context, &services, event).await,
            }
        };
        tokio::time::timeout(services.limits.host_call, work).await.unwrap_or(Err(Error::TimedOut))
    }

    async fn commit(
        accessor: &Accessor<T, Self>,
        said: Vec<Event>,
        changes: Vec<kv_types::Change>,
    ) -> Result<(), Error> {
        let (context, services) = granted(accessor, Capability::Events).map_err(Error::Refused)?;
        if !changes.is_empty() {
            granted(accessor, Capability::Kv).map_err(Error::Refused)?;
        }
        if said.len() > EVENTS_AT_ONCE {
            return Err(Error::Invalid(format!("events: must be at most {EVENTS_AT_ONCE}")));
        }
        let mut events = Vec::with_capacity(said.len());
        for (place, said) in said.into_iter().enumerate() {
            match event(said).map_err(|why| Error::Invalid(format!("events[{place}]: {why}")))? {
                Told::Event(ChannelEvent::Presence { .. }) | Told::State(..) => {
                    return Err(Error::Invalid(format!("events[{place}]: states and presences are emitted")));
                }
                Told::Event(ChannelEvent::Other(kind, _)) if kind == ACCOUNT => {
                    return Err(Error::Invalid(format!("events[{place}]: what is told of the account is emitted")));
                }
                Told::Event(event) => events.push(event),
            }
        }
        if events.is_empty() && changes.is_empty() {
            return Ok(());
        }
        let work = commit(&context, &services, events, changes);
        tokio::time::timeout(services.limits.host_call, work).await.unwrap_or(Err(Error::TimedOut))
    }
}
