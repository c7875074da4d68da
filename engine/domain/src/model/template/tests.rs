//! Templates filled, shown and checked.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::model::message::MessageAction;

pub(super) fn template(format: TemplateFormat, components: Value) -> Template {
    Template {
        number: 7,
        id: Uuid::from_u128(7),
        tenant: TenantIndex(1),
        connector: Some(ConnectorIndex(1)),
        name: "order_ready".to_owned(),
        language: Some("pt_BR".to_owned()),
        category: TemplateCategory::Utility,
        format,
        status: TemplateStatus::Approved,
        quality: Quality::Unknown,
        reason: None,
        remote_id: Some("1".to_owned()),
        components: read_components(&components).expect("well formed"),
        variable_names: Vec::new(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What travels, and what people read.
fn filled(template: &Template, pairs: &[(&str, &str)], header: Option<&HeaderMedia>) -> (Value, String) {
    let filled = template.fill(&values(pairs), header).expect("complete");
    let MessageAction::Other(own) = filled.action else { panic!("content of the connector's own") };
    assert_eq!(own.kind, CONTENT_KIND);
    (serde_json::from_str(&own.value).expect("JSON"), filled.text)
}

/// The names that are wrong.
fn wrong(template: &Template, pairs: &[(&str, &str)], header: Option<&HeaderMedia>) -> Vec<String> {
    let problems = template.fill(&values(pairs), header).expect_err("something is wrong");
    problems.into_iter().map(|problem| problem.name).collect()
}

fn names(template: &Template) -> Vec<String> {
    template.variables().into_iter().map(|variable| variable.name).collect()
}

pub(super) fn order() -> Template {
    let components = json!([
        {"type": "header", "format": "text", "text": "Pedido {{pedido}}", "examples": {"pedido": "#1"}},
        {"type": "body", "text": "Olá {{nome}}, pedido {{pedido}} pronto.", "examples": {"nome": "Ana", "pedido": "#1"}},
        {"type": "footer", "text": "Loja"},
        {"type": "buttons", "buttons": [
            {"type": "url", "text": "Ver", "url": "https://x.com/{{1}}", "example": "https://x.com/1"},
            {"type": "quick-reply", "text": "Ok"}]}
    ]);
    template(TemplateFormat::Named, components)
}

#[test]
fn named_variables_are_shared_by_header_and_body() {
    let order = order();
    assert_eq!(names(&order), ["pedido", "nome", "button.0", "button.1"]);
    let shown: Vec<_> = order.variables().into_iter().map(|one| (one.example, one.required)).collect();
    let own = |text: &str| Some(text.to_owned());
    assert_eq!(shown, [(own("#1"), true), (own("Ana"), true), (own("1"), true), (None, false)]);
    let (sent, text) = filled(&order, &[("nome", "João"), ("pedido", "#123"), ("button.0", "123")], None);
    let expected = json!({
        "name": "order_ready", "language": "pt_BR", "format": "named", "category": "utility",
        "header": {"format": "text", "values": [{"name": "pedido", "value": "#123"}]},
        "body": [{"name": "nome", "value": "João"}, {"name": "pedido", "value": "#123"}],
        "buttons": [{"index": 0, "type": "url", "value": "123"}]
    });
    assert_eq!(sent, expected);
    assert_eq!(text, "Pedido #123\nOlá João, pedido #123 pronto.\nLoja\n[Ver]\n[Ok]");
    assert_eq!(order.preview(&values(&[])), "Pedido #1\nOlá Ana, pedido #1 pronto.\nLoja\n[Ver]\n[Ok]");
    let (sent, _) = filled(&order, &[("nome", "J"), ("pedido", "1"), ("button.0", "1"), ("button.1", "OK-1")], None);
    assert_eq!(sent["buttons"][1], json!({"index": 1, "type": "quick-reply", "value": "OK-1"}));
}

#[test]
fn numbered_variables_are_the_headers_own_and_stand_in_their_order() {
    let components = json!([
        {"type": "header", "format": "text", "text": "N {{1}} x", "examples": {"1": "a"}},
        {"type": "body", "text": "Oi {{2}} e {{1}} aí", "examples": {"1": "b", "2": "c"}}
    ]);
    let one = template(TemplateFormat::Positional, components);
    assert_eq!(names(&one), ["header.1", "1", "2"]);
    let (sent, text) = filled(&one, &[("header.1", "h"), ("1", "um"), ("2", "dois")], None);
    assert_eq!(sent["header"]["values"], json!([{"name": "1", "value": "h"}]));
    assert_eq!(sent["body"], json!([{"name": "1", "value": "um"}, {"name": "2", "value": "dois"}]));
    assert_eq!(text, "N h x\nOi dois e um aí");
}

#[test]
fn each_wrong_value_is_named() {
    let order = order();
    let good = [("nome", "Ana"), ("pedido", "1"), ("button.0", "1")];
    assert_eq!(wrong(&order, &[], None), ["pedido", "nome", "button.0"]);
    let long = "x".repeat(MAX_VALUE_CHARS + 1);
    for bad in ["", " ", "a\nb", "a\tb", "a     b", "a\u{1}b", long.as_str()] {
        let given = [("nome", bad), ("pedido", "1"), ("button.0", "1")];
        assert_eq!(wrong(&order, &given, None), ["nome"], "{bad:?}");
    }
    let extra = [good.as_slice(), &[("nada", "x"), ("header", "https://x.com/")]].concat();
    assert_eq!(wrong(&order, &extra, None), ["header", "nada"]);
    assert_eq!(wrong(&order, &good, Some(&HeaderMedia::Id("1".to_owned()))), ["header"]);
    let four = [("nome", "a    b"), ("pedido", "1"), ("button.0", "1")];
    assert!(order.fill(&values(&four), None).is_ok(), "four spaces are allowed");
}

#[test]
fn a_text_must_not_become_too_long_with_its_values() {
    let order = order();
    let with = |pedido: usize, nome: usize| {
        let (pedido, nome) = ("p".repeat(pedido), "ã".repeat(nome));
        let given = [("nome", nome.as_str()), ("pedido", pedido.as_str()), ("button.0", "1")];
        order
            .fill(&values(&given), None)
            .map_err(|problems| problems.into_iter().map(|problem| (problem.name, problem.problem)).collect::<Vec<_>>())
    };
    // "Pedido " and 53 are 60; "Olá , pedido  pronto." are 21.
    assert!(with(53, 1024 - 21 - 53).is_ok());
    let header = with(54, 1).expect_err("a header has 60 characters");
    assert_eq!(header.len(), 1);
    assert!(header[0].0 == "pedido" && header[0].1.contains("the header has 61 characters"), "{header:?}");
    let body = with(53, 1024 - 21 - 52).expect_err("a body has 1024 characters");
    assert_eq!(body.len(), 1);
    assert!(body[0].0 == "nome" && body[0].1.contains("the body has 1025 characters"), "{body:?}");
    // What no channel keeps has no such limits.
    let own = Template { connector: None, ..order.clone() };
    let given = [("nome", "Ana"), ("pedido", "p".repeat(54).as_str()), ("button.0", "1")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert!(own.fill(&given.into_iter().collect(), None).is_ok());
}

#[test]
fn a_header_that_is_a_file_must_be_given() {
    for format in ["image", "video", "document"] {
        let components = json!([{"type": "header", "format": format}, {"type": "body", "text": "Oi"}]);
        let one = template(TemplateFormat::Named, components);
        assert_eq!(names(&one), ["header"]);
        assert_eq!(wrong(&one, &[], None), ["header"]);
        assert_eq!(wrong(&one, &[("header", "ftp://x")], None), ["header"]);
        let link = || "https://x.com/a.png".to_owned();
        let of = |media: Value| json!({"format": format, "media": media});
        for (header, media) in [
            (HeaderMedia::Link(link()), json!({"link": link()})),
            (HeaderMedia::Id("M1".to_owned()), json!({"id": "M1"})),
            (HeaderMedia::Attachment, json!({"attachment": 0})),
        ] {
            assert_eq!(filled(&one, &[], Some(&header)).0["header"], of(media));
        }
        assert_eq!(filled(&one, &[("header", &link())], None).0["header"], of(json!({"link": link()})));
        let place = HeaderMedia::Location { latitude: 0.0, longitude: 0.0, title: None, address: None };
        assert_eq!(wrong(&one, &[], Some(&place)), ["header"]);
    }
}

#[test]
fn a_header_that_is_a_place_takes_degrees() {
    let components = json!([{"type": "header", "format": "location"}, {"type": "body", "text": "Oi"}]);
    let one = template(TemplateFormat::Named, components);
    let given = [("header.latitude", "-23.5"), ("header.longitude", "-46.6"), ("header.title", "Loja")];
    let expected = json!({"format": "location", "latitude": -23.5, "longitude": -46.6, "title": "Loja"});
    assert_eq!(filled(&one, &given, None).0["header"], expected);
    assert_eq!(wrong(&one, &[], None), ["header.latitude", "header.longitude"]);
    assert_eq!(
        wrong(&one, &[("header.latitude", "91"), ("header.longitude", "x")], None),
        ["header.longitude", "header.latitude"]
    );
    let (latitude, longitude, title) = (1.0, 2.0, Some("T".to_owned()));
    let place = HeaderMedia::Location { latitude, longitude, title, address: Some("A".to_owned()) };
    let expected = json!({"format": "location", "latitude": 1.0, "longitude": 2.0, "title": "T", "address": "A"});
    assert_eq!(filled(&one, &[], Some(&place)).0["header"], expected);
}

#[test]
fn every_kind_of_button_takes_what_it_takes() {
    let button = |kind: &str| json!({"type": kind, "text": "B"});
    let kinds = ["quick-reply", "phone", "flow", "catalog", "products", "contact-request", "voice-call"];
    let mut buttons: Vec<Value> = kinds.iter().map(|kind| button(kind)).collect();
    buttons.push(json!({"type": "copy-code", "example": "ABC"}));
    buttons.push(json!({"type": "url", "text": "Ver", "url": "https://x.com/"}));
    let components = json!([{"type": "body", "text": "Oi"}, {"type": "buttons", "buttons": buttons}]);
    let one = template(TemplateFormat::Named, components);
    let takes = ["button.0", "button.2", "button.3", "button.4", "button.6", "button.7"];
    assert_eq!(names(&one), takes);
    assert_eq!(wrong(&one, &[], None), ["button.7"], "the others may be left out");
    let given = [
        ("button.0", "P"),
        ("button.2", r#"{"flow_token":"t"}"#),
        ("button.3", r#"{"thumbnail":"1"}"#),
        ("button.4", r#"{"sections":[]}"#),
        ("button.6", "{}"),
        ("button.7", "CUPOM"),
    ];
    let expected = json!([
        {"index": 0, "type": "quick-reply", "value": "P"},
        {"index": 2, "type": "flow", "value": {"flow_token": "t"}},
        {"index": 3, "type": "catalog", "value": {"thumbnail": "1"}},
        {"index": 4, "type": "products", "value": {"sections": []}},
        {"index": 6, "type": "voice-call", "value": {}},
        {"index": 7, "type": "copy-code", "value": "CUPOM"}
    ]);
    assert_eq!(filled(&one, &given, None).0["buttons"], expected);
    assert_eq!(wrong(&one, &[("button.2", "x"), ("button.7", "A")], None), ["button.2"]);
    assert_eq!(wrong(&one, &[("button.7", "1234567890123456")], None), ["button.7"], "a code is short");
}

#[test]
fn a_one_time_password_is_taken_over_from_the_body() {
    let components = json!([
        {"type": "body", "text": "*{{1}}* é seu código.", "examples": {"1": "123456"}},
        {"type": "buttons", "buttons": [{"type": "otp", "text": "Copiar"}]}
    ]);
    let one = template(TemplateFormat::Positional, components);
    assert_eq!(names(&one), ["1"]);
    let (sent, _) = filled(&one, &[("1", "482193")], None);
    assert_eq!(sent["body"], json!([{"name": "1", "value": "482193"}]));
    assert_eq!(sent["buttons"], json!([{"index": 0, "type": "otp", "value": "482193"}]));
    let alone = json!([{"type": "body", "text": ""}, {"type": "buttons", "buttons": [{"type": "otp"}]}]);
    let alone = template(TemplateFormat::Positional, alone);
    assert_eq!(names(&alone), ["button.0"]);
    assert_eq!(filled(&alone, &[("button.0", "1")], None).0["buttons"][0]["value"], "1");
}

#[test]
fn an_offer_ends_at_an_instant() {
    let components = json!([
        {"type": "limited-time-offer", "text": "Só hoje", "hasExpiration": true},
        {"type": "body", "text": "Oi"}
    ]);
    let one = template(TemplateFormat::Named, components);
    assert_eq!(filled(&one, &[("offer", "1735689600000")], None).0["offerEndsAtMillis"], json!(1_735_689_600_000_i64));
    let written = filled(&one, &[("offer", "2025-01-01T00:00:00Z")], None).0;
    assert_eq!(written["offerEndsAtMillis"], json!(1_735_689_600_000_i64));
    assert_eq!((wrong(&one, &[], None), wrong(&one, &[("offer", "amanhã")], None)), (own("offer"), own("offer")));
}

fn own(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}

#[test]
fn each_card_has_variables_of_its_own() {
    let card = |text: &str| {
        json!({"components": [
            {"type": "header", "format": "image"},
            {"type": "body", "text": text, "examples": {"nome": "x"}},
            {"type": "buttons", "buttons": [{"type": "url", "text": "Ver", "url": "https://x.com/{{1}}"}]}
        ]})
    };
    let components = json!([
        {"type": "body", "text": "Oi {{nome}}!"},
        {"type": "carousel", "cards": [card("Um {{nome}}."), card("Dois")]}
    ]);
    let one = template(TemplateFormat::Named, components);
    let expected = ["nome", "card.0.header", "card.0.nome", "card.0.button.0", "card.1.header", "card.1.button.0"];
    assert_eq!(names(&one), expected);
    assert_eq!(wrong(&one, &[], None), expected);
    let given = [
        ("nome", "Ana"),
        ("card.0.header", "https://x.com/1"),
        ("card.0.nome", "A"),
        ("card.0.button.0", "1"),
        ("card.1.header", "https://x.com/2"),
        ("card.1.button.0", "2"),
    ];
    let (sent, text) = filled(&one, &given, None);
    let cards = json!([
        {
            "header": {"format": "image", "media": {"link": "https://x.com/1"}},
            "body": [{"name": "nome", "value": "A"}],
            "buttons": [{"index": 0, "type": "url", "value": "1"}]
        },
        {
            "header": {"format": "image", "media": {"link": "https://x.com/2"}},
            "body": [],
            "buttons": [{"index": 0, "type": "url", "value": "2"}]
        }
    ]);
    assert_eq!(sent["cards"], cards);
    assert_eq!(text, "Oi Ana!\n[image]\nUm A.\n[Ver]\n[image]\nDois\n[Ver]");
}

#[test]
fn a_text_of_ones_own_is_said() {
    let body = json!([{"type": "body", "text": "Oi {{ nome }}! {a|b}"}]);
    let text = Template { connector: None, language: None, ..template(TemplateFormat::Named, body) };
    let filled = text.fill(&values(&[("nome", "Ana\n{x}")]), None).expect("complete");
    assert_eq!((filled.text.as_str(), &filled.action), ("Oi Ana\n{x}! {a|b}", &MessageAction::Say));
    assert_eq!(filled.message_type, crate::model::MessageType::Notification);
    assert_eq!(filled.draft_text(), r"Oi Ana\n\{x\}! \{a\|b\}".replace(r"\n", "\n"));
    assert_eq!(crate::model::variables::unescaped(&filled.draft_text()), filled.text);
    assert_eq!(wrong(&text, &[("outro", "x")], None), ["nome", "outro"]);
}

/// Whatever the texts and the values are: what is complete is filled, each value is where it belongs, and nothing else is.
#[test]
fn any_text_is_filled_with_exactly_its_values() {
    let words = ["Oi", "{{a}}", "{{b_1}}", "{", "}}", "{{", "é", "{{ c }}", "|", "{{x y}}"];
    let mut state = 7_u64;
    let mut draw = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % bound as u64) as usize
    };
    for round in 0..2_000 {
        let text: Vec<&str> = (0..draw(12)).map(|_| words[draw(words.len())]).collect();
        let text = text.join(" ");
        let one = template(TemplateFormat::Named, json!([{"type": "body", "text": text}]));
        let needed = names(&one);
        let given: BTreeMap<String, String> = needed.iter().map(|name| (name.clone(), format!("<{name}>"))).collect();
        let filled = one.fill(&given, None).expect("complete");
        let MessageAction::Other(own) = filled.action else { panic!("content of the connector's own") };
        let sent: Value = serde_json::from_str(&own.value).expect("JSON");
        assert_eq!(sent["body"].as_array().map(Vec::len), Some(needed.len()), "{round}: {text:?}");
        for name in &needed {
            assert!(filled.text.contains(&format!("<{name}>")), "{round}: {text:?}");
            let without: BTreeMap<_, _> = given.clone().into_iter().filter(|(one, _)| one != name).collect();
            let problems = one.fill(&without, None).expect_err("one is missing");
            assert_eq!(problems.iter().map(|one| &one.name).collect::<Vec<_>>(), [name], "{round}: {text:?}");
        }
        let rest: String = pieces(&text)
            .into_iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.to_owned(),
                Piece::Variable(name) => format!("<{name}>"),
            })
            .collect();
        assert_eq!(filled.text, rest, "{round}: {text:?}");
    }
}

/// The fields that are wrong, in words.
fn refused(format: TemplateFormat, components: Value) -> Vec<String> {
    let components = read_components(&components).expect("well formed");
    let problems = check_for_channel("a_1", Some("pt_BR"), TemplateCategory::Utility, format, &components);
    problems.into_iter().map(|problem| problem.field.written(crate::Field::word)).collect()
}

#[test]
fn what_a_channel_would_refuse_is_refused_before() {
    let body = |text: &str, examples: Value| json!([{"type": "body", "text": text, "examples": examples}]);
    let named = |text: &str, examples: Value| refused(TemplateFormat::Named, body(text, examples));
    let numbered = |text: &str, examples: Value| refused(TemplateFormat::Positional, body(text, examples));
    let at_text = ["components[0].text"];
    let both = || json!({"1": "a", "2": "b", "a": "a", "b": "b"});
    assert!(named("Oi {{a}}, tudo bem?", both()).is_empty());
    assert!(numbered("Oi {{1}} e {{2}}, tudo bem?", both()).is_empty());
    assert_eq!(named("", json!({})), at_text);
    assert_eq!(named(&"x".repeat(1_025), json!({})), at_text);
    assert_eq!(named("{{a}} tudo bem", both()), at_text);
    assert_eq!(named("tudo bem {{a}}", both()), at_text);
    assert_eq!(named("tudo {{a}} {{b}} bem, sim?", both()), at_text);
    assert_eq!(named("tudo {{1}} bem", both()), at_text);
    assert_eq!(named("tudo {{Nome}} bem", json!({"Nome": "x"})), at_text);
    assert_eq!(numbered("tudo {{2}} bem", both()), at_text);
    assert_eq!(numbered("tudo {{a}} bem", both()), at_text);
    assert_eq!(numbered(". {{1}} - {{2}} ! {{1}} .", both()), at_text);
    assert_eq!(named("tudo {{a}} bem", json!({})), ["components[0].examples.a"]);
    assert_eq!(refused(TemplateFormat::Named, json!([{"type": "footer", "text": "x"}])), ["components"]);
    let twice = json!([{"type": "body", "text": "a"}, {"type": "body", "text": "b"}]);
    assert_eq!(refused(TemplateFormat::Named, twice), ["components[1].type"]);
    let with = |part: Value| refused(TemplateFormat::Named, json!([{"type": "body", "text": "Oi"}, part]));
    let header = |text: &str| with(json!({"type": "header", "format": "text", "text": text, "examples": both()}));
    assert!(header("{{a}}").is_empty(), "a header may be its variable alone");
    assert_eq!(header(&"x".repeat(61)), ["components[1].text"]);
    assert_eq!(header("{{a}} e {{b}}"), ["components[1].text"]);
    assert_eq!(with(json!({"type": "header", "format": "image"})), ["components[1].example"]);
    assert_eq!(with(json!({"type": "footer", "text": "x".repeat(61)})), ["components[1].text"]);
    assert_eq!(with(json!({"type": "footer", "text": "x {{a}} y"})), ["components[1].text"]);
    assert_eq!(with(json!({"type": "limited-time-offer", "text": "x".repeat(17)})), ["components[1].text"]);
}

#[test]
fn buttons_are_few_grouped_and_complete() {
    let with = |buttons: Value| {
        let components = json!([{"type": "body", "text": "Oi"}, {"type": "buttons", "buttons": buttons}]);
        refused(TemplateFormat::Named, components)
    };
    let quick = || json!({"type": "quick-reply", "text": "Ok"});
    let url = |url: &str| json!({"type": "url", "text": "Ver", "url": url, "example": "https://x.com/1"});
    let all = "components[1].buttons";
    assert!(with(json!([quick(), quick(), url("https://x.com/{{1}}")])).is_empty());
    assert_eq!(with(json!([])), [all]);
    assert_eq!(with(Value::Array((0..11).map(|_| quick()).collect())), [all]);
    assert_eq!(with(json!([quick(), url("https://x.com/"), quick()])), [all]);
    assert_eq!(with(json!([url("https://x.com/"), url("https://x.com/"), url("https://x.com/")])), [all]);
    let phone = || json!({"type": "phone", "text": "Ligar", "more": {"phoneNumber": "1"}});
    assert_eq!(with(json!([phone(), phone()])), [all]);
    let at = |field: &str| [format!("components[1].buttons[0].{field}")];
    assert_eq!(with(json!([{"type": "quick-reply", "text": "x".repeat(26)}])), at("text"));
    assert_eq!(with(json!([{"type": "quick-reply"}])), at("text"));
    assert_eq!(with(json!([url("x.com")])), at("url"));
    assert_eq!(with(json!([url("https://x.com/{{1}}/y")])), at("url"));
    assert_eq!(with(json!([{"type": "url", "text": "Ver", "url": "https://x.com/{{1}}"}])), at("example"));
    assert_eq!(with(json!([{"type": "copy-code"}])), at("example"));
}

#[test]
fn cards_are_alike_and_names_and_languages_are_plain() {
    let card = |kind: &str| {
        let button = json!({"type": kind, "text": "Ver", "url": "https://x.com/"});
        json!({"components": [{"type": "body", "text": "Um"}, {"type": "buttons", "buttons": [button]}]})
    };
    let with = |cards: Value| {
        let components = json!([{"type": "body", "text": "Oi"}, {"type": "carousel", "cards": cards}]);
        refused(TemplateFormat::Named, components)
    };
    assert!(with(json!([card("url"), card("url")])).is_empty());
    assert_eq!(with(json!([card("url")])), ["components[1].cards"]);
    assert_eq!(with(json!([card("url"), card("quick-reply")])), ["components[1].cards[1]"]);
    let named = |name: &str, language: Option<&str>| {
        let body = read_components(&json!([{"type": "body", "text": "Oi"}])).expect("well formed");
        let (category, format) = (TemplateCategory::Utility, TemplateFormat::Named);
        let problems = check_for_channel(name, language, category, format, &body);
        problems.into_iter().map(|problem| problem.field.written(crate::Field::word)).collect::<Vec<_>>()
    };
    assert_eq!(named("Nome", Some("pt_BR")), ["name"]);
    assert_eq!(named("", Some("pt-BR")), ["name", "language"]);
    assert_eq!(named("a", None), ["language"]);
    let own = |components: Value| {
        let components = read_components(&components).expect("well formed");
        let problems = check_own("Aviso", None, &components);
        problems.into_iter().map(|problem| problem.field.written(crate::Field::word)).collect::<Vec<_>>()
    };
    assert!(own(json!([{"type": "body", "text": "{{nome}}"}])).is_empty());
    assert_eq!(own(json!([{"type": "body", "text": " "}])), ["components[0].text"]);
    assert_eq!(own(json!([{"type": "footer", "text": "x"}])), ["components"]);
}
