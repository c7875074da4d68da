//! Every bound on a plugin, in one place.

use std::time::Duration;

/// What one plugin instance may use. The operator sets these.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Linear memory of an instance, bytes.
    pub memory_bytes: usize,
    /// Processor time in one go, without giving way to the host.
    pub cpu: Duration,
    /// One call into the host, where the call has no deadline of its own.
    pub host_call: Duration,
    /// One send, from the moment the instance has it.
    pub send: Duration,
    /// One operation, from the moment the instance has it.
    pub operation: Duration,
    /// How long a stopped or replaced connector's sends may go on.
    pub drain: Duration,
    /// How long messages wait for a session that broke a moment ago and is being opened again.
    pub session_wait: Duration,
    /// Connectors that open their session at once; the others wait for their turn.
    pub starts_at_once: usize,
    /// Instances at once, renderers and short-lived ones included.
    pub instances: u32,
    /// Keys and values that one connector may store, bytes.
    pub kv_bytes: u64,
    /// Log lines a second of one instance, with a burst of four times as many.
    pub log_lines_per_second: u32,
    /// Events a second that one connector may tell; what it did not use in a minute it may use at once.
    pub events_per_second: u32,
    /// Bytes of those events a second, with the same burst: 256 KiB are at most 22 GB a day.
    pub event_bytes_per_second: u64,
    /// First pause before a failed connector is started again; doubles up to `restart_max`.
    pub restart_first: Duration,
    /// Longest such pause.
    pub restart_max: Duration,
    /// Bounds on uploaded components.
    pub uploads: UploadLimits,
    /// Bounds on automations.
    pub automations: AutomationLimits,
}

/// Bounds on what is uploaded.
#[derive(Debug, Clone)]
pub struct UploadLimits {
    /// A component, bytes.
    pub component_bytes: u64,
    /// Components that are compiled at once.
    pub compiles_at_once: usize,
    /// Components that wait for that; more are refused.
    pub compiles_waiting: usize,
    /// How long compiling may take.
    pub compile_time: Duration,
    /// Processor time that compiling may take.
    pub compile_cpu: Duration,
    /// Memory that compiling may take, bytes.
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
    /// Calls at once, of all tenants.
    pub instances: u32,
    /// Calls at once of one tenant; more wait.
    pub instances_per_tenant: usize,
    /// Processor time of a call that was granted none in particular.
    pub cpu: Duration,
    /// Most processor time that a call can be granted.
    pub cpu_most: Duration,
    /// Memory of a call that was granted none in particular, bytes.
    pub memory_bytes: u64,
    /// Most memory that a call can be granted, bytes.
    pub memory_most: u64,
    /// A whole call, its waiting for others included.
    pub call: Duration,
    /// One HTTP request.
    pub http: Duration,
    /// HTTP requests at once of one tenant; more wait.
    pub http_per_tenant: usize,
    /// Processor time that one tenant's calls may take while others want some too, in thousandths of a core.
    pub tenant_cpu_permille: u32,
    /// How much of it may be used ahead.
    pub tenant_cpu_burst: Duration,
    /// Plugins that are held ready; others are loaded when they are called.
    pub loaded: usize,
    /// Log lines that are kept, for each plugin.
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
/// What a guest may make the host allocate in one transfer: the lists and strings of one call or answer.
pub(crate) const TRANSFER_BYTES: usize = 8 << 20;
/// One log line.
pub(crate) const LOG_LINE_BYTES: usize = 2 << 10;
/// A reason that a guest gives, as it is stored.
pub(crate) const REASON_BYTES: usize = 500;
/// A key of the key/value store.
pub(crate) const KV_KEY_BYTES: usize = 512;
/// A value of the key/value store.
pub(crate) const KV_VALUE_BYTES: usize = 1 << 20;
/// Entries that one listing gives.
pub(crate) const KV_LIST: u32 = 1024;
/// A body that the host's HTTP client takes in.
pub(crate) const HTTP_BODY_BYTES: usize = 4 << 20;
/// A WebSocket message.
pub(crate) const WEBSOCKET_MESSAGE_BYTES: usize = 4 << 20;
/// Connectors at once that are put onto a new version of their plugin.
pub(crate) const SWAPS_AT_ONCE: usize = 8;
/// Operations at once in one instance.
pub(crate) const OPERATIONS_AT_ONCE: usize = 16;
/// Operations that wait for their turn; more are refused.
pub(crate) const OPERATIONS_WAITING: usize = 64;
/// Messages of one connector that wait for its session to come back; more are refused.
pub(crate) const SENDS_WAITING: usize = 1024;
/// A text in an event.
pub(crate) const EVENT_TEXT_BYTES: usize = 64 << 10;
/// Entries of a list in an event.
pub(crate) const EVENT_LIST: usize = 2048;
/// Events that are stored together.
pub(crate) const EVENTS_AT_ONCE: usize = 256;
/// Connections, exchanges and uploads that one instance holds at once.
pub(crate) const HANDLES: usize = 256;
/// One piece of a file that goes through a guest.
pub(crate) const PIECE_BYTES: usize = 1 << 20;
/// A streamed body, each way.
pub(crate) const EXCHANGE_BYTES: u64 = 256 << 20;
/// One read of media.
pub(crate) const MEDIA_READ_BYTES: u32 = 1 << 20;
/// Attachments that are read at once; above it they are streamed by a thread.
pub(crate) const SMTP_SMALL_BYTES: u64 = 1 << 20;
/// Streamed messages at once.
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
