//! The plugin as the engine sees it: templates in, texts and problems out.

use std::collections::BTreeSet;

use pombo_plugin::renderer::{Job, Problem, Renderer};
use proptest::prelude::*;

use crate::direct::Program;
use crate::{Templates, cache, parse};

fn render(template: &str, variables: &str, seed: u64) -> Result<String, Problem> {
    let job = Job { template: 0, seed, variables: variables.to_owned(), extra: Vec::new() };
    let mut results = Templates::render_batch(&[template.to_owned()], &[job]);
    assert_eq!(results.len(), 1);
    results.remove(0)
}

fn text(template: &str, variables: &str) -> String {
    render(template, variables, 0).unwrap_or_else(|p| panic!("{template:?}: {p:?}"))
}

fn all(template: &str, variables: &str) -> BTreeSet<String> {
    (0..400).map(|seed| render(template, variables, seed).expect("renders")).collect()
}

fn problem(template: &str, variables: &str) -> (String, u32, u32) {
    let p = render(template, variables, 0).expect_err(template);
    (p.message, p.line, p.column)
}

#[test]
fn literal_text_comes_out_as_it_was() {
    for same in
        ["", "olá", "a|b", "a } b", "linha\n", "{texto}", "{ \"a\": 1 }", "{}", "50% {ok", "\\n C:\\dir", "a\u{0301}🕊"]
    {
        assert_eq!(text(same, ""), same);
    }
}

#[test]
fn escapes_are_the_character_itself() {
    for (written, out) in [
        (r"\{a|b\}", "{a|b}"),
        (r"\{\{ nome \}\}", "{{ nome }}"),
        (r"\\", r"\"),
        (r"\\{x}", r"\{x}"),
        (r"{a\|b}", "{a|b}"),
        (r"\{% if %\}", "{% if %}"),
    ] {
        assert_eq!(text(written, ""), out, "{written}");
        // The same next to something that only minijinja can render.
        assert_eq!(text(&format!("{written}{{{{ 1 + 1 }}}}"), ""), format!("{out}2"), "{written}");
    }
    assert_eq!(all(r"{a\|b|c}", ""), ["a|b".to_owned(), "c".to_owned()].into());
}

#[test]
fn choices_nest_and_stand_beside_tags() {
    let set = |items: &[&str]| items.iter().map(|s| (*s).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(all("{a|b|c}", ""), set(&["a", "b", "c"]));
    assert_eq!(all("{a|{b|c}d|}", ""), set(&["a", "bd", "cd", ""]));
    assert_eq!(all("{{a|b}|c}", ""), set(&["a", "b", "c"]));
    assert_eq!(all("{x {a|b}}", ""), set(&["{x a}", "{x b}"]));
    let nome = r#"{"nome":"Ana"}"#;
    assert_eq!(all("{Oi|Olá}, {{ nome }}!", nome), set(&["Oi, Ana!", "Olá, Ana!"]));
    assert_eq!(all("{Oi {{ nome }}|{{nome}}}", nome), set(&["Oi Ana", "Ana"]));
    assert_eq!(all("{{{ nome }}|amigo}", nome), set(&["Ana", "amigo"]));
    assert_eq!(all("{{{ nome|upper }}|amigo}", nome), set(&["ANA", "amigo"]));
    assert_eq!(all("{% if nome == 'Ana' %}{a|b}{% else %}c{% endif %}", nome), set(&["a", "b"]));
    assert_eq!(all("{x|{% if nome %}{{ nome }}{% endif %}}", nome), set(&["x", "Ana"]));
    assert_eq!(text("{% raw %}{a|b} {{ x }}{% endraw %}", ""), "{a|b} {{ x }}");
    assert_eq!(text("{# {a|b} #}x", ""), "x");
    assert_eq!(text("{{ '}} {a|b}' }}", ""), "}} {a|b}");
    assert_eq!(text("{{ {'a': {'b': 1}}.a.b }}", ""), "1");
}

#[test]
fn a_choice_in_a_loop_is_drawn_each_time_round() {
    let texts = all("{% for i in range(3) %}{a|b}{% endfor %}", "");
    assert_eq!(texts.len(), 8, "{texts:?}");
}

#[test]
fn what_a_variable_inserts_is_never_a_template() {
    let evil = r#"{"nome":"{a|b} {{ 7*7 }} {% raw %} \\{"}"#;
    let out = r"{a|b} {{ 7*7 }} {% raw %} \{";
    assert_eq!(text("{{ nome }}", evil), out);
    assert_eq!(text("{{ nome|trim }}", evil), out);
    assert_eq!(text("{{ nome }}<b>", r#"{"nome":"<i>&\"'"}"#), "<i>&\"'<b>");
}

#[test]
fn values_print_as_minijinja_prints_them() {
    let values = r#"{"i":-3,"f":1.5,"b":true,"l":[1,"a"],"o":{"x":{"y":2}},"big":18446744073709551615}"#;
    assert_eq!(
        text("{{i}} {{ f }} {{b}} {{ l[1] }} {{ o.x.y }} {{ big }}", values),
        "-3 1.5 True a 2 18446744073709551615"
    );
}

#[test]
fn the_last_of_equal_names_wins_and_the_object_wins_over_extra() {
    let job = Job {
        template: 0,
        seed: 0,
        variables: r#"{"a":"objeto"}"#.into(),
        extra: vec![
            pombo_plugin::renderer::Variable { name: "a".into(), value: "extra".into() },
            pombo_plugin::renderer::Variable { name: "b".into(), value: "só extra".into() },
        ],
    };
    let out = Templates::render_batch(&["{{ a }} {{ b }} {{ b|upper }}".to_owned()], &[job]);
    assert_eq!(out, [Ok("objeto só extra SÓ EXTRA".to_owned())]);
}

#[test]
fn an_undefined_variable_is_named_with_its_place() {
    for (template, line, column) in [
        ("{{ nome }}", 1, 4),
        ("Olá,\n  {{ nome }}", 2, 6),
        ("é {{ nome|upper }}", 1, 6),
        ("{a|b}\n{{ nome|upper }}", 2, 4),
        ("{% if nome %}x{% endif %}", 1, 7),
        ("{% for x in nome %}x{% endfor %}", 1, 13),
        ("{{{ nome }}|{{ nome }}}", 1, 5),
        (r"\{\{ {{ nome.x }}", 1, 9),
    ] {
        let (message, l, c) = problem(template, r#"{"outro":1}"#);
        assert_eq!(message, "the variable \"nome\" is not defined", "{template}");
        assert_eq!(l, line, "{template}");
        assert!(c == column || template.starts_with("{{{"), "{template}: column {c}");
    }
    assert_eq!(problem("{{ nome }}", r#"{"nome":null}"#).0, "the variable \"nome\" is not defined");
    assert_eq!(problem("{{ a.b.c }}", r#"{"a":{}}"#).0, "the variable \"a.b\" is not defined");
    assert_eq!(text("{{ nome|default('amigo') }}{% if nome is defined %}!{% endif %}", "{}"), "amigo");
}

#[test]
fn mistakes_say_where_and_what_to_write() {
    let (m, l, c) = problem("ok\n{a|b", "");
    assert!(m.contains("never closed"), "{m}");
    assert_eq!((l, c), (2, 1));
    let (m, l, c) = problem("Olá {{ nome }!", "");
    assert!(m.contains("not closed by }}"), "{m}");
    assert_eq!((l, c), (1, 5));
    assert!(problem("Olá {{ nome", "").0.contains("not closed by }}"));
    assert!(problem("{% if x", "").0.contains("never closed by %}"));
    let (m, l, _) = problem("{a|b}\n{% if x %}", "");
    assert!(m.contains("syntax error"), "{m}");
    assert_eq!(l, 2);
    assert!(problem("{{ nome|nada }}", r#"{"nome":"x"}"#).0.contains("nada"));
    for other in [
        "{% include '0' %}",
        "{%- extends '0' %}",
        "{%import '0' as x%}",
        "{% from '0' import x %}",
        "{% block a %}{% endblock %}",
    ] {
        assert!(problem(other, "").0.contains("not available"), "{other}");
    }
    assert!(problem("{{ x }}", "[1]").0.contains("JSON object"));
    assert!(problem(&format!("{}a|b{}", "{".repeat(50), "}".repeat(50)), "").0.contains("nest deeper"));
}

#[test]
fn a_template_cannot_run_for_ever_or_grow_without_bound() {
    let (m, ..) = problem("{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}", "");
    assert!(m.contains("too many steps"), "{m}");
    let long = format!(r#"{{"x":"{}"}}"#, "y".repeat(30_000));
    for template in ["{% for i in range(20) %}{{ x }}{% endfor %}", &"{{ x }}".repeat(20)] {
        let (m, ..) = problem(template, &long);
        assert!(m.contains("longer than 256 KiB"), "{m}");
    }
}

#[test]
fn figures_multiply_along_and_add_across() {
    for (template, distinct, collision) in [
        ("plain", 1, 1.0),
        ("{a|b|c}", 3, 1.0 / 3.0),
        ("{a|b}{c|d}", 4, 0.25),
        ("{a|{b|c}}", 3, 0.25 + 0.25 * 0.5),
        ("{a|a|b}", 2, 4.0 / 9.0 + 1.0 / 9.0),
        ("{% if x %}{a|b}{% else %}c{% endif %}", 3, 1.0),
        ("{% if x %}{a|b}{% else %}{c|d|e}{% endif %}{f|g}", 10, 0.25),
        ("{% for i in x %}{a|b}{% endfor %}", 2, 0.5),
    ] {
        let figures = cache::get(template).expect("compiles").figures();
        assert_eq!(figures.distinct, distinct, "{template}");
        assert!((figures.collision - collision).abs() < 1e-12, "{template}: {}", figures.collision);
    }
    assert_eq!(cache::get(&"{a|b|c|d}".repeat(40)).expect("compiles").figures().distinct, u64::MAX);
}

#[test]
fn compile_names_the_variables_and_preview_shows_texts() {
    let info =
        Templates::compile("{Oi|Olá} {{ nome }} {% if idade > 3 %}{{ cidade|upper }}{% endif %}").expect("compiles");
    assert_eq!(info.variables, ["cidade", "idade", "nome"]);
    assert_eq!(Templates::compile("{{ b }}{x|{{ a }}}").expect("compiles").variables, ["a", "b"]);
    let shown = Templates::preview("{a|b|c} {{ nome }}", r#"{"nome":"Ana"}"#, 5, 20).expect("renders");
    assert_eq!(shown.samples.len(), 20);
    assert_eq!(shown.samples.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(shown.distinct_texts, 3);
    assert_eq!(Templates::preview("{a|b}", "", 5, 4), Templates::preview("{a|b}", "", 5, 4));
}

#[test]
fn one_bad_job_leaves_the_others_alone() {
    let job = |template, variables: &str| Job { template, seed: 1, variables: variables.into(), extra: Vec::new() };
    let out = Templates::render_batch(
        &["{{ nome }}".to_owned(), "{a|".to_owned(), "ok".to_owned()],
        &[job(0, r#"{"nome":"Ana"}"#), job(0, ""), job(1, ""), job(2, ""), job(9, "")],
    );
    assert_eq!(out[0], Ok("Ana".to_owned()));
    assert!(out[1].is_err() && out[2].is_err() && out[4].is_err());
    assert_eq!(out[3], Ok("ok".to_owned()));
}

#[test]
fn many_different_templates_do_not_pile_up() {
    for i in 0..3_000 {
        assert_eq!(text(&format!("{{{{ {i} + 1 }}}}"), ""), (i + 1).to_string());
    }
}

/// Templates of text, choices and simple variables.
fn simple_template() -> impl Strategy<Value = String> {
    let leaf =
        prop_oneof!["[a-zé \\n]{0,6}", Just("{{ nome }}".to_owned()), Just(r"\{".to_owned()), Just("{x}".to_owned())];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.join("-")),
            prop::collection::vec(inner, 2..4).prop_map(|parts| format!("{{{}}}", parts.join("|"))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_input_makes_it_panic(template in "[ab{}|\\\\%# n\\n\"']{0,40}", variables in "[{}\":a1,n ]{0,12}", seed: u64) {
        let _ = render(&template, &variables, seed);
        let _ = Templates::compile(&template);
    }

    #[test]
    fn the_direct_way_gives_what_minijinja_gives(template in simple_template(), seed: u64) {
        let nodes = parse::parse(&template);
        prop_assume!(nodes.is_ok());
        prop_assert!(Program::new(&nodes.expect("checked")).is_some());
        let direct = render(&template, r#"{"nome":"Ana"}"#, seed);
        // A comment is nothing, and keeps the template from the direct way.
        let jinja = render(&format!("{{# #}}{template}"), r#"{"nome":"Ana"}"#, seed);
        prop_assert_eq!(direct.map_err(|p| p.message), jinja.map_err(|p| p.message));
    }

    #[test]
    fn the_same_seed_gives_the_same_text(template in simple_template(), seed: u64) {
        let variables = r#"{"nome":"Ana"}"#;
        prop_assert_eq!(render(&template, variables, seed), render(&template, variables, seed));
    }

    #[test]
    fn an_inserted_value_comes_out_whole(value in "\\PC{0,30}", seed: u64) {
        let variables = serde_json::json!({ "nome": value }).to_string();
        prop_assert_eq!(render("{<|>}{{ nome }}", &variables, seed).map(|t| t[1..].to_owned()), Ok(value));
    }

    #[test]
    fn escaped_text_is_literal(raw in "[a{}|\\\\]{0,20}") {
        let escaped: String = raw.chars().flat_map(|c| if c == 'a' { vec![c] } else { vec!['\\', c] }).collect();
        prop_assert_eq!(render(&escaped, "", 0), Ok(raw));
    }
}
