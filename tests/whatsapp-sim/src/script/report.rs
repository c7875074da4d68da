//! The outcome of a script: a case for each expectation, and for each step that could not be done. Shown as JUnit, which servers of
//! continuous integration read.

use std::fmt::Write as _;
use std::time::Duration;

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Otherwise: how it was.
    Failed(String),
    /// A step could not be done: why.
    Broken(String),
    /// The script ended before it: why.
    Skipped(String),
}

/// One expectation, or a step that could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The step's number and name.
    pub name: String,
    /// How long it took.
    pub took: Duration,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The script's name.
    pub name: String,
    /// Its cases, in order.
    pub cases: Vec<Case>,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// Whether everything was as expected, and to the end.
    pub fn passed(&self) -> bool {
        self.cases.iter().all(|case| case.outcome == Outcome::Passed)
    }

    /// The report in JUnit's XML.
    pub fn junit(&self) -> String {
        let count = |wanted: fn(&Outcome) -> bool| self.cases.iter().filter(|case| wanted(&case.outcome)).count();
        let counts = format!(
            r#"tests="{}" failures="{}" errors="{}" skipped="{}" time="{:.3}""#,
            self.cases.len(),
            count(|outcome| matches!(outcome, Outcome::Failed(_))),
            count(|outcome| matches!(outcome, Outcome::Broken(_))),
            count(|outcome| matches!(outcome, Outcome::Skipped(_))),
            self.took.as_secs_f64(),
        );
        let name = escaped(&self.name);
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite name=\"{name}\" {counts}>\n"
        );
        for case in &self.cases {
            let (tag, why) = match &case.outcome {
                Outcome::Passed => ("", ""),
                Outcome::Failed(why) => ("failure", &**why),
                Outcome::Broken(why) => ("error", &**why),
                Outcome::Skipped(why) => ("skipped", &**why),
            };
            let (title, time) = (escaped(&case.name), case.took.as_secs_f64());
            // Writing to a string does not fail.
            let _ = write!(xml, "    <testcase classname=\"{name}\" name=\"{title}\" time=\"{time:.3}\"");
            let _ = match tag {
                "" => writeln!(xml, "/>"),
                tag => writeln!(xml, ">\n      <{tag} message=\"{}\"/>\n    </testcase>", escaped(why)),
            };
        }
        xml.push_str("  </testsuite>\n</testsuites>\n");
        xml
    }
}

/// A text as the value of an attribute. What XML cannot have at all becomes `?`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('?'),
            c if c.is_control() => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_the_xml_that_others_read() {
        let case = |name: &str, outcome| Case { name: name.into(), took: Duration::from_millis(1500), outcome };
        let report = Report {
            name: "a & b".into(),
            cases: vec![
                case("1: oi", Outcome::Passed),
                case("2: <x>", Outcome::Failed("0 × \"message\"\u{1}".into())),
                case("3", Outcome::Broken("no".into())),
                case("4", Outcome::Skipped("ended".into())),
            ],
            took: Duration::from_secs(6),
        };
        assert!(!report.passed());
        let counts = r#"tests="4" failures="1" errors="1" skipped="1" time="6.000""#;
        let expected = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites {counts}>
  <testsuite name="a &amp; b" {counts}>
    <testcase classname="a &amp; b" name="1: oi" time="1.500"/>
    <testcase classname="a &amp; b" name="2: &lt;x&gt;" time="1.500">
      <failure message="0 × &quot;message&quot;?"/>
    </testcase>
    <testcase classname="a &amp; b" name="3" time="1.500">
      <error message="no"/>
    </testcase>
    <testcase classname="a &amp; b" name="4" time="1.500">
      <skipped message="ended"/>
    </testcase>
  </testsuite>
</testsuites>
"#
        );
        assert_eq!(report.junit(), expected);
    }

    #[test]
    fn only_what_ran_to_its_end_passed() {
        let report = |outcome| Report {
            name: "s".into(),
            cases: vec![Case { name: "1".into(), took: Duration::ZERO, outcome }],
            took: Duration::ZERO,
        };
        assert!(report(Outcome::Passed).passed());
        for other in [Outcome::Failed(String::new()), Outcome::Broken(String::new()), Outcome::Skipped(String::new())] {
            assert!(!report(other).passed());
        }
    }
}
