//! What a plugin may ask of the host. Three moments: the engine offers all of [`Capability`], the operator's grant is checked
//! against what the plugin wants when it is loaded, and every call asks the instance's own [`Grants`].
//!
//! Invariant: an interface is always linked, so that a missing grant is an answer to the plugin and not a failed start.

/// A host interface that needs a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Using the connector's key/value store.
    Kv,
    /// Making HTTP requests.
    Http,
    /// Opening WebSocket connections.
    Websocket,
    /// Submitting mail by SMTP.
    Smtp,
    /// Reading the files of its own messages.
    MediaRead,
    /// Storing files that its channel brought.
    MediaWrite,
    /// Reporting sessions, receipts and messages to the engine.
    Events,
}

impl Capability {
    /// All that there are, in the order in which they are shown.
    pub const ALL: [Self; 7] =
        [Self::Kv, Self::Http, Self::Websocket, Self::Smtp, Self::MediaRead, Self::MediaWrite, Self::Events];

    /// The name that configurations and descriptions use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Http => "http",
            Self::Websocket => "websocket",
            Self::Smtp => "smtp",
            Self::MediaRead => "media-read",
            Self::MediaWrite => "media-write",
            Self::Events => "events",
        }
    }

    /// The capability with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }
}

/// What one instance was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Grants(u8);

impl Grants {
    /// What is both wanted and allowed; `None` allows what is wanted.
    pub(crate) fn of(wanted: &[Capability], allowed: Option<&[Capability]>) -> Self {
        let given = wanted.iter().filter(|c| allowed.is_none_or(|a| a.contains(c)));
        Self(given.fold(0, |bits, c| bits | 1 << *c as u8))
    }

    /// Whether the capability was granted. `Err` holds what to tell the plugin.
    pub(crate) fn check(self, capability: Capability) -> Result<(), String> {
        if self.0 & 1 << capability as u8 != 0 {
            return Ok(());
        }
        Err(format!("the capability {:?} is not granted to this plugin", capability.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_what_is_wanted_and_allowed() {
        use Capability::{Http, Kv, Smtp};
        let grants = Grants::of(&[Kv, Smtp], Some(&[Smtp, Http]));
        assert!(grants.check(Smtp).is_ok());
        assert!(grants.check(Kv).is_err_and(|e| e.contains("\"kv\"")));
        assert!(grants.check(Http).is_err());
        assert!(Grants::of(&[Kv], None).check(Kv).is_ok());
        for c in Capability::ALL {
            assert_eq!(Capability::from_name(c.name()), Some(c));
        }
    }
}
