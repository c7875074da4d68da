//! Section "Instâncias": the tenant's WhatsApp accounts.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::registry::MetaSchema;
use poem_openapi::{Object, OpenApi};
use pombo_api::declared::{Param, ParamKind};
use pombo_api::error::Failure;
use pombo_api::options::ApiState;
use pombo_api::qr;
use pombo_domain::commands::connectors::overview::ConnectorOverview;
use pombo_domain::model::Right;
use pombo_domain::ports::SessionState;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::credentials::Caller;
use crate::envelope::Success;
use crate::errors::{CHANNEL, EVERY, NAMED, Refused, VALUES, WRITE};
use crate::gate::State;
use crate::instance::{InstanceBody, InstanceStatus, pace_of, phone_number, remaining_quota};
use crate::params::{Flag, Text, given};
use crate::refs::{instance, instances};
use crate::times::seconds;
use crate::{Section, ZapiniDeps};

/// The parameter `status`.
struct StatusFilter;

impl ParamKind for StatusFilter {
    type Value = InstanceStatus;

    fn schema() -> MetaSchema {
        MetaSchema { enum_items: InstanceStatus::words().map(Value::from).collect(), ..MetaSchema::new("string") }
    }
    fn parse(text: &str) -> Result<InstanceStatus, String> {
        let words = || InstanceStatus::words().collect::<Vec<_>>().join(", ");
        InstanceStatus::parse(text).ok_or_else(|| format!("must be one of {}", words()))
    }
}

/// The tenant's instances.
#[derive(Debug, Serialize, Object)]
struct InstanceList {
    /// The instances, oldest first.
    instances: Vec<InstanceBody>,
}

/// One instance.
#[derive(Debug, Serialize, Object)]
struct OneInstance {
    /// The instance.
    instance: InstanceBody,
}

/// The code by which an account is connected.
#[derive(Debug, Serialize, Object)]
struct QrCode {
    /// Whether there is a code: `qr_ready`.
    status: InstanceStatus,
    /// The code as a PNG in a data URL; null where there is none.
    #[oai(nullable)]
    qr_code: Option<String>,
    /// The code's text; null where there is none.
    #[oai(nullable)]
    qr_code_text: Option<String>,
    /// When this code was made; null where there is none.
    #[oai(nullable)]
    qr_generated_at: Option<String>,
    /// Whether nobody scanned the codes in time, so that there is none now. Asking again makes new ones.
    qr_expired: bool,
    /// What to do, for people.
    message: String,
}

/// How much an instance does. Days, weeks (from Monday) and months are those of its time zone.
#[derive(Debug, Serialize, Object)]
struct InstanceStats {
    /// Messages that were begun to be sent today.
    messages_sent_today: u32,
    /// Messages that may still be sent today; null for no limit.
    #[oai(nullable)]
    remaining_quota: Option<u32>,
    /// Messages that may be sent in all of today; null for no limit.
    #[oai(nullable)]
    daily_limit: Option<u32>,
    /// Messages that were created this week and sent.
    messages_this_week: u64,
    /// Messages that were created this month and sent.
    messages_this_month: u64,
    /// Messages that were received today, without those of deleted conversations.
    messages_received_today: u64,
    /// Conversations, archived ones included.
    conversations_count: u64,
    /// Contacts that are known on the instance.
    contacts_count: u64,
}

/// The state of an instance's connection.
#[derive(Debug, Serialize, Object)]
struct Connection {
    /// Id of the instance.
    uuid: Uuid,
    /// Whether it is connected.
    status: InstanceStatus,
    /// Whether `status` is `connected`.
    connected: bool,
    /// The account's phone number; the last one known while it is not connected.
    #[oai(nullable)]
    phone_number: Option<String>,
    /// See the instance's.
    #[oai(nullable)]
    last_activity_at: Option<String>,
    /// Always true; for a check with WhatsApp itself, ask with `realtime=true`.
    realtime: bool,
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct InstancesApi;

impl pombo_api::Section for InstancesApi {
    const FILE: &'static str = file!();
}

/// An instance with what was last said in its conversations.
async fn active(state: &ApiState, caller: &Caller, view: ConnectorOverview) -> Result<ConnectorOverview, Failure> {
    let mut views = state.commands.with_activity(caller.tenant, vec![view]).await?;
    views.pop().ok_or_else(|| Failure::not_found("Instance"))
}

impl InstancesApi {
    async fn connection(state: &State<'_>, caller: &Caller, uuid: Uuid) -> Result<Connection, Failure> {
        let view = active(state, caller, instance(state, caller, &uuid.to_string())?).await?;
        let status = InstanceStatus::of(&view.session);
        Ok(Connection {
            uuid,
            status,
            connected: status == InstanceStatus::Connected,
            phone_number: phone_number(&view),
            last_activity_at: view.last_active_at.map(seconds),
            realtime: true,
        })
    }
}

#[OpenApi(tag = "Section::Instances")]
impl InstancesApi {
    /// List the instances
    #[oai(path = "/instances", method = "get", operation_id = "list_instances")]
    async fn list_instances(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Data<&Arc<ZapiniDeps>>,
        /// Only instances with this status.
        status: Query<Option<Param<StatusFilter>>>,
    ) -> Result<Success<InstanceList>, Refused<{ EVERY | VALUES | WRITE }>> {
        caller.must(Right::Read)?;
        let mut bodies = Vec::new();
        let all = instances(&state, &caller)?;
        for view in state.commands.with_activity(caller.tenant, all).await? {
            if status.0.as_ref().is_none_or(|wanted| wanted.0 == InstanceStatus::of(&view.session)) {
                bodies.push(InstanceBody::of(&view, deps.pace.as_ref())?);
            }
        }
        Ok(Success::of(InstanceList { instances: bodies }))
    }

    /// Get an instance
    #[oai(path = "/instances/:uuid", method = "get", operation_id = "get_instance")]
    async fn get_instance(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Data<&Arc<ZapiniDeps>>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<OneInstance>, Refused<{ NAMED | VALUES | WRITE }>> {
        caller.must(Right::Read)?;
        let view = active(&state, &caller, instance(&state, &caller, &uuid.0.0)?).await?;
        Ok(Success::of(OneInstance { instance: InstanceBody::of(&view, deps.pace.as_ref())? }))
    }

    /// Get the QR code of an instance
    ///
    /// Begins to connect the instance if nothing does yet, and waits up to 20 seconds for a code. A code is replaced after about
    /// 20 seconds: ask again for the present one.
    #[oai(path = "/instances/:uuid/qr", method = "get", operation_id = "get_instance_qr")]
    async fn get_instance_qr(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<QrCode>, Refused<{ NAMED | VALUES | CHANNEL }>> {
        caller.must(Right::ManageConnectors)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        let session = state.commands.open_session(caller.tenant, id, None).await?;
        let status = InstanceStatus::of(&session.state);
        let (qr_code, qr_code_text) = match &session.state {
            SessionState::QrCode(text) => (Some(qr::png_data_url(text)?), Some(text.clone())),
            _ => (None, None),
        };
        let view = instance(&state, &caller, &id.to_string())?;
        let qr_expired = matches!(session.state, SessionState::Unpaired(_) | SessionState::LoggedOut(_));
        let message = match status {
            InstanceStatus::QrReady => "QR code ready to scan",
            InstanceStatus::Connected => "The instance is connected already",
            InstanceStatus::Pending => "The instance is being connected; ask again",
            InstanceStatus::Disconnected if qr_expired => "Nobody scanned the QR code in time; ask again",
            InstanceStatus::Disconnected => "There is no QR code yet; ask again",
        };
        Ok(Success::of(QrCode {
            status,
            qr_generated_at: qr_code.as_ref().and(view.since).map(seconds),
            qr_code,
            qr_code_text,
            qr_expired,
            message: message.to_owned(),
        }))
    }

    /// Get the status of an instance
    #[oai(path = "/instances/:uuid/status", method = "get", operation_id = "get_instance_status")]
    async fn get_instance_status(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
        /// Whether to check the connection with WhatsApp first. Without it the status is the one that the connection reported last.
        realtime: Query<Option<Param<Flag>>>,
    ) -> Result<Success<Connection>, Refused<{ NAMED | VALUES | WRITE }>> {
        caller.must(Right::Read)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        let works = match given(realtime) {
            // Where it cannot be asked, what was reported counts.
            Some(true) => state.commands.check_session(caller.tenant, id).await.ok().flatten(),
            _ => None,
        };
        let told = Self::connection(&state, &caller, id).await?;
        Ok(Success::of(match works {
            Some(false) => Connection { status: InstanceStatus::Disconnected, connected: false, ..told },
            _ => told,
        }))
    }

    /// Get how much an instance does
    #[oai(path = "/instances/:uuid/stats", method = "get", operation_id = "get_instance_stats")]
    async fn get_instance_stats(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Data<&Arc<ZapiniDeps>>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<InstanceStats>, Refused<{ NAMED | VALUES | WRITE }>> {
        caller.must(Right::Read)?;
        let view = instance(&state, &caller, &uuid.0.0)?;
        let pace = pace_of(&view, deps.pace.as_ref())?;
        let activity = state.commands.connector_activity(caller.tenant, view.connector.id).await?;
        Ok(Success::of(InstanceStats {
            messages_sent_today: pace.sent_today,
            remaining_quota: remaining_quota(&pace),
            daily_limit: pace.cap_today,
            messages_this_week: activity.sent_this_week,
            messages_this_month: activity.sent_this_month,
            messages_received_today: activity.received_today,
            conversations_count: activity.conversations,
            contacts_count: activity.contacts,
        }))
    }

    /// Disconnect an instance
    ///
    /// Logs the account out and deletes its session. Does nothing if there is none.
    #[oai(path = "/instances/:uuid/disconnect", method = "post", operation_id = "disconnect_instance")]
    async fn disconnect_instance(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<Connection>, Refused<{ NAMED | VALUES | CHANNEL | WRITE }>> {
        caller.must(Right::ManageConnectors)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        state.commands.close_session(caller.tenant, id).await?;
        let connection = Self::connection(&state, &caller, id).await?;
        // The session may still be on its way out; it is over for the caller.
        let connection = Connection { status: InstanceStatus::Disconnected, connected: false, ..connection };
        Ok(Success::saying("Instance disconnected", connection))
    }

    /// Reconnect an instance
    ///
    /// Connects a session that broke. Where there is none, it begins to connect the account and waits up to 20 seconds for a QR
    /// code, which `GET /instances/{uuid}/qr` shows. A session that is connected stays as it is.
    #[oai(path = "/instances/:uuid/reconnect", method = "post", operation_id = "reconnect_instance")]
    async fn reconnect_instance(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
    ) -> Result<Success<Connection>, Refused<{ NAMED | VALUES | CHANNEL | WRITE }>> {
        caller.must(Right::ManageConnectors)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        state.commands.reconnect_session(caller.tenant, id).await?;
        let connection = Self::connection(&state, &caller, id).await?;
        let message = match connection.status {
            InstanceStatus::Connected => "Instance connected",
            InstanceStatus::QrReady => "Scan the QR code to connect the instance",
            InstanceStatus::Pending | InstanceStatus::Disconnected => "Reconnection started",
        };
        Ok(Success::saying(message, connection))
    }
}
