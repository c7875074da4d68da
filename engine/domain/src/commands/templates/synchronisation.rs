//! The synchronisation of the templates that the channel of a connector keeps: a person asks for it, and the scheduler does where the
//! channel told that one has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::exchanges::{other, own};
use crate::model::template::{MAX_TEMPLATES_OF_TENANT, RemoteTemplate, read_page};
use crate::model::{Connector, Template, TemplateStatus};
use crate::ports::{Batch, Change, Clock, Connectors, Entropy, Store, TemplateChange, TemplateFilter, TemplateListed};
use crate::{Error, ErrorCode, Result, Timestamp};

/// Maximum number of pages of a channel's list.
const MAX_PAGES: usize = 2_000;

/// Number of templates in one batch.
const BATCH: usize = 100;

/// What a synchronisation found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Synced {
    /// Number of templates that the channel has.
    pub total: u64,
    /// Number of those that were not known.
    pub added: u64,
    /// Number of those that were known otherwise.
    pub changed: u64,
    /// Number of known ones that the channel does not have any more.
    pub removed: u64,
}

/// The ports that a synchronisation needs.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// Where the templates are stored.
    pub store: &'a dyn Store,
    /// Asks the channel.
    pub connectors: &'a dyn Connectors,
    /// Ids of new templates.
    pub entropy: &'a dyn Entropy,
    /// The clock.
    pub clock: &'a dyn Clock,
}

/// Asks the channel of a connector for all its templates. Those that it does not have any more get the status
/// [`TemplateStatus::Deleted`]; every template keeps its number. The plugin must have the feature
/// [`FEATURE`](crate::model::template::FEATURE). What is told or changed while the list is read is newer than the list and stays. An error of the channel's list leaves everything as it was; what could not be stored, the
/// next synchronisation finds again.
pub async fn synchronise(asking: Asking<'_>, connector: &Connector) -> Result<Synced> {
    let (tenant, index) = (connector.tenant, connector.index);
    // They are read before the channel is asked: so the store sees what is told or changed while the list is read.
    let filter = TemplateFilter { connector: Some(index), ..TemplateFilter::default() };
    let known = asking.store.templates(tenant, &filter, 0, MAX_TEMPLATES_OF_TENANT)?.rows;
    let known: BTreeMap<(String, String), Arc<Template>> = known.into_iter().map(|one| (key_of(&one), one)).collect();
    let listed = listed_by_channel(asking, connector).await?;
    let now = asking.clock.now();
    let mut synced = Synced { total: listed.len() as u64, ..Synced::default() };
    let mut changes = Vec::new();
    for (name, before) in &known {
        if !listed.contains_key(name) && before.status != TemplateStatus::Deleted {
            synced.removed += 1;
            changes.push(TemplateChange::Listed(TemplateListed { before: before.clone(), remote: None }));
        }
    }
    for (name, remote) in listed {
        let Some(before) = known.get(&name) else {
            synced.added += 1;
            changes.push(TemplateChange::Found(found(asking, connector, remote, now)));
            continue;
        };
        if before.with_listed(remote.clone()) != **before {
            synced.changed += 1;
            let listed = TemplateListed { before: before.clone(), remote: Some(remote) };
            changes.push(TemplateChange::Listed(listed));
        }
    }
    for some in changes.chunks(BATCH) {
        let changes = some.iter().map(|change| Change::Template(Box::new(change.clone())));
        asking.store.commit(Batch::of(changes.collect())).await?;
    }
    Ok(synced)
}

/// A template that the channel lists and nobody knew.
fn found(asking: Asking<'_>, connector: &Connector, remote: RemoteTemplate, now: Timestamp) -> Template {
    Template {
        number: 0,
        id: asking.entropy.uuid(),
        tenant: connector.tenant,
        connector: Some(connector.index),
        name: remote.name,
        language: Some(remote.language),
        category: remote.category,
        format: remote.format,
        status: remote.status,
        quality: remote.quality,
        reason: remote.reason,
        remote_id: remote.id,
        components: remote.components,
        variable_names: Vec::new(),
        created_at: now,
        updated_at: now,
    }
}

/// All that the channel lists, by name and language.
async fn listed_by_channel(
    asking: Asking<'_>,
    connector: &Connector,
) -> Result<BTreeMap<(String, String), RemoteTemplate>> {
    let mut listed = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut after: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let asked = after.as_ref().map_or_else(|| json!({}), |after| json!({"after": after}));
        let answer = asking.connectors.operate(connector.index, own("list-templates", &asked)).await?;
        let (templates, next) = read_page(&other(answer)?).map_err(|problem| {
            let message = format!("the connector's plugin answered a list of templates that cannot be read: {problem}");
            Error::new(ErrorCode::ChannelFailed, message)
        })?;
        for template in templates {
            listed.insert((template.name.clone(), template.language.clone()), template);
        }
        if listed.len() > MAX_TEMPLATES_OF_TENANT {
            let message = format!("the channel has more than {MAX_TEMPLATES_OF_TENANT} templates; nothing was stored");
            return Err(Error::conflict(message));
        }
        match next {
            None => return Ok(listed),
            Some(next) if seen.insert(next.clone()) => after = Some(next),
            // It would go on for ever.
            Some(_) => break,
        }
    }
    Err(Error::new(ErrorCode::ChannelFailed, "the channel's list of templates has no end; nothing was stored"))
}

fn key_of(template: &Template) -> (String, String) {
    (template.name.clone(), template.language.clone().unwrap_or_default())
}
