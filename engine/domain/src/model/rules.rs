//! What a channel demands of senders.

use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// How a channel rates an account or a template.
    #[derive(Default, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Quality {
        /// Good.
        Green = "green",
        /// Something is wrong.
        Yellow = "yellow",
        /// Much is wrong: a restriction may follow.
        Red = "red",
        /// Not rated, or nobody told.
        #[default]
        Unknown = "unknown",
    }
}
