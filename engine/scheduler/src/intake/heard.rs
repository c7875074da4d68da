//! What the events of a connector show that it heard of its channel.

use pombo_domain::model::ReceiptKind;
use pombo_domain::ports::ChannelEvent;

use super::told;
use crate::rules::hearing::Heard;

/// What an event shows that the connector heard; `None` for what a plugin can tell without hearing anything.
pub(super) fn by(event: &ChannelEvent) -> Option<Heard> {
    match event {
        // It answers the sending itself.
        ChannelEvent::Receipt { kind: ReceiptKind::Server, .. } => None,
        ChannelEvent::Receipt { .. } => Some(Heard::Receipt),
        // The end of a download.
        ChannelEvent::Media { .. } => None,
        // Its own clock tells it.
        ChannelEvent::Other(kind, _) if kind == told::EXPIRING => None,
        ChannelEvent::Message(_)
        | ChannelEvent::Presence { .. }
        | ChannelEvent::Contact { .. }
        | ChannelEvent::Group { .. }
        | ChannelEvent::Blocked(_)
        | ChannelEvent::Restricted(_)
        | ChannelEvent::Other(..) => Some(Heard::Other),
    }
}
