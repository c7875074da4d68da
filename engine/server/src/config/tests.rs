//! What an operator sees of the configuration.

use std::io::Write;
use std::path::PathBuf;

use super::layers::ConfigError;
use super::{Config, Overrides, load, parse_proxy_host};

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn with_file(text: &str, pairs: &[(&str, &str)], overrides: &Overrides) -> Result<Config, ConfigError> {
    let mut file = tempfile::NamedTempFile::new().expect("temporary file");
    file.write_all(text.as_bytes()).expect("written");
    load(Some(file.path()), variables(pairs), overrides)
}

fn message(result: Result<Config, ConfigError>) -> String {
    match result {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_defaults_alone_are_valid() {
    let config = load(None, [], &Overrides::default()).expect("the defaults");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.public_url(), "http://127.0.0.1:8080");
    assert!(config.http.hosts.is_empty());
}

#[test]
fn the_file_wins_over_the_defaults_variables_over_the_file_and_the_command_line_over_all() {
    let file = "[http]\nlisten = \"127.0.0.1:1\"\nmax_body_mb = 777\n[http.hosts]\n\"queue.example.com\" = \"sendsync\"\n[log]\nlevel = \"warn\"\n";
    let env = [("POMBO_HTTP__LISTEN", "127.0.0.1:2"), ("POMBO_LOG__LEVEL", "debug"), ("HOME", "/root")];
    let config = with_file(file, &env, &Overrides::default()).expect("valid");
    assert_eq!(config.http.listen.port(), 2);
    assert_eq!(config.http.max_body_mb, 777);
    assert_eq!(config.http.hosts["queue.example.com"], "sendsync");
    assert_eq!(config.log.level, "debug");
    assert_eq!(config.http.header_timeout_seconds, 30);

    let command_line = Overrides { listen: Some(([127, 0, 0, 1], 3).into()), data: Some(PathBuf::from("elsewhere")) };
    let config = with_file(file, &env, &command_line).expect("valid");
    assert_eq!(config.http.listen.port(), 3);
    assert_eq!(config.in_data("x"), PathBuf::from("elsewhere/x"));
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_key() {
    let text = message(with_file("[http]\nlissten = \"127.0.0.1:1\"\n", &[], &Overrides::default()));
    assert!(text.contains("`http.lissten`") && text.contains("the file ") && text.contains("`http.listen`"), "{text}");

    let text = message(load(None, variables(&[("POMBO_HTTP__LISTN", "127.0.0.1:1")]), &Overrides::default()));
    assert!(text.contains("POMBO_HTTP__LISTN") && text.contains("`POMBO_HTTP__LISTEN`"), "{text}");

    for bad in ["[htp]\n", "speed = 3\n", "[http.listen]\nx = 1\n"] {
        assert!(with_file(bad, &[], &Overrides::default()).is_err(), "{bad}");
    }
    let clients = [("POMBO_URL", "http://127.0.0.1:1"), ("POMBO_API_KEY", "sk"), ("POMBO_TENANT", "t")];
    assert!(load(None, variables(&clients), &Overrides::default()).is_ok(), "they are for `pombo plugin`");
    let text = message(load(None, variables(&[("POMBO_NONSENSE", "1")]), &Overrides::default()));
    assert!(text.contains("POMBO_NONSENSE"), "{text}");
}

#[test]
fn a_wrong_value_names_its_key_and_source_and_never_shows_the_value() {
    let text = message(load(None, variables(&[("POMBO_HTTP__MAX_BODY_MB", "many")]), &Overrides::default()));
    assert!(text.contains("http.max_body_mb") && text.contains("POMBO_HTTP__MAX_BODY_MB"), "{text}");

    let text = message(load(None, variables(&[("POMBO_OPERATOR_TOKEN", "hunter2")]), &Overrides::default()));
    assert!(text.contains("security.operator_token") && !text.contains("hunter2"), "{text}");

    let text = message(with_file("[http.hosts]\n\"a.example\" = \"nothing\"\n", &[], &Overrides::default()));
    assert!(text.contains("a.example") && text.contains("sendsync"), "{text}");

    let text = message(with_file("[outbound]\nallow = [\"10.0.0.0/99\"]\n", &[], &Overrides::default()));
    assert!(text.contains("outbound.allow"), "{text}");

    for bad in ["app.example.com", "https://app.example.com/path", ""] {
        let file = format!("[zapini]\ncors_origins = [\"https://app.example.com\", \"*\", \"{bad}\"]\n");
        let text = message(with_file(&file, &[], &Overrides::default()));
        assert!(text.contains("zapini.cors_origins"), "{text}");
    }

    let text = message(with_file("[log]\nformat = \"xml\"\n", &[], &Overrides::default()));
    assert!(text.contains("log.format") && text.contains("json"), "{text}");
}

#[test]
fn variables_take_lists_with_commas_numbers_for_texts_and_the_two_short_names() {
    let env = [
        ("POMBO_OUTBOUND__ALLOW", "127.0.0.0/8, files.internal"),
        ("POMBO_WEBHOOKS__RETRY_SECONDS", "1,2,3"),
        ("POMBO_SECRET_KEY", "1234567890123456789012345678901234567890123456789012345678901234"),
        ("POMBO_SECURITY__OPERATOR_TOKEN", "123456789012345678901234567890"),
    ];
    let config = load(None, variables(&env), &Overrides::default()).expect("valid");
    assert_eq!(config.outbound.allow, ["127.0.0.0/8", "files.internal"]);
    assert_eq!(config.webhooks.retry_seconds, [1, 2, 3]);
    assert!(config.security.secret_key.starts_with("1234"));
    assert_eq!(config.security.operator_token.len(), 30);
}

#[test]
fn a_price_is_a_category_with_or_without_the_beginning_of_an_address() {
    use super::parse_price;
    assert_eq!(parse_price("marketing", "0.0625"), Some(("marketing", "", 62_500)));
    assert_eq!(parse_price("utility/55", "2"), Some(("utility", "55", 2_000_000)));
    for (key, price) in
        [("advert", "1"), ("marketing", "0,5"), ("marketing", "-1"), ("marketing", "0.1234567"), ("marketing", "")]
    {
        assert_eq!(parse_price(key, price), None, "{key} {price}");
    }
    let config =
        with_file("[campaigns.prices]\n\"marketing/55\" = \"0.06\"\n", &[], &Overrides::default()).expect("valid");
    assert_eq!(config.campaigns.prices["marketing/55"], "0.06");
    let text = message(with_file("[campaigns.prices]\n\"advert\" = \"1\"\n", &[], &Overrides::default()));
    assert!(text.contains("campaigns.prices.\"advert\""), "{text}");
}

#[test]
fn a_listed_proxy_is_a_host_with_or_without_a_port() {
    assert_eq!(parse_proxy_host("proxy.example"), Some(("proxy.example", None)));
    assert_eq!(parse_proxy_host("proxy.example:1080"), Some(("proxy.example", Some(1080))));
    assert_eq!(parse_proxy_host("[fd00::1]:1080"), Some(("fd00::1", Some(1080))));
    for wrong in ["", ":1", "a:b", "a b", "http://a", "[fd00::1]", "[a]:1", "a:99999", "*.example"] {
        assert_eq!(parse_proxy_host(wrong), None, "{wrong}");
    }
    let wrong = with_file("[sandbox]\nproxy_hosts = [\"http://a\"]", &[], &Overrides::default());
    assert!(message(wrong).contains("sandbox.proxy_hosts"));
    let listed = "[sandbox]\nproxies = \"listed\"\nproxy_hosts = [\"10.0.0.0/8\", \"gate.lan:1080\"]";
    assert!(with_file(listed, &[], &Overrides::default()).is_ok());
}
