//! What a tenant's users may do: each has a role, and the table [`Right::least`] says which roles have which right. Pure: the facades ask
//! it before they call a command.

use crate::words::words;

words! {
    /// What a user may do in the tenant.
    pub enum Role {
        /// Everything, users, keys and plugins included. A tenant always keeps one, once it has users.
        Owner = "owner",
        /// Everything about messages, conversations, contacts, connectors and automations; approvals and imports.
        Manager = "manager",
        /// Answers in conversations, sends messages, keeps contacts and tags.
        Agent = "agent",
        /// Sees everything that an agent sees, and changes nothing.
        Viewer = "viewer",
    }
}

/// Something that not every role may do. The rights are few and wide: a facade maps each of its operations to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// See messages, conversations, contacts, connectors and what happened.
    Read,
    /// Send messages and act in conversations: answer, react, mark as read, archive, tag, pause and resume automations.
    Converse,
    /// Create and change contacts.
    ChangeContacts,
    /// Delete what cannot be brought back: contacts, conversations, tags, files.
    DeleteRecords,
    /// Approve or reject messages that wait for a person.
    Approve,
    /// Create many messages or contacts at once.
    Import,
    /// Create, change, connect, disconnect and delete connectors; set their pace and their webhooks; change groups of the account.
    ManageConnectors,
    /// Create, change and delete automations.
    ManageAutomations,
    /// Users, API keys, plugins, secrets.
    ManageTenant,
}

impl Right {
    /// All rights.
    pub const ALL: [Self; 9] = [
        Self::Read,
        Self::Converse,
        Self::ChangeContacts,
        Self::DeleteRecords,
        Self::Approve,
        Self::Import,
        Self::ManageConnectors,
        Self::ManageAutomations,
        Self::ManageTenant,
    ];

    /// The table: the role with the fewest rights that still has this one. Every role above it has it too.
    pub const fn least(self) -> Role {
        match self {
            Self::Read => Role::Viewer,
            Self::Converse | Self::ChangeContacts => Role::Agent,
            Self::DeleteRecords | Self::Approve | Self::Import | Self::ManageConnectors | Self::ManageAutomations => {
                Role::Manager
            }
            Self::ManageTenant => Role::Owner,
        }
    }
}

impl Role {
    /// Whether a user with this role has the right.
    pub fn may(self, right: Right) -> bool {
        // The roles are declared from the most rights to the fewest.
        self <= right.least()
    }

    /// The roles that have the right, for a refusal: `owner, manager`.
    pub fn that_may(right: Right) -> String {
        let may: Vec<&str> = Self::ALL.into_iter().filter(|role| role.may(right)).map(Self::as_str).collect();
        may.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_its_rights() {
        let rights = |role: Role| Right::ALL.into_iter().filter(|right| role.may(*right)).collect::<Vec<_>>();
        assert_eq!(rights(Role::Owner), Right::ALL);
        assert_eq!(rights(Role::Manager), Right::ALL[..8]);
        assert_eq!(rights(Role::Agent), [Right::Read, Right::Converse, Right::ChangeContacts]);
        assert_eq!(rights(Role::Viewer), [Right::Read]);
        assert_eq!(Role::that_may(Right::Import), "owner, manager");
    }
}
