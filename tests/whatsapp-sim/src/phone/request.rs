//! What companions ask of their phone: keys of the app state, messages that they could not open, and more of a chat's history. Runs
//! in the phones' task, in the phone's turn.

use std::sync::Arc;

use waproto::{
    buffa::MessageField,
    whatsapp::{
        self as wa,
        message::{
            self as msg,
            peer_data_operation_request_response_message::{
                PeerDataOperationResult, peer_data_operation_result::PlaceholderMessageResendResponse,
            },
        },
    },
};

use super::{Phone, history, receive};
use crate::{
    Error,
    world::{DeviceId, World},
};

/// A companion asks its phone for something; `id` is that of the message that asks.
pub(super) async fn answer(
    world: &Arc<World>,
    phone: &Arc<Phone>,
    device: &DeviceId,
    id: &str,
    message: &wa::Message,
) -> Result<(), Error> {
    let Some(protocol) = message.protocol_message.as_option() else { return Ok(()) };
    if protocol.app_state_sync_key_request.is_set() {
        return receive::share_key_in_turn(world, phone, device).await;
    }
    let Some(request) = protocol.peer_data_operation_request_message.as_option() else { return Ok(()) };
    match request.peer_data_operation_request_type {
        Some(msg::PeerDataOperationRequestType::PLACEHOLDER_MESSAGE_RESEND) => {
            let results = request.placeholder_message_resend_request.iter();
            let results =
                results.filter_map(|asked| Some(known(world, phone, asked.message_key.as_option()?))).collect();
            respond(world, phone, device, id, results).await
        }
        Some(msg::PeerDataOperationRequestType::HISTORY_SYNC_ON_DEMAND) => {
            let Some(asked) = request.history_sync_on_demand_request.as_option() else { return Ok(()) };
            history::share_more(world, phone, device, id, asked).await
        }
        _ => Ok(()),
    }
}

/// The message of this key as the phone has it; without its content when the phone has not got it either.
fn known(world: &World, phone: &Arc<Phone>, key: &wa::MessageKey) -> PeerDataOperationResult {
    let id = key.id.as_deref().unwrap_or_default();
    let seen = phone.seen.lock().messages().iter().find(|seen| seen.id == id).cloned();
    let info = match seen {
        Some(seen) => history::web_message(world, &seen),
        None => wa::WebMessageInfo { key: MessageField::some(key.clone()), ..Default::default() },
    };
    PeerDataOperationResult {
        placeholder_message_resend_response: MessageField::some(PlaceholderMessageResendResponse {
            web_message_info_bytes: Some(waproto::buffa::Message::encode_to_vec(&info)),
        }),
        ..Default::default()
    }
}

async fn respond(
    world: &Arc<World>,
    phone: &Arc<Phone>,
    device: &DeviceId,
    id: &str,
    results: Vec<PeerDataOperationResult>,
) -> Result<(), Error> {
    let response = msg::PeerDataOperationRequestResponseMessage {
        peer_data_operation_request_type: Some(msg::PeerDataOperationRequestType::PLACEHOLDER_MESSAGE_RESEND),
        stanza_id: Some(id.to_owned()),
        peer_data_operation_result: results,
    };
    let message = wa::Message {
        protocol_message: MessageField::some(msg::ProtocolMessage {
            r#type: Some(msg::protocol_message::Type::PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE),
            peer_data_operation_request_response_message: MessageField::some(response),
            ..Default::default()
        }),
        ..Default::default()
    };
    receive::send_peer(world, phone, device, message).await
}
