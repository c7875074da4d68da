//! What is posted of an event to its connector's webhook: URL, secret and body as they are at this attempt.

use std::sync::Arc;

use pombo_domain::ids::{message_id, render_seed};
use pombo_domain::model::event::SessionChange;
use pombo_domain::model::variables::unescaped;
use pombo_domain::model::{
    ConnectorWebhook, EntryContent, Event, EventBody, EventDelivery, EventKey, HookKind, MessageAction, NewEvent,
    StoredMessage, TimelineItem,
};
use pombo_domain::ports::{
    EventFilter, OutboundError, RenderError, RenderJob, SessionState, Store, StoreError, StoreResult, ToldEvent,
};
use pombo_domain::{ConnectorIndex, Timestamp};

use super::sign;
use crate::context::Context;

/// A post that is ready.
pub(super) struct Prepared {
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    /// When the webhook that it goes to was set.
    pub(super) updated_at: Timestamp,
}

/// Why nothing can be posted.
pub(super) enum Unready {
    /// It never can: the delivery is given up.
    Never(&'static str),
    /// It may work at the next attempt.
    Now(String),
}

impl From<StoreError> for Unready {
    fn from(error: StoreError) -> Self {
        Self::Now(error.to_string())
    }
}

impl From<Unready> for OutboundError {
    /// As what it does to the delivery.
    fn from(unready: Unready) -> Self {
        match unready {
            Unready::Never(why) => Self::BadUrl(why.to_owned()),
            Unready::Now(why) => Self::Unreachable(why),
        }
    }
}

/// The webhook that a delivery goes to now, or why it is to be given up. One that somebody replays goes to a webhook that is switched
/// off, too.
pub(super) fn webhook_of(store: &dyn Store, delivery: &EventDelivery) -> Result<Arc<ConnectorWebhook>, Unready> {
    let found = store.connector_webhook(delivery.connector)?;
    let webhook = found.ok_or(Unready::Never("the connector has no webhook now"))?;
    // The tries of one that was replayed count from zero, and its first ones stay on record.
    let is_asked_for = usize::from(delivery.state.tries) < delivery.state.attempts.len();
    if webhook.active || is_asked_for {
        return Ok(webhook);
    }
    Err(Unready::Never(match webhook.gone_at {
        Some(_) => "the receiver answered 410 to an earlier delivery, which switched the webhook off",
        None => "the webhook is switched off",
    }))
}

/// Looks up what a delivery says, and signs it.
pub(super) async fn prepare(context: &Context, delivery: &EventDelivery, now: Timestamp) -> Result<Prepared, Unready> {
    let store = &*context.ports.store;
    let webhook = webhook_of(store, delivery)?;
    let connector = store.connector(delivery.connector)?.ok_or(Unready::Never("its connector is gone"))?;
    let event = event_of(store, delivery.key.event)?.ok_or(Unready::Never("its event is no longer in the log"))?;
    let tenant = event.key.tenant;
    let conversation = match delivery.conversation {
        0 => None,
        number => store.conversation_by_number(tenant, number)?,
    };
    let (mut item, message) = about(store, delivery, &event)?;
    if let (HookKind::Sent, Some(item), Some(message)) = (delivery.key.kind, &mut item, &message) {
        as_sent(context, item, message).await?;
    }
    let before = match delivery.key.kind {
        HookKind::Connected | HookKind::Disconnected | HookKind::Code => {
            let kinds = ["session.changed", "session.code"].map(str::to_owned).to_vec();
            store.event_before(event.key, &EventFilter { connector: Some(delivery.connector), kinds })?
        }
        HookKind::Received | HookKind::Sent | HookKind::Status => None,
    };
    let told = ToldEvent {
        kind: delivery.key.kind,
        connector: &connector,
        event: &event,
        conversation: conversation.as_ref(),
        item: item.as_ref(),
        message: message.as_ref(),
        before: before.as_ref(),
        now,
    };
    written(context, &webhook, &told)
}

/// What a webhook is told of an event, signed.
fn written(context: &Context, webhook: &ConnectorWebhook, told: &ToldEvent<'_>) -> Result<Prepared, Unready> {
    let form = &context.ports.hook_form;
    let body = form.body(told).ok_or(Unready::Never("the event cannot be told"))?;
    let secret = context.ports.seals.open(&ConnectorWebhook::secret_context(told.connector.id), &webhook.secret);
    let secret = secret.map_err(|error| Unready::Now(format!("the webhook's secret: {error}")))?;
    let headers = form.headers(told, &sign::of_body(&secret, body.as_bytes()));
    Ok(Prepared { url: webhook.url.clone(), headers, body, updated_at: webhook.updated_at })
}

/// Tells a receiver that a post is a test.
const TEST_HEADER: (&str, &str) = ("x-pombo-test", "true");

/// What a test posts: how the connector's session stands, as an event that is in no log. `None` if the connector has no webhook.
pub(super) fn prepare_test(
    context: &Context,
    index: ConnectorIndex,
    now: Timestamp,
) -> StoreResult<Option<Result<Prepared, Unready>>> {
    let ports = &context.ports;
    let (Some(webhook), Some(connector)) = (ports.store.connector_webhook(index)?, ports.store.connector(index)?)
    else {
        return Ok(None);
    };
    let (kind, state) = match ports.connectors.session(index) {
        SessionState::Connected => (HookKind::Connected, SessionChange::Connected),
        _ => (HookKind::Disconnected, SessionChange::Disconnected),
    };
    let account = ports.connectors.account(index).map(|account| account.address);
    let mut entropy = [0; 8];
    ports.entropy.fill(&mut entropy);
    let id = message_id(now, 0, u64::from_le_bytes(entropy));
    let body = EventBody::Session { state: state.into(), account, reason: Some("a test".to_owned()) };
    let event = Event {
        key: EventKey { tenant: webhook.tenant, serial: 0 },
        event: NewEvent { id, connector: index, at: now, body },
    };
    let told = ToldEvent {
        kind,
        connector: &connector,
        event: &event,
        conversation: None,
        item: None,
        message: None,
        before: None,
        now,
    };
    Ok(Some(written(context, &webhook, &told).map(|mut prepared| {
        let (name, value) = TEST_HEADER;
        prepared.headers.push((name, value.to_owned()));
        prepared
    })))
}

fn event_of(store: &dyn Store, key: EventKey) -> StoreResult<Option<Event>> {
    let (found, _) = store.events(key.tenant, &EventFilter::default(), key.serial.saturating_sub(1), 1)?;
    Ok(found.into_iter().next().filter(|event| event.key == key))
}

/// Gives the entry of an own message what was said when it was sent, if it was edited or deleted since. The entry has only the present
/// text, but the message keeps what its text is rendered from, with the same result each time.
async fn as_sent(context: &Context, item: &mut TimelineItem, stored: &StoredMessage) -> Result<(), Unready> {
    if item.entry.edited_at.is_none() && item.entry.revoked_at.is_none() {
        return Ok(());
    }
    let StoredMessage { message, state } = stored;
    let content = &message.content;
    let text = if let MessageAction::Other(_) = content.options.action {
        unescaped(&content.text)
    } else {
        let job = RenderJob {
            template: content.text.as_str().into(),
            seed: render_seed(message.id),
            variables: content.template_variables().into(),
        };
        match context.ports.renderer.render(vec![job]).await.pop() {
            Some(Ok(text)) => text,
            Some(Err(RenderError::Unavailable(why))) => return Err(Unready::Now(why)),
            // It was rendered once: this cannot be, and what the entry says now is better than nothing.
            Some(Err(RenderError::Template(_))) | None => return Ok(()),
        }
    };
    item.entry.content = EntryContent::sent(content, state.fetched.as_ref(), text, None);
    (item.entry.edited_at, item.entry.revoked_at) = (None, None);
    Ok(())
}

/// The entry and the message that an event is about.
fn about(
    store: &dyn Store,
    delivery: &EventDelivery,
    event: &Event,
) -> StoreResult<(Option<TimelineItem>, Option<StoredMessage>)> {
    let tenant = event.key.tenant;
    Ok(match &event.event.body {
        EventBody::Message(inbound) => {
            (store.timeline_item_of(tenant, delivery.conversation, &inbound.provider_id)?, None)
        }
        EventBody::Sent { message, .. } | EventBody::Status { message, .. } => {
            (store.timeline_item_by_id(tenant, *message)?, store.message_by_id(tenant, *message)?)
        }
        _ => (None, None),
    })
}
