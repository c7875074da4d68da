//! How far an own message came, as one word: what its state says until the channel accepted it, and what receipts say afterwards.

use super::message::Status;
use super::receipt::Reached;
use crate::words::words;

words! {
    /// How far an own message came.
    pub enum Progress {
        /// It waits, or is being sent.
        Pending = "pending",
        /// The channel accepted it.
        Sent = "sent",
        /// It reached a device of the recipient.
        Delivered = "delivered",
        /// It was shown to the recipient.
        Read = "read",
        /// The recipient played it.
        Played = "played",
        /// It was given up, or could not be delivered.
        Failed = "failed",
        /// It may or may not have been sent.
        Unknown = "unknown",
    }
}

impl Progress {
    /// Of a message with this status, and what receipts say of it; `failed`: the channel reported that it could not be delivered.
    pub fn of(status: Status, reached: &Reached, failed: bool) -> Self {
        match status {
            Status::Failed | Status::Canceled => Self::Failed,
            _ if reached.played_at.is_some() => Self::Played,
            _ if reached.read_at.is_some() => Self::Read,
            _ if reached.delivered_at.is_some() => Self::Delivered,
            _ if failed => Self::Failed,
            Status::Sent => Self::Sent,
            Status::Unknown => Self::Unknown,
            Status::Pending | Status::Waiting | Status::Processing | Status::PendingApproval => Self::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn what_receipts_say_counts_more_than_the_state() {
        let nothing = Reached::default();
        let read = Reached { delivered_at: Some(Timestamp(1)), read_at: Some(Timestamp(2)), played_at: None };
        for (status, reached, failed, progress) in [
            (Status::Waiting, &nothing, false, Progress::Pending),
            (Status::Sent, &nothing, false, Progress::Sent),
            (Status::Sent, &nothing, true, Progress::Failed),
            (Status::Sent, &read, true, Progress::Read),
            (Status::Processing, &read, false, Progress::Read),
            (Status::Unknown, &nothing, false, Progress::Unknown),
            (Status::Failed, &nothing, false, Progress::Failed),
        ] {
            assert_eq!(Progress::of(status, reached, failed), progress, "{status:?}");
        }
    }
}
