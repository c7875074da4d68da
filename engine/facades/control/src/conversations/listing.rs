//! What a list of conversations may be asked for: its orders, and filters that can be written in two ways.

use poem_openapi::Enum;
use pombo_domain::Error;
use pombo_domain::commands::conversations::ConversationPlace;
use uuid::Uuid;

use pombo_api::error::Failure;

/// The order of a list of conversations.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListOrder {
    /// By id, which is about the order of their opening; pages are linked by `next` and `after`.
    #[oai(rename = "id")]
    Id,
    /// The last active first; pages are taken with `offset`.
    #[oai(rename = "-lastActivity")]
    Activity,
    /// Those whose other side waits longest for an answer first, then those who do not wait, the last active first; pages are taken with
    /// `offset`.
    #[oai(rename = "waitingSince")]
    Waiting,
    /// The last opened first; pages are taken with `offset`.
    #[oai(rename = "-openedAt")]
    Opened,
}

/// Whether a conversation is archived.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[oai(rename = "ConversationArchive", rename_all = "lowercase")]
pub(super) enum ListStatus {
    /// It is not archived.
    Open,
    /// It is archived.
    Archived,
}

/// Where a page begins. Each order has its own way to go on.
pub(super) fn place(
    order: Option<ListOrder>,
    after: Option<Uuid>,
    offset: Option<u64>,
) -> Result<ConversationPlace, Failure> {
    let skipped = offset.unwrap_or(0);
    let place = match order {
        None | Some(ListOrder::Id) if offset.is_some() => {
            let message = "goes with every order but id, such as -lastActivity; use after";
            return Err(Error::invalid("offset", message).into());
        }
        None | Some(ListOrder::Id) => return Ok(ConversationPlace::Id { after }),
        Some(ListOrder::Activity) => ConversationPlace::Activity { offset: skipped },
        Some(ListOrder::Waiting) => ConversationPlace::Waiting { offset: skipped },
        Some(ListOrder::Opened) => ConversationPlace::Opened { offset: skipped },
    };
    match after {
        None => Ok(place),
        Some(_) => Err(Error::invalid("after", "goes with the order id; use offset").into()),
    }
}

/// Tags as they stand in a query: separated by commas.
pub(super) fn tags_of(query: Option<String>) -> Vec<String> {
    let query = query.unwrap_or_default();
    query.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

/// A filter that two parameters can set. They must not say different things.
pub(super) fn one_of<T: PartialEq>(
    name: &'static str,
    value: Option<T>,
    (other_name, other): (&str, Option<T>),
) -> Result<Option<T>, Failure> {
    match (value, other) {
        (Some(value), Some(other)) if value != other => {
            Err(Error::invalid(name, format!("is not what {other_name} says; give one of them")).into())
        }
        (value, other) => Ok(value.or(other)),
    }
}

/// Whom `assignee` names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Assigned {
    /// The user.
    pub(super) user: Option<Uuid>,
    /// The person, by name.
    pub(super) name: Option<String>,
    /// False: nobody.
    pub(super) assigned: Option<bool>,
}

impl Assigned {
    /// `by` is who asks: `user:…`, `key:…` or `operator`.
    pub(super) fn of(assignee: Option<String>, by: &str) -> Result<Self, Failure> {
        let Some(assignee) = assignee else { return Ok(Self::default()) };
        if assignee == "none" {
            return Ok(Self { assigned: Some(false), ..Self::default() });
        }
        if assignee == "me" {
            let user = by.strip_prefix("user:").and_then(|id| Uuid::try_parse(id).ok());
            let nobody = || Error::invalid("assignee", "me is the user who is logged in; with a key, give a user's id");
            return Ok(Self { user: Some(user.ok_or_else(nobody)?), ..Self::default() });
        }
        // The hyphenated form only: one id has one spelling.
        match Uuid::try_parse(&assignee) {
            Ok(user) if assignee.len() == 36 => Ok(Self { user: Some(user), ..Self::default() }),
            _ => Ok(Self { name: Some(assignee), ..Self::default() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignee_is_a_word_an_id_or_a_name() {
        let me = Uuid::from_u128(7);
        let by = format!("user:{me}");
        let of = |text: &str| Assigned::of(Some(text.to_owned()), &by).map_err(|failure| failure.fields.len());
        assert_eq!(of("me"), Ok(Assigned { user: Some(me), ..Assigned::default() }));
        assert_eq!(of(&me.to_string()), of("me"));
        assert_eq!(of("none"), Ok(Assigned { assigned: Some(false), ..Assigned::default() }));
        assert_eq!(of("ana"), Ok(Assigned { name: Some("ana".to_owned()), ..Assigned::default() }));
        assert_eq!(of(&me.simple().to_string()).map(|who| who.user), Ok(None), "an id in another spelling is a name");
        let of_key = Assigned::of(Some("me".to_owned()), "key:1");
        assert_eq!(of_key.map_err(|failure| failure.fields.len()), Err(1));
        assert_eq!(Assigned::of(None, "key:1").ok(), Some(Assigned::default()));
    }

    #[test]
    fn two_parameters_of_one_filter_must_agree() {
        let both = |one, other| one_of("archived", one, ("status", other)).map_err(|failure| failure.fields.len());
        assert_eq!([both(Some(true), None), both(None, Some(true)), both(Some(true), Some(true))], [Ok(Some(true)); 3]);
        assert_eq!((both(None, None), both(Some(true), Some(false))), (Ok(None), Err(1)));
    }
}
