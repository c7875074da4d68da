//! What a plugin says of its channel beyond messages, checked: how the channel proves its requests, by which field connectors share an
//! address or an audience, and what it demands of senders.

use pombo_domain::model::rules::category_named;
use pombo_domain::model::{
    AudienceRule, Bucket, OptOutCategory, Rules, Setting, TemplateCategory, Throughput, Undelivered,
};
use pombo_domain::ports::{OwnKind, Proof};
use serde_json::Value;

use crate::bindings::types as wit;
use crate::limits::cut;
use crate::worlds::names::{NAME_BYTES, NAMES, is_name};

/// Proofs of one description.
const PROOFS: usize = 8;
/// Bytes of what stands before a signature.
const PREFIX_BYTES: usize = 32;
/// Bytes of a request's method.
const METHOD_BYTES: usize = 16;
/// The longest reply window and audience window.
const WINDOW_HOURS: u32 = 366 * 24;
/// The longest pause of a bucket.
const REFILL_MS: u64 = 24 * 3_600_000;
/// The largest rate and burst.
const RATE: u32 = 1_000_000;
/// Rules of what is not delivered.
const UNDELIVERED: usize = 8;
/// Beginnings of addresses in all of these rules together: each recipient of a campaign is compared with all of them.
const BEGINNINGS: usize = 1_000;
/// Bytes of the beginning of an address.
const BEGINNING_BYTES: usize = 32;
/// Categories that people may refuse.
const OPT_OUTS: usize = 16;
/// Bytes of the text of a setting.
const SETTING_BYTES: usize = 256;
/// Bytes of what such a rule says to people; more is cut.
const DETAIL_BYTES: usize = 256;

/// The fields of a configuration, as its description declares them.
pub(super) struct Fields<'d> {
    /// Its schema.
    pub(super) schema: &'d Value,
    /// Those that are secret.
    pub(super) secret: &'d [String],
}

impl Fields<'_> {
    /// A field that holds a secret. `Err` says what is wrong with it; `of` is what names it.
    fn secret(&self, of: &str, field: String) -> Result<String, String> {
        if self.secret.contains(&field) {
            return Ok(field);
        }
        let field = cut(&field, NAME_BYTES);
        Err(format!("its {of} names the field {field:?}, which is not among its secret fields"))
    }

    /// A top-level field by whose value connectors share something. A secret is never compared.
    pub(super) fn shared(&self, of: &str, field: String) -> Result<String, String> {
        let shown = || cut(&field, NAME_BYTES);
        if self.schema.get("properties").and_then(|properties| properties.get(&field)).is_none() {
            return Err(format!("its {of} names the field {:?}, which its configuration does not have", shown()));
        }
        if self.secret.contains(&field) {
            return Err(format!("its {of} names the field {:?}, which is secret", shown()));
        }
        Ok(field)
    }
}

/// Whether it may be the name of a header in lower case.
fn is_header(name: &str) -> bool {
    (1..=NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether it is printable ASCII without blanks.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

/// How the channel proves its requests. `Err` says what is wrong with it.
pub(super) fn proofs(said: Vec<wit::Proof>, fields: &Fields<'_>) -> Result<Vec<Proof>, String> {
    if said.len() > PROOFS {
        return Err(format!("its proofs must be at most {PROOFS}"));
    }
    said.into_iter().map(|proof| one_proof(proof, fields)).collect()
}

fn one_proof(said: wit::Proof, fields: &Fields<'_>) -> Result<Proof, String> {
    match said {
        wit::Proof::BodyHmac(wit::BodyHmac { header, prefix, secret }) => {
            if !is_header(&header) {
                let shown = cut(&header, NAME_BYTES);
                return Err(format!(
                    "its proof body-hmac has the header {shown:?}, but it must be a name in lower case"
                ));
            }
            if prefix.len() > PREFIX_BYTES || !is_plain(&prefix) {
                return Err(format!(
                    "the prefix of its proof body-hmac must have at most {PREFIX_BYTES} characters of ASCII without blanks"
                ));
            }
            Ok(Proof::BodyHmac { header, prefix, secret: fields.secret("proof body-hmac", secret)? })
        }
        wit::Proof::QuerySecret(wit::QuerySecret { parameter, secret, method }) => {
            if parameter.is_empty() || parameter.len() > NAME_BYTES || !is_plain(&parameter) {
                return Err(format!(
                    "the parameter of its proof query-secret must have 1 to {NAME_BYTES} characters of ASCII without blanks"
                ));
            }
            let letters = method.bytes().all(|b| b.is_ascii_uppercase());
            if method.is_empty() || method.len() > METHOD_BYTES || !letters {
                return Err("the method of its proof query-secret must be in upper case, e.g. GET".to_owned());
            }
            Ok(Proof::QuerySecret { parameter, secret: fields.secret("proof query-secret", secret)?, method })
        }
    }
}

/// What the channel demands of senders. `Err` says what is wrong with it; `contents` are the plugin's own kinds.
pub(super) fn rules(said: wit::Rules, fields: &Fields<'_>, contents: &[OwnKind]) -> Result<Rules, String> {
    let reply_window_ms = match said.reply_window_seconds {
        None => None,
        Some(seconds) if (1..=WINDOW_HOURS * 3_600).contains(&seconds) => Some(i64::from(seconds) * 1_000),
        Some(_) => return Err("its reply window must have 1 second to 366 days".to_owned()),
    };
    if said.outside_window.len() > NAMES {
        return Err(format!("its rules must name at most {NAMES} kinds outside of the reply window"));
    }
    for kind in &said.outside_window {
        if !is_name(kind) || !contents.iter().any(|own| own.name == *kind) {
            let shown = cut(kind, NAME_BYTES);
            return Err(format!(
                "its rules name the kind {shown:?} outside of the reply window, which is not among its contents"
            ));
        }
    }
    Ok(Rules {
        reply_window_ms,
        outside_window: said.outside_window,
        recipient_rate: said.recipient_rate.map(bucket).transpose()?,
        throughput: said.throughput.map(throughput).transpose()?,
        audience: said.audience.map(|said| audience(said, fields)).transpose()?,
        undelivered: undelivered(said.undelivered, contents)?,
        opt_out_categories: opt_outs(said.opt_out_categories)?,
        cleaned_values: said.cleaned_values.map(|said| setting("cleaned-values", said, fields)).transpose()?,
    })
}

fn opt_outs(said: Vec<wit::OptOutCategory>) -> Result<Vec<OptOutCategory>, String> {
    if said.len() > OPT_OUTS {
        return Err(format!("its categories that people may refuse must be at most {OPT_OUTS}"));
    }
    let mut kept: Vec<OptOutCategory> = Vec::with_capacity(said.len());
    for wit::OptOutCategory { name, category } in said {
        if !(1..=NAME_BYTES).contains(&name.len()) || kept.iter().any(|known| known.name == name) {
            let shown = cut(&name, NAME_BYTES);
            return Err(format!(
                "its category {shown:?} that people may refuse must have a name of 1 to {NAME_BYTES} bytes, each name once"
            ));
        }
        let Some(category) = category_named(&category) else {
            let (name, category) = (cut(&name, NAME_BYTES), cut(&category, NAME_BYTES));
            return Err(format!(
                "its category {name:?} that people may refuse is {category:?} here; use marketing, utility, authentication, \
                support, reminder or general"
            ));
        };
        kept.push(OptOutCategory { name, category });
    }
    Ok(kept)
}

/// A setting of connectors; `of` is what names it.
fn setting(of: &str, said: wit::Setting, fields: &Fields<'_>) -> Result<Setting, String> {
    if said.value.is_empty() || said.value.len() > SETTING_BYTES {
        return Err(format!("the setting of its {of} must be a text of 1 to {SETTING_BYTES} bytes"));
    }
    Ok(Setting { field: fields.shared(of, said.field)?, value: said.value })
}

fn undelivered(said: Vec<wit::Undelivered>, contents: &[OwnKind]) -> Result<Vec<Undelivered>, String> {
    if said.len() > UNDELIVERED {
        return Err(format!("its rules of what is not delivered must be at most {UNDELIVERED}"));
    }
    if said.iter().map(|rule| rule.beginnings.len()).sum::<usize>() > BEGINNINGS {
        return Err(format!(
            "its rules of what is not delivered must have at most {BEGINNINGS} beginnings of addresses"
        ));
    }
    said.into_iter().map(|rule| one_undelivered(rule, contents)).collect()
}

fn one_undelivered(said: wit::Undelivered, contents: &[OwnKind]) -> Result<Undelivered, String> {
    let wit::Undelivered { kind, category, beginnings, detail } = said;
    if let Some(kind) = kind.as_deref().filter(|kind| !contents.iter().any(|own| own.name == **kind)) {
        let shown = cut(kind, NAME_BYTES);
        return Err(format!("its rules say that the kind {shown:?} is not delivered, which is not among its contents"));
    }
    let Some(category) = TemplateCategory::parse(&category) else {
        let shown = cut(&category, NAME_BYTES);
        return Err(format!(
            "its rules say that the category {shown:?} is not delivered; use marketing, utility or authentication"
        ));
    };
    if beginnings.is_empty() || !beginnings.iter().all(|one| (1..=BEGINNING_BYTES).contains(&one.len())) {
        return Err(format!(
            "its rules of what is not delivered must have beginnings of addresses, of 1 to {BEGINNING_BYTES} bytes"
        ));
    }
    if detail.trim().is_empty() {
        return Err("its rules of what is not delivered must say why".to_owned());
    }
    let detail = cut(detail.trim(), DETAIL_BYTES);
    Ok(Undelivered { kind, category: category.message_type(), beginnings, detail })
}

fn bucket(said: wit::Bucket) -> Result<Bucket, String> {
    if !(1..=RATE).contains(&said.burst) || !(1..=REFILL_MS).contains(&said.refill_millis) {
        return Err(format!(
            "its rate of one recipient must have a burst of 1 to {RATE} and a pause of 1 millisecond to one day"
        ));
    }
    Ok(Bucket { burst: said.burst, refill_ms: said.refill_millis as i64 })
}

fn throughput(said: wit::Throughput) -> Result<Throughput, String> {
    if !(1..=RATE).contains(&said.per_second) {
        return Err(format!("its throughput must be 1 to {RATE} messages per second"));
    }
    Ok(Throughput { per_second: said.per_second, counts_received: said.counts_received })
}

fn audience(said: wit::Audience, fields: &Fields<'_>) -> Result<AudienceRule, String> {
    if !(1..=WINDOW_HOURS).contains(&said.window_hours) {
        return Err("the window of its audience must have 1 hour to 366 days".to_owned());
    }
    if said.limit == Some(0) {
        return Err("the limit of its audience must be at least 1, or absent for none".to_owned());
    }
    let shared_by = said.shared_by.map(|field| fields.shared("audience", field)).transpose()?;
    Ok(AudienceRule { shared_by, limit: said.limit, window_ms: i64::from(said.window_hours) * 3_600_000 })
}

#[cfg(test)]
mod tests {
    use pombo_domain::model::MessageType;
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({"type": "object", "properties": {"app": {"type": "string"}, "key": {"type": "string"}, "word": {}}})
    }

    fn hmac(header: &str, prefix: &str, secret: &str) -> wit::Proof {
        let (header, prefix, secret) = (header.to_owned(), prefix.to_owned(), secret.to_owned());
        wit::Proof::BodyHmac(wit::BodyHmac { header, prefix, secret })
    }

    fn query(parameter: &str, secret: &str, method: &str) -> wit::Proof {
        let (parameter, secret, method) = (parameter.to_owned(), secret.to_owned(), method.to_owned());
        wit::Proof::QuerySecret(wit::QuerySecret { parameter, secret, method })
    }

    fn said() -> wit::Rules {
        wit::Rules {
            reply_window_seconds: Some(86_400),
            outside_window: vec!["template".to_owned()],
            recipient_rate: Some(wit::Bucket { burst: 45, refill_millis: 6_000 }),
            throughput: Some(wit::Throughput { per_second: 80, counts_received: true }),
            audience: Some(wit::Audience { shared_by: Some("app".to_owned()), limit: Some(250), window_hours: 24 }),
            undelivered: vec![lost()],
            opt_out_categories: vec![refusable("promos", "marketing")],
            cleaned_values: Some(cleaned("app", "clean")),
        }
    }

    fn refusable(name: &str, category: &str) -> wit::OptOutCategory {
        wit::OptOutCategory { name: name.to_owned(), category: category.to_owned() }
    }

    fn cleaned(field: &str, value: &str) -> wit::Setting {
        wit::Setting { field: field.to_owned(), value: value.to_owned() }
    }

    fn lost() -> wit::Undelivered {
        wit::Undelivered {
            kind: Some("template".to_owned()),
            category: "marketing".to_owned(),
            beginnings: vec!["1212".to_owned()],
            detail: "nobody gets\nit there ".to_owned(),
        }
    }

    fn refused<T: std::fmt::Debug>(result: Result<T, String>, why: &str) {
        let said = result.expect_err(why);
        assert!(said.contains(why), "{said:?} does not say {why:?}");
    }

    #[test]
    fn proofs_name_secret_fields_and_have_names_that_a_request_can_have() {
        let (schema, secret) = (schema(), ["key".to_owned(), "word".to_owned()]);
        let fields = Fields { schema: &schema, secret: &secret };
        let with = |proof| proofs(vec![proof], &fields);
        let both = proofs(
            vec![hmac("x-hub-signature-256", "sha256=", "key"), query("hub.verify_token", "word", "GET")],
            &fields,
        );
        let both = both.expect("they are good");
        assert_eq!(both.iter().map(Proof::secret).collect::<Vec<_>>(), ["key", "word"]);
        refused(with(hmac("x-signature", "", "app")), "not among its secret fields");
        refused(with(query("token", "none", "GET")), "not among its secret fields");
        for header in ["", "X-Signature", "a b", "x\r\ny", &"x".repeat(65)] {
            refused(with(hmac(header, "", "key")), "lower case");
        }
        refused(with(hmac("x", "a b", "key")), "prefix");
        refused(with(hmac("x", &"x".repeat(33), "key")), "prefix");
        refused(with(query("", "word", "GET")), "parameter");
        for method in ["", "get", "G T", "ABCDEFGHIJKLMNOPQ"] {
            refused(with(query("token", "word", method)), "upper case");
        }
        refused(proofs((0..9).map(|_| hmac("x", "", "key")).collect(), &fields), "at most 8");
    }

    #[test]
    fn what_is_shared_is_shared_by_an_open_field_of_the_configuration() {
        let (schema, secret) = (schema(), ["key".to_owned()]);
        let fields = Fields { schema: &schema, secret: &secret };
        assert_eq!(fields.shared("shared-address", "app".to_owned()), Ok("app".to_owned()));
        refused(fields.shared("shared-address", "none".to_owned()), "does not have");
        refused(fields.shared("shared-address", "key".to_owned()), "secret");
    }

    #[test]
    fn rules_are_kept_within_bounds() {
        let (schema, secret) = (schema(), ["key".to_owned()]);
        let fields = Fields { schema: &schema, secret: &secret };
        let contents = [OwnKind { name: "template".to_owned(), schema: None }];
        let with = |said| rules(said, &fields, &contents);
        let kept = with(said()).expect("they are good");
        assert_eq!(
            (kept.reply_window_ms, kept.outside_window.as_slice()),
            (Some(86_400_000), &["template".to_owned()][..])
        );
        assert_eq!(kept.recipient_rate, Some(Bucket { burst: 45, refill_ms: 6_000 }));
        assert_eq!(kept.throughput, Some(Throughput { per_second: 80, counts_received: true }));
        let shared_by = Some("app".to_owned());
        assert_eq!(kept.audience, Some(AudienceRule { shared_by, limit: Some(250), window_ms: 86_400_000 }));
        for (seconds, hours) in [(Some(0), 24), (Some(u32::MAX), 24), (None, 0), (None, 366 * 24 + 1)] {
            let audience = wit::Audience { shared_by: None, limit: None, window_hours: hours };
            let wrong = wit::Rules { reply_window_seconds: seconds, audience: Some(audience), ..said() };
            refused(with(wrong), "366 days");
        }
        let audience = |shared_by: Option<&str>, limit| {
            let shared_by = shared_by.map(str::to_owned);
            wit::Rules { audience: Some(wit::Audience { shared_by, limit, window_hours: 24 }), ..said() }
        };
        refused(with(audience(Some("none"), None)), "does not have");
        refused(with(audience(None, Some(0))), "at least 1");
        refused(with(wit::Rules { outside_window: vec!["poll".to_owned()], ..said() }), "not among its contents");
        for (burst, refill_millis) in [(0, 1), (1, 0), (1, REFILL_MS + 1)] {
            refused(with(wit::Rules { recipient_rate: Some(wit::Bucket { burst, refill_millis }), ..said() }), "burst");
        }
        let throughput = Some(wit::Throughput { per_second: 0, counts_received: false });
        refused(with(wit::Rules { throughput, ..said() }), "per second");
    }

    #[test]
    fn categories_that_people_refuse_and_settings_are_kept_within_bounds() {
        let (schema, secret) = (schema(), ["key".to_owned()]);
        let fields = Fields { schema: &schema, secret: &secret };
        let with = |said| rules(said, &fields, &[OwnKind { name: "template".to_owned(), schema: None }]);
        let kept = with(said()).expect("they are good");
        let promos = OptOutCategory { name: "promos".to_owned(), category: MessageType::Marketing };
        assert_eq!(kept.opt_out_categories, [promos]);
        assert_eq!(kept.cleaned_values, Some(Setting { field: "app".to_owned(), value: "clean".to_owned() }));
        let opt_outs = |opt_out_categories| with(wit::Rules { opt_out_categories, ..said() });
        refused(opt_outs(vec![refusable("promos", "MARKETING")]), "use marketing");
        refused(opt_outs(vec![refusable("", "marketing")]), "1 to 64 bytes");
        refused(opt_outs(vec![refusable("x", "marketing"), refusable("x", "utility")]), "each name once");
        refused(opt_outs((0..17).map(|n| refusable(&n.to_string(), "marketing")).collect()), "at most 16");
        let clean = |setting| with(wit::Rules { cleaned_values: Some(setting), ..said() });
        refused(clean(cleaned("none", "clean")), "does not have");
        refused(clean(cleaned("key", "clean")), "secret");
        refused(clean(cleaned("app", "")), "1 to 256 bytes");
    }

    #[test]
    fn what_is_not_delivered_names_kinds_categories_and_addresses_within_bounds() {
        let (schema, secret) = (schema(), ["key".to_owned()]);
        let fields = Fields { schema: &schema, secret: &secret };
        let contents = [OwnKind { name: "template".to_owned(), schema: None }];
        let with = |undelivered| rules(wit::Rules { undelivered, ..said() }, &fields, &contents);
        let kept = with(vec![lost(), wit::Undelivered { kind: None, ..lost() }]).expect("they are good").undelivered;
        let first = Undelivered {
            kind: Some("template".to_owned()),
            category: MessageType::Marketing,
            beginnings: vec!["1212".to_owned()],
            detail: "nobody gets it there".to_owned(),
        };
        assert_eq!((kept.len(), kept[1].kind.as_deref(), &kept[0]), (2, None, &first));
        refused(with(vec![wit::Undelivered { kind: Some("poll".to_owned()), ..lost() }]), "not among its contents");
        refused(with(vec![wit::Undelivered { category: "MARKETING".to_owned(), ..lost() }]), "use marketing");
        refused(with(vec![wit::Undelivered { detail: " ".to_owned(), ..lost() }]), "say why");
        for beginnings in [Vec::new(), vec![String::new()], vec!["1".repeat(33)]] {
            refused(with(vec![wit::Undelivered { beginnings, ..lost() }]), "1 to 32 bytes");
        }
        let many = wit::Undelivered { beginnings: vec!["1".to_owned(); 501], ..lost() };
        refused(with(vec![many.clone(), many]), "at most 1000 beginnings");
        refused(with((0..9).map(|_| lost()).collect()), "at most 8");
    }
}
