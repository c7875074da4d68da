//! The key spaces: their numbers and stored names, each given once and for all.

/// A named key space with a life of its own (its memory, its compaction).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub(crate) enum Space {
    Messages = 0,
    States = 1,
    Queues = 2,
    Deliveries = 3,
    Columns = 4,
    Documents = 5,
    Kv = 6,
    Events = 7,
    Conversations = 8,
    Work = 9,
    Timeline = 10,
}

impl Space {
    pub(crate) const ALL: [Self; 11] = [
        Self::Messages,
        Self::States,
        Self::Queues,
        Self::Deliveries,
        Self::Columns,
        Self::Documents,
        Self::Kv,
        Self::Events,
        Self::Conversations,
        Self::Work,
        Self::Timeline,
    ];
    /// Its stored name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::States => "states",
            Self::Queues => "queues",
            Self::Deliveries => "deliveries",
            Self::Columns => "columns",
            Self::Documents => "documents",
            Self::Kv => "kv",
            Self::Events => "events",
            Self::Conversations => "conversations",
            Self::Work => "work",
            Self::Timeline => "timeline",
        }
    }
}
