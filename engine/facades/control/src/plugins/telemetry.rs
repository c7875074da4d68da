//! Section PluginTelemetry: logs and usage of plugins. Kept in memory, bounded, and lost at a restart of the engine.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures::stream;
use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::ToJSON;
use poem_openapi::{Object, OpenApi};
use pombo_domain::Timestamp;
use pombo_domain::commands::access::actor::Actor;
use pombo_domain::commands::plugins::records::{MAX_LINES, VersionUse};
use pombo_domain::ports::{LineWatch, PluginLine};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Section;
use crate::access::Owning;
use crate::concurrency::{ConcurrencyLimit, Place};
use crate::deps::ControlDeps;
use crate::plugins::PluginName;
use crate::wire::{After, AfterCursor, Instant, READ, Refused};
use pombo_api::declared::Param;
use pombo_api::error::{Failure, status};
use pombo_api::options::ApiState;
use pombo_api::sse::{EventStream, HEARTBEAT, HEARTBEAT_MS, RETRY, STREAM_MS, Streamed, event};

/// Maximum number of requests that follow logs at the same time.
const FOLLOWERS: usize = 256;
const FOLLOWERS_OF_ONE: usize = 16;
/// Number of lines per page if the caller does not say.
const DEFAULT_LINES: u32 = 100;
pub(crate) struct PluginTelemetry {
    followers: ConcurrencyLimit,
}

impl Default for PluginTelemetry {
    fn default() -> Self {
        Self { followers: ConcurrencyLimit::new(FOLLOWERS, FOLLOWERS_OF_ONE) }
    }
}

/// A line of a plugin's log.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct LogLine {
    /// Number of the line, increasing within the plugin; pass it as `after` for the lines that follow.
    number: u64,
    /// When it was written.
    at: Instant,
    /// Digest of the version that wrote it.
    digest: String,
    /// Level of the line: `trace`, `debug`, `info`, `warn` or `error`.
    level: String,
    /// Id of the automation or connector.
    instance_id: Option<Uuid>,
    /// The text, cut if it was too long.
    text: String,
}

impl From<PluginLine> for LogLine {
    fn from(line: PluginLine) -> Self {
        let PluginLine { number, at, digest, level, instance, text } = line;
        Self { number, at: Instant(at), digest, level: level.to_owned(), instance_id: instance, text }
    }
}

/// A page of a log.
#[derive(Object)]
pub(crate) struct LogPage {
    /// The lines, oldest first.
    data: Vec<LogLine>,
    /// The `after` for the next page, even when `data` is empty.
    next: u64,
}

/// Calls and usage of one version since the engine started.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct UsedVersion {
    /// Digest of the version.
    digest: String,
    /// Version in its description; absent if the version no longer exists.
    #[oai(skip_serializing_if_is_none)]
    version: Option<String>,
    /// Number of finished calls.
    calls: u64,
    /// Number of calls that trapped or exceeded a limit.
    traps: u64,
    /// Number of calls that failed in another way because of the plugin.
    failures: u64,
    /// Failures by their code: `trap`, `processor`, `memory`, `timeout`, `error`, `unfit` …
    failures_by_code: BTreeMap<String, u64>,
    /// Median duration of a call, in microseconds.
    p50_us: u64,
    /// Duration that 99 % of the calls did not exceed, in microseconds.
    p99_us: u64,
    /// Processor time of all calls, in microseconds.
    cpu_us: u64,
    /// Highest memory use of one instance, in bytes.
    memory_peak: u64,
    /// Number of log lines that were dropped.
    dropped_lines: u64,
}

impl From<VersionUse> for UsedVersion {
    fn from(version: VersionUse) -> Self {
        let VersionUse { digest, version, used } = version;
        Self {
            digest,
            version,
            calls: used.stats.calls,
            traps: used.stats.traps,
            failures: used.stats.failures,
            failures_by_code: used.failures,
            p50_us: used.stats.p50_us,
            p99_us: used.stats.p99_us,
            cpu_us: used.cpu_us,
            memory_peak: used.memory_peak,
            dropped_lines: used.dropped_lines,
        }
    }
}

/// Calls and usage of a plugin's versions.
#[derive(Object)]
pub(crate) struct PluginUsage {
    /// The versions, by digest.
    versions: Vec<UsedVersion>,
}

impl Streamed for LogLine {
    const DESCRIPTION: &'static str = "Each event is a line: its `id` is the number of the line, its `data` the line.";
}

/// A request that follows a log.
struct Follower {
    state: Arc<ApiState>,
    owning: Owning,
    name: String,
    after: u64,
    watch: Box<dyn LineWatch>,
    draining: CancellationToken,
    until: Timestamp,
    /// Text to write before waiting for more.
    ready: VecDeque<String>,
    over: bool,
    _place: Place,
}

impl Follower {
    /// The next piece of the stream; `None` at its end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            let clock = self.state.commands.clock().clone();
            // A credential that no longer holds ends the stream before anything else is written.
            if self.over || clock.now() >= self.until || !self.owning.holds(&self.state).ok()? {
                return None;
            }
            // The plugin may have been deleted in the meantime.
            let lines = self.state.commands.plugin_lines(&self.owning.0, &self.name, self.after, MAX_LINES).ok()?;
            if let Some(last) = lines.last() {
                self.after = last.number;
                self.ready.extend(lines.into_iter().map(piece));
                continue;
            }
            tokio::select! {
                more = self.watch.written(&self.name) => self.over = !more,
                () = clock.sleep_until(clock.now().plus_ms(HEARTBEAT_MS)) => return Some(HEARTBEAT.to_owned()),
                () = self.draining.cancelled() => self.over = true,
            }
        }
    }
}

fn piece(line: PluginLine) -> String {
    let number = line.number;
    event(number, "line", &LogLine::from(line).to_json_string())
}

impl pombo_api::Section for PluginTelemetry {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::PluginTelemetry")]
impl PluginTelemetry {
    /// List a plugin's log, oldest first
    ///
    /// Only the newest lines are kept, in memory; the numbers start again when the engine restarts. For a plugin that it does not
    /// own, a tenant sees only the lines of its own automations and connectors.
    #[oai(path = "/v1/plugins/:name/logs", method = "get", operation_id = "list_plugin_logs")]
    async fn list_plugin_logs(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
        name: Path<Param<PluginName>>,
        /// The `next` of the previous page or the `number` of a line; `latest` for lines from now on.
        after: Query<Option<Param<AfterCursor>>>,
        /// Maximum number of lines, from 1 to 1000; 100 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<LogPage>, Refused<READ>> {
        let name = &name.0.0;
        let after = begin(&state, &owning.0, name, after.0.map(|after| after.0))?;
        let limit = limit.0.unwrap_or(DEFAULT_LINES) as usize;
        let lines = state.commands.plugin_lines(&owning.0, name, after, limit)?;
        let next = lines.last().map_or(after, |line| line.number);
        Ok(Json(LogPage { data: lines.into_iter().map(LogLine::from).collect(), next }))
    }

    /// Follow a plugin's log
    ///
    /// Server-sent events, for at most one hour. A client that reconnects with `Last-Event-ID` misses no line that is still kept.
    #[oai(path = "/v1/plugins/:name/logs/stream", method = "get", operation_id = "follow_plugin_logs")]
    async fn follow_plugin_logs(
        &self,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<ControlDeps>>,
        owning: Owning,
        name: Path<Param<PluginName>>,
        /// Where to begin, as for the list; with the oldest kept line if omitted.
        after: Query<Option<Param<AfterCursor>>>,
        /// The `id` of the last event that the client received; takes precedence over `after`.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<Param<AfterCursor>>>,
    ) -> Result<EventStream<LogLine>, Refused<{ READ | status::TOO_MANY }>> {
        let name = name.0.0;
        let Some(place) = self.followers.take(owning.0.tenant) else {
            let failure =
                Failure::new(StatusCode::TOO_MANY_REQUESTS, "too many requests are already following logs; end one");
            return Err(Failure { retry_after_ms: Some(5_000), ..failure }.into());
        };
        // Followed before the log is read: what is written in between wakes too.
        let watch = state.commands.telemetry().follow();
        let after = begin(&state, &owning.0, &name, last_event_id.0.or(after.0).map(|after| after.0))?;
        let follower = Follower {
            until: state.commands.now().plus_ms(STREAM_MS),
            state: state.0.clone(),
            owning,
            name,
            after,
            watch,
            draining: deps.events.draining(),
            // At once, so that the client knows that it follows.
            ready: VecDeque::from([RETRY.to_owned()]),
            over: false,
            _place: place,
        };
        Ok(EventStream::of(stream::unfold(follower, |mut follower| async move {
            let piece = follower.next().await?;
            Some((piece, follower))
        })))
    }

    /// Get calls and usage of a plugin's versions since the engine started
    ///
    /// Only for the plugin's owner.
    #[oai(path = "/v1/plugins/:name/usage", method = "get", operation_id = "get_plugin_usage")]
    async fn get_plugin_usage(
        &self,
        state: Data<&Arc<ApiState>>,
        owning: Owning,
        name: Path<Param<PluginName>>,
    ) -> Result<Json<PluginUsage>, Refused<{ READ | status::FORBIDDEN }>> {
        let versions = state.commands.plugin_usage(&owning.0, &name.0.0)?;
        Ok(Json(PluginUsage { versions: versions.into_iter().map(UsedVersion::from).collect() }))
    }
}

/// The number after which the caller wants to read. A number that is not reached yet comes from before a restart of the engine.
fn begin(state: &ApiState, actor: &Actor, name: &str, after: Option<After>) -> Result<u64, Failure> {
    let kept = state.commands.plugin_lines(actor, name, 0, MAX_LINES)?;
    let newest = kept.last().map_or(0, |line| line.number);
    Ok(match after {
        None => 0,
        Some(After::Latest) => newest,
        Some(After::Cursor(number)) if number > newest => 0,
        Some(After::Cursor(number)) => number,
    })
}
