//! message_steps
