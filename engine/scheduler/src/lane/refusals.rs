//! Why a message is not sent to a contact that opted out of everything, or of its category. Pure.

use pombo_domain::model::contact::{Contact, OptOut};
use pombo_domain::model::message::MessageType;
use pombo_domain::model::reason::{Reason, ReasonCode};

/// Why a contact does not get a message of this category; `None`: it does.
pub(super) fn refused_by(contact: &Contact, kind: MessageType) -> Option<Reason> {
    if !contact.active {
        return Some(opted_out(contact.reason.as_deref()));
    }
    contact.refused.has(kind).then(category_refused)
}

/// The same of an address whose contact was deleted.
pub(super) fn refused_before(opt_out: OptOut, kind: MessageType) -> Option<Reason> {
    match opt_out.only {
        None => Some(opted_out(opt_out.reason.as_deref())),
        Some(only) => only.has(kind).then(category_refused),
    }
}

fn opted_out(why: Option<&str>) -> Reason {
    Reason::new(ReasonCode::InactiveContact, why.unwrap_or("the contact does not want messages"))
}

fn category_refused() -> Reason {
    Reason::new(ReasonCode::CategoryRefused, "the contact does not want messages of this category")
}
