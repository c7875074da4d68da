//! Section "API da Instância": what one instance answers about itself. Its answers are flat.

use std::sync::Arc;

use poem::Request;
use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::{Object, OpenApi};
use pombo_api::declared::Param;
use pombo_api::error::Failure;
use pombo_api::json::SerdeJson;
use pombo_api::qr;
use pombo_domain::model::Right;
use pombo_domain::ports::SessionState;
use serde::Serialize;

use crate::credentials::Caller;
use crate::errors::{NAMED, Refused, VALUES};
use crate::gate::State;
use crate::instance::{InstanceStatus, phone_number};
use crate::params::Text;
use crate::refs::serving;
use crate::times::millis;
use crate::{Section, ZapiniDeps};

/// The state of the instance's connection.
#[derive(Debug, Serialize, Object)]
struct OwnStatus {
    /// Always `true`.
    success: bool,
    /// Whether it is connected.
    status: InstanceStatus,
    /// The account's phone number; the last one known while it is not connected.
    #[oai(nullable)]
    phone: Option<String>,
    /// Name that the account goes by, while it is connected.
    #[oai(nullable)]
    name: Option<String>,
    /// The device's system; null, because WhatsApp does not tell it.
    #[oai(nullable)]
    platform: Option<String>,
}

/// The code by which the account is connected.
#[derive(Debug, Serialize, Object)]
struct OwnQrCode {
    /// Always `true`.
    success: bool,
    /// The code's text.
    qr: String,
    /// The code as a PNG in a data URL.
    qr_image: String,
    /// Always `qr_ready`.
    status: InstanceStatus,
}

/// How the server is.
#[derive(Debug, Serialize, Object)]
struct Health {
    /// Always `ok`.
    status: String,
    /// Seconds since the server started.
    uptime: u64,
    /// The present time.
    timestamp: String,
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct InstanceApi;

impl pombo_api::Section for InstanceApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::InstanceApi")]
impl InstanceApi {
    /// Get the instance's status
    ///
    /// Of the instance that the host name names, or `instance_id`, or the only one that the token may use.
    #[oai(path = "/status", method = "get", operation_id = "get_own_status")]
    async fn get_own_status(
        &self,
        caller: Caller,
        state: State<'_>,
        request: &Request,
        /// UUID or number of the instance, where the host name does not name it.
        instance_id: Query<Option<Param<Text>>>,
    ) -> Result<SerdeJson<OwnStatus>, Refused<{ NAMED | VALUES }>> {
        caller.must(Right::Read)?;
        let given = instance_id.0.map(|given| given.0);
        let view = serving(&state, &caller, request, given.as_deref())?;
        Ok(SerdeJson(OwnStatus {
            success: true,
            status: InstanceStatus::of(&view.session),
            phone: phone_number(&view),
            name: view.account.and_then(|account| account.display_name),
            platform: None,
        }))
    }

    /// Get the instance's QR code
    ///
    /// Only while the status is `qr_ready`; otherwise 400. Does not begin to connect the instance: `GET /instances/{uuid}/qr` does.
    #[oai(path = "/qr", method = "get", operation_id = "get_own_qr")]
    async fn get_own_qr(
        &self,
        caller: Caller,
        state: State<'_>,
        request: &Request,
        /// UUID or number of the instance, where the host name does not name it.
        instance_id: Query<Option<Param<Text>>>,
    ) -> Result<SerdeJson<OwnQrCode>, Refused<{ NAMED | VALUES }>> {
        caller.must(Right::ManageConnectors)?;
        let given = instance_id.0.map(|given| given.0);
        let view = serving(&state, &caller, request, given.as_deref())?;
        let SessionState::QrCode(text) = view.session else {
            let message = "there is a QR code only while the status is qr_ready; connect the instance first";
            let failure = Failure::new(StatusCode::BAD_REQUEST, message);
            return Err(Failure { code: Some("QR_NOT_AVAILABLE"), ..failure }.into());
        };
        let qr_image = qr::png_data_url(&text)?;
        Ok(SerdeJson(OwnQrCode { success: true, qr: text, qr_image, status: InstanceStatus::QrReady }))
    }

    /// Get the server's health
    #[oai(path = "/health", method = "get", operation_id = "get_server_health")]
    async fn get_server_health(&self, state: State<'_>, deps: Data<&Arc<ZapiniDeps>>) -> SerdeJson<Health> {
        let now = state.commands.now();
        let uptime = now.since(deps.started).max(0).unsigned_abs() / 1000;
        SerdeJson(Health { status: "ok".to_owned(), uptime, timestamp: millis(now) })
    }
}
