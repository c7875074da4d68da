//! Checks a configuration's values beyond their types. Pure.

use super::{Config, parse_network, parse_price, parse_proxy_host};
use crate::facades;

/// One sentence for each problem, which names the key.
pub(super) fn problems(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    let mut require = |holds: bool, key: &str, what: &str| {
        if !holds {
            problems.push(format!("{key} {what}"));
        }
    };

    let http = &config.http;
    require(
        public_url_ok(&http.public_url),
        "http.public_url",
        "must be empty or http(s)://host[:port], without a path",
    );
    for (host, api) in &http.hosts {
        require(
            facades::mappable().any(|name| name == api),
            &format!("http.hosts.{host:?}"),
            &format!("must name an API: {}", facades::mappable().collect::<Vec<_>>().join(" or ")),
        );
        let plain = host.replace('*', "x");
        let ok = !plain.is_empty()
            && plain.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'));
        require(ok, &format!("http.hosts.{host:?}"), "must be a host name in lower case, without a port");
    }
    for proxy in &http.trusted_proxies {
        require(
            parse_network(proxy).is_some(),
            "http.trusted_proxies",
            &format!("has {proxy:?}, which is not an address or network"),
        );
    }
    require(http.max_connections > 0, "http.max_connections", "must be at least 1");
    require((1..=300).contains(&http.header_timeout_seconds), "http.header_timeout_seconds", "must be from 1 to 300");
    require((8..=1024).contains(&http.max_header_kb), "http.max_header_kb", "must be from 8 to 1024");
    require(http.body_idle_timeout_seconds > 0, "http.body_idle_timeout_seconds", "must be at least 1");
    require(http.request_timeout_seconds > 0, "http.request_timeout_seconds", "must be at least 1");
    require((1..=4096).contains(&http.max_body_mb), "http.max_body_mb", "must be from 1 to 4096");

    let security = &config.security;
    let both = !security.secret_key.is_empty() && !security.secret_key_file.is_empty();
    require(!both, "security.secret_key", "and security.secret_key_file are both set; keep one");
    let token = security.operator_token.len();
    require(token == 0 || token >= 24, "security.operator_token", "must have at least 24 characters");
    require(
        (1..=525_600).contains(&security.jwt_expiry_minutes),
        "security.jwt_expiry_minutes",
        "must be from 1 to 525600",
    );
    require(security.login_failures_per_account > 0, "security.login_failures_per_account", "must be at least 1");
    require(security.login_failures_per_address > 0, "security.login_failures_per_address", "must be at least 1");
    require(
        (1..=1440).contains(&security.login_window_minutes),
        "security.login_window_minutes",
        "must be from 1 to 1440",
    );
    require((1..=8760).contains(&security.media_link_hours), "security.media_link_hours", "must be from 1 to 8760");

    let outbound = &config.outbound;
    for entry in &outbound.allow {
        require(
            target_ok(entry),
            "outbound.allow",
            &format!("has {entry:?}, which is not an address, network or host name"),
        );
    }
    for entry in &config.sandbox.allow_private {
        let ok = entry == "localhost" || parse_network(entry).is_some();
        require(ok, "sandbox.allow_private", &format!("has {entry:?}, which is not an address or network"));
    }
    for entry in &config.sandbox.proxy_hosts {
        let ok = parse_network(entry).is_some() || parse_proxy_host(entry).is_some();
        require(
            ok,
            "sandbox.proxy_hosts",
            &format!("has {entry:?}, which is not a host, host:port, address or network"),
        );
    }
    require(outbound.connect_timeout_seconds > 0, "outbound.connect_timeout_seconds", "must be at least 1");
    require(outbound.attachment_timeout_seconds > 0, "outbound.attachment_timeout_seconds", "must be at least 1");
    require(outbound.attachment_max_redirects <= 20, "outbound.attachment_max_redirects", "must be at most 20");

    let webhooks = &config.webhooks;
    require((1..=120).contains(&webhooks.timeout_seconds), "webhooks.timeout_seconds", "must be from 1 to 120");
    require(webhooks.max_in_flight > 0, "webhooks.max_in_flight", "must be at least 1");
    require(webhooks.max_in_flight_per_host > 0, "webhooks.max_in_flight_per_host", "must be at least 1");
    require(
        !webhooks.retry_seconds.is_empty() && webhooks.retry_seconds.iter().all(|s| *s > 0),
        "webhooks.retry_seconds",
        "must have at least one pause, each at least 1",
    );

    let store = &config.store;
    require((1..=65_536).contains(&store.cache_mb), "store.cache_mb", "must be from 1 to 65536");
    require((1..=4096).contains(&store.write_buffer_mb), "store.write_buffer_mb", "must be from 1 to 4096");
    require((1..=65_536).contains(&store.search_mb), "store.search_mb", "must be from 1 to 65536");
    require((1..=65_536).contains(&store.directory_mb), "store.directory_mb", "must be from 1 to 65536");
    require((64..=4096).contains(&store.journal_mb), "store.journal_mb", "must be from 64 to 4096");
    require((1..=64).contains(&store.workers), "store.workers", "must be from 1 to 64");

    require((1..=3650).contains(&config.events.retention_days), "events.retention_days", "must be from 1 to 3650");

    let scheduler = &config.scheduler;
    require(scheduler.max_attempts > 0, "scheduler.max_attempts", "must be at least 1");
    require(
        (1..=scheduler.backoff_max_ms).contains(&scheduler.backoff_first_ms),
        "scheduler.backoff_first_ms",
        "must be from 1 to scheduler.backoff_max_ms",
    );
    require(
        (1..=scheduler.breaker_max_ms).contains(&scheduler.breaker_first_ms),
        "scheduler.breaker_first_ms",
        "must be from 1 to scheduler.breaker_max_ms",
    );
    require(scheduler.heartbeat_hours <= 168, "scheduler.heartbeat_hours", "must be from 0 to 168");
    require((16..=100_000).contains(&scheduler.window), "scheduler.window", "must be from 16 to 100000");
    require((1..=1000).contains(&scheduler.batch), "scheduler.batch", "must be from 1 to 1000");
    require((1..=100).contains(&scheduler.fetches), "scheduler.fetches", "must be from 1 to 100");

    let campaigns = &config.campaigns;
    require((1..=100_000).contains(&campaigns.window), "campaigns.window", "must be from 1 to 100000");
    require((1..=1000).contains(&campaigns.batch), "campaigns.batch", "must be from 1 to 1000");
    let fit = |code: &String| !code.trim().is_empty() && code.chars().count() <= 64;
    require(
        campaigns.stop_codes.len() <= 50 && campaigns.stop_codes.iter().all(fit),
        "campaigns.stop_codes",
        "must be at most 50 codes of 1 to 64 characters",
    );
    for (key, price) in &campaigns.prices {
        require(
            parse_price(key, price).is_some(),
            &format!("campaigns.prices.{key:?}"),
            "must be a category (marketing, utility or authentication), or one with a slash and the beginning of an address, and the \
             price as a text such as \"0.0625\"",
        );
    }

    let limits = &config.limits;
    require((1..=64).contains(&limits.json_mb), "limits.json_mb", "must be from 1 to 64");
    require((1..=256).contains(&limits.bulk_mb), "limits.bulk_mb", "must be from 1 to 256");
    require((1..=100).contains(&limits.files), "limits.files", "must be from 1 to 100");
    require((1..=10_000).contains(&limits.lookups_at_once), "limits.lookups_at_once", "must be from 1 to 10000");
    require(limits.lookups_per_hour <= 100_000, "limits.lookups_per_hour", "must be at most 100000");
    require((1..=1_000_000).contains(&limits.waiting_files), "limits.waiting_files", "must be from 1 to 1000000");
    require(
        (1..=10_000_000).contains(&limits.waiting_files_mb),
        "limits.waiting_files_mb",
        "must be from 1 to 10000000",
    );
    require(limits.multipart_mb <= http.max_body_mb, "limits.multipart_mb", "must not be above http.max_body_mb");

    let zapini = &config.zapini;
    require((1..=1440).contains(&zapini.rate_window_minutes), "zapini.rate_window_minutes", "must be from 1 to 1440");
    require((1..=120).contains(&zapini.send_wait_seconds), "zapini.send_wait_seconds", "must be from 1 to 120");
    require(
        zapini.send_wait_seconds < http.request_timeout_seconds,
        "zapini.send_wait_seconds",
        "must be below http.request_timeout_seconds",
    );
    for origin in &zapini.cors_origins {
        let problem = format!("has {origin:?}, which is not an origin such as https://app.example.com, or *");
        require(origin_ok(origin), "zapini.cors_origins", &problem);
    }

    let wait = config.aidesk.send_wait_seconds;
    require((1..=120).contains(&wait), "aidesk.send_wait_seconds", "must be from 1 to 120");
    require(
        wait < http.request_timeout_seconds,
        "aidesk.send_wait_seconds",
        "must be below http.request_timeout_seconds",
    );

    let sandbox = &config.sandbox;
    require((4..=4096).contains(&sandbox.memory_mb), "sandbox.memory_mb", "must be from 4 to 4096");
    require((10..=60_000).contains(&sandbox.cpu_deadline_ms), "sandbox.cpu_deadline_ms", "must be from 10 to 60000");
    require(sandbox.host_call_timeout_seconds > 0, "sandbox.host_call_timeout_seconds", "must be at least 1");
    require(sandbox.send_timeout_seconds > 0, "sandbox.send_timeout_seconds", "must be at least 1");
    require((2..=10_000).contains(&sandbox.max_instances), "sandbox.max_instances", "must be from 2 to 10000");
    require(sandbox.events_per_second > 0, "sandbox.events_per_second", "must be at least 1");
    require(sandbox.event_kb_per_second > 0, "sandbox.event_kb_per_second", "must be at least 1");
    require((1..=1000).contains(&sandbox.starts_at_once), "sandbox.starts_at_once", "must be from 1 to 1000");
    require((1..=600).contains(&sandbox.session_wait_seconds), "sandbox.session_wait_seconds", "must be from 1 to 600");
    require(sandbox.log_lines_per_second > 0, "sandbox.log_lines_per_second", "must be at least 1");

    require(
        (1..=sandbox.restart_max_ms).contains(&sandbox.restart_first_ms),
        "sandbox.restart_first_ms",
        "must be from 1 to sandbox.restart_max_ms",
    );

    let plugins = &config.plugins;
    require(
        (1..=http.max_body_mb).contains(&plugins.component_max_mb),
        "plugins.component_max_mb",
        "must be from 1 to http.max_body_mb",
    );
    require((1..=64).contains(&plugins.compiles_at_once), "plugins.compiles_at_once", "must be from 1 to 64");
    require(plugins.compile_timeout_seconds > 0, "plugins.compile_timeout_seconds", "must be at least 1");
    require(plugins.compile_cpu_seconds > 0, "plugins.compile_cpu_seconds", "must be at least 1");
    require(plugins.compile_memory_mb >= 256, "plugins.compile_memory_mb", "must be at least 256");
    require((2..=1000).contains(&plugins.versions_kept), "plugins.versions_kept", "must be from 2 to 1000");
    require(plugins.per_tenant > 0, "plugins.per_tenant", "must be at least 1");
    require(plugins.canary_calls > 0, "plugins.canary_calls", "must be at least 1");
    require((10..=100_000).contains(&plugins.log_lines), "plugins.log_lines", "must be from 10 to 100000");

    let automations = &config.automations;
    require((1..=10_000).contains(&automations.in_flight), "automations.in_flight", "must be from 1 to 10000");
    require(
        (1..=automations.in_flight).contains(&automations.in_flight_per_tenant),
        "automations.in_flight_per_tenant",
        "must be from 1 to automations.in_flight",
    );
    require(
        !automations.retry_seconds.is_empty() && automations.retry_seconds.iter().all(|s| (1..=86_400).contains(s)),
        "automations.retry_seconds",
        "must have at least one pause, each from 1 to 86400",
    );
    require(automations.events_per_minute > 0, "automations.events_per_minute", "must be at least 1");
    require((1..=100_000).contains(&automations.record_keep), "automations.record_keep", "must be from 1 to 100000");
    require(
        (10..=automations.cpu_max_ms).contains(&automations.cpu_ms),
        "automations.cpu_ms",
        "must be from 10 to automations.cpu_max_ms",
    );
    require(
        (4..=automations.memory_max_mb).contains(&automations.memory_mb),
        "automations.memory_mb",
        "must be from 4 to automations.memory_max_mb",
    );
    require(automations.memory_max_mb <= 4096, "automations.memory_max_mb", "must be at most 4096");
    require(automations.call_timeout_seconds > 0, "automations.call_timeout_seconds", "must be at least 1");
    require(automations.http_timeout_seconds > 0, "automations.http_timeout_seconds", "must be at least 1");
    require(automations.http_per_tenant > 0, "automations.http_per_tenant", "must be at least 1");
    require(
        (1..=100_000).contains(&automations.tenant_cpu_percent),
        "automations.tenant_cpu_percent",
        "must be from 1 to 100000",
    );

    let demo = &config.demo;
    require(demo.smtp_listen.ip().is_loopback(), "demo.smtp_listen", "must be a loopback address");
    require(demo.page_listen.ip().is_loopback(), "demo.page_listen", "must be a loopback address");
    require((1..=100_000).contains(&demo.max_mails), "demo.max_mails", "must be from 1 to 100000");
    require(
        config.log.level.parse::<tracing_subscriber::filter::targets::Targets>().is_ok(),
        "log.level",
        "must be error, warn, info, debug or trace, or a list like \"info,pombo_scheduler=debug\"",
    );
    problems
}

fn public_url_ok(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
    })
}

/// Whether it is the origin of web pages, or `*` for every one.
fn origin_ok(text: &str) -> bool {
    text == "*" || (!text.is_empty() && public_url_ok(text))
}

/// Whether it is an address, a network, a host name or `*.domain`.
fn target_ok(entry: &str) -> bool {
    let host = entry.strip_prefix("*.").unwrap_or(entry);
    parse_network(entry).is_some()
        || (!host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
            && host.bytes().any(|b| b.is_ascii_alphabetic()))
}
