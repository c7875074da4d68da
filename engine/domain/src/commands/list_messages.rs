//! list_messages
