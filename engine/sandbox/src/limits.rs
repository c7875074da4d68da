//! Every bound on a plugin, in one place.

use std::time::Duration;

/// What one plugin instance may use. The operator sets these.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Linear memory of an instance, bytes.
    pub memory_bytes: usize,
    /// Processor time that an instance may use without giving way to the host.
    pub cpu: Duration,
    /// How long one call into the host may take, where the call has no deadline of its own.
    pub host_call: Duration,
    /// How long one send may take, from the moment the instance has it.
    pub send: Duration,
    /// How long one operation may take, from the moment the instance has it.
    pub operation: Duration,
    /// How long the plugin may take to answer one request of its channel, from the moment the instance has it.
    pub receive: Duration,
    /// How long a stopped or replaced connector's sends may go on.
    pub drain: Duration,
    /// How long messages wait for a session that broke a moment ago and is being opened again.
    pub session_wait: Duration,
    /// How many connectors open their session at once; the others wait for their turn.
    pub starts_at_once: usize,
    /// How many instances there may be at once, renderers and short-lived ones included.
    pub instances: u32,
    /// What one connector may store in keys and values, bytes.
    pub kv_bytes: u64,
    /// How many log lines one instance may write per second, with a burst of four times as many.
    pub log_lines_per_second: u32,
    /// How many events one connector may report per second; what it did not use in a minute it may use at once.
    pub events_per_second: u32,
    /// Bytes of those events per second, with the same burst: 256 KiB are at most 22 GB a day.
    pub event_bytes_per_second: u64,
    /// The first pause before a failed connector is started again; it doubles up to `restart_max`.
    pub restart_first: Duration,
    /// The longest such pause.
    pub restart_max: Duration,
    /// Bounds on uploaded components.
    pub uploads: UploadLimits,
    /// Bounds on automations.
    pub automations: AutomationLimits,
}

/// Bounds on what is uploaded.
#[derive(Debug, Clone)]
pub struct UploadLimits {
    /// The size of a component, bytes.
    pub component_bytes: u64,
    /// How many components are compiled at once.
    pub compiles_at_once: usize,
    /// How many components may wait for that; more are refused.
    pub compiles_waiting: usize,
    /// How long compiling one component may take.
    pub compile_time: Duration,
    /// Processor time that compiling one component may take.
    pub compile_cpu: Duration,
    /// Memory that compiling one component may take, bytes.
    pub compile_memory: u64,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self {
            component_bytes: 32 << 20,
            compiles_at_once: 1,
            compiles_waiting: 16,
            compile_time: Duration::from_secs(180),
            compile_cpu: Duration::from_secs(60),
            compile_memory: 4 << 30,
        }
    }
}

/// Bounds on automations: on one call, and on all those of one tenant.
#[derive(Debug, Clone)]
pub struct AutomationLimits {
    /// How many calls run at once, of all tenants.
    pub instances: u32,
    /// How many calls of one tenant run at once; more wait.
    pub instances_per_tenant: usize,
    /// Processor time of a call whose plugin was not granted an amount.
    pub cpu: Duration,
    /// The most processor time that a call can be granted.
    pub cpu_most: Duration,
    /// Memory of a call whose plugin was not granted an amount, bytes.
    pub memory_bytes: u64,
    /// The most memory that a call can be granted, bytes.
    pub memory_most: u64,
    /// How long a whole call may take, its waiting for others included.
    pub call: Duration,
    /// How long one HTTP request may take.
    pub http: Duration,
    /// How many HTTP requests of one tenant run at once; more wait.
    pub http_per_tenant: usize,
    /// Processor time that one tenant's calls may take while other tenants want some as well, in thousandths of a core.
    pub tenant_cpu_permille: u32,
    /// How much of it a tenant may use in advance.
    pub tenant_cpu_burst: Duration,
    /// How many plugins are held ready; others are loaded when they are called.
    pub loaded: usize,
    /// How many log lines are kept for each plugin and tenant.
    pub log_lines: usize,
}

impl Default for AutomationLimits {
    fn default() -> Self {
        Self {
            instances: 256,
            instances_per_tenant: 16,
            cpu: Duration::from_millis(500),
            cpu_most: Duration::from_secs(10),
            memory_bytes: 128 << 20,
            memory_most: 256 << 20,
            call: Duration::from_secs(30),
            http: Duration::from_secs(10),
            http_per_tenant: 8,
            tenant_cpu_permille: 500,
            tenant_cpu_burst: Duration::from_secs(1),
            loaded: 256,
            log_lines: 1000,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            cpu: Duration::from_secs(1),
            host_call: Duration::from_secs(60),
            send: Duration::from_secs(120),
            operation: Duration::from_secs(60),
            receive: Duration::from_secs(10),
            drain: Duration::from_secs(10),
            session_wait: Duration::from_secs(20),
            starts_at_once: 16,
            instances: 1200,
            kv_bytes: 64 << 20,
            log_lines_per_second: 50,
            events_per_second: 500,
            event_bytes_per_second: 256 << 10,
            restart_first: Duration::from_millis(500),
            restart_max: Duration::from_secs(60),
            uploads: UploadLimits::default(),
            automations: AutomationLimits::default(),
        }
    }
}

/// How often a running guest gives way.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// How long a connector may hold its turn to open its session.
pub(crate) const TURN: Duration = Duration::from_secs(5);
/// How long `stop` and the end of `run` may take after the last send.
pub(crate) const FAREWELL: Duration = Duration::from_secs(3);
/// Core instances of an automation: interpreters with shared libraries have many.
pub(crate) const AUTOMATION_CORE_INSTANCES: u32 = 80;
/// Tables of an automation.
pub(crate) const AUTOMATION_TABLES: u32 = 80;
/// Memories of an automation: those that JavaScript's componentizer builds have three.
pub(crate) const AUTOMATION_MEMORIES: u32 = 4;
/// Entries in one table of an automation.
pub(crate) const AUTOMATION_TABLE_ELEMENTS: usize = 60_000;
/// Entries in one table of a connector or renderer.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;
/// Bytes that a guest may make the host allocate in one transfer: the lists and strings of one call or answer.
pub(crate) const TRANSFER_BYTES: usize = 8 << 20;
/// Bytes of one log line; more are cut.
pub(crate) const LOG_LINE_BYTES: usize = 2 << 10;
/// Bytes of a reason that a guest gives, as it is stored; more are cut.
pub(crate) const REASON_BYTES: usize = 500;
/// Bytes of a key in the key/value store.
pub(crate) const KV_KEY_BYTES: usize = 512;
/// Bytes of a value in the key/value store.
pub(crate) const KV_VALUE_BYTES: usize = 1 << 20;
/// Entries that one listing of the key/value store gives.
pub(crate) const KV_LIST: u32 = 1024;
/// Bytes of a response's body that the host's HTTP client reads as a whole.
pub(crate) const HTTP_BODY_BYTES: usize = 4 << 20;
/// Bytes of a WebSocket message.
pub(crate) const WEBSOCKET_MESSAGE_BYTES: usize = 4 << 20;
/// How many connectors move to another version of their plugin at once.
pub(crate) const SWAPS_AT_ONCE: usize = 8;
/// How many operations run in one instance at once.
pub(crate) const OPERATIONS_AT_ONCE: usize = 16;
/// How many operations of one connector may wait for their turn; more are refused.
pub(crate) const OPERATIONS_WAITING: usize = 64;
/// How many requests of the channel one instance answers at once.
pub(crate) const RECEIVES_AT_ONCE: usize = 16;
/// How many requests of one connector's channel may wait for their turn; more are refused.
pub(crate) const RECEIVES_WAITING: usize = 16;
/// Bytes of the body of a request of the channel.
pub(crate) const RECEIVED_BODY_BYTES: usize = 3 << 20;
/// Bytes of the bodies in one instance from which on further requests wait.
pub(crate) const RECEIVED_BYTES_AT_ONCE: usize = 4 << 20;
/// Bytes of the body of a plugin's answer to a request of its channel.
pub(crate) const RECEIVE_ANSWER_BYTES: usize = 64 << 10;
/// How many messages of one connector may wait for its session to come back; more are refused.
pub(crate) const SENDS_WAITING: usize = 1024;
/// Bytes of a text in an event.
pub(crate) const EVENT_TEXT_BYTES: usize = 64 << 10;
/// Entries of a list in an event.
pub(crate) const EVENT_LIST: usize = 2048;
/// How many events one call may report: a channel that gathers its reports sends up to 1,000 in one request.
pub(crate) const EVENTS_AT_ONCE: usize = 1024;
/// How many connections, exchanges and uploads one instance may hold at once.
pub(crate) const HANDLES: usize = 256;
/// Bytes of one piece of a file that goes through a guest.
pub(crate) const PIECE_BYTES: usize = 1 << 20;
/// Bytes of a streamed body, each way.
pub(crate) const EXCHANGE_BYTES: u64 = 256 << 20;
/// Bytes of one read from a file.
pub(crate) const MEDIA_READ_BYTES: u32 = 1 << 20;
/// Bytes of attachments up to which a mail is read into memory; a larger one is streamed by a thread.
pub(crate) const SMTP_SMALL_BYTES: u64 = 1 << 20;
/// How many streamed mails are sent at once.
pub(crate) const SMTP_LARGE_AT_ONCE: usize = 4;

/// `text` cut to at most `limit` bytes on a character border, without control characters.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut cut: String = text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if end < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn cutting_keeps_characters_whole_and_lines_single() {
        assert_eq!(cut("olá", 10), "olá");
        assert_eq!(cut("olá", 3), "ol…");
        assert_eq!(cut("a\r\nb\u{1b}[31m", 50), "a  b [31m");
        assert_eq!(cut("", 0), "");
    }
}
