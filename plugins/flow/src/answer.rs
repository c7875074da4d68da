//! Whether an answer fits, and what of it is kept.

use jiff::civil::Date;
use serde_json::Value;

use crate::model::{AnswerRule, ChoiceOption};
use crate::text::{has_word, plain};

/// What came in.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Its text or caption.
    pub text: &'a str,
    /// The name of the file that came with it.
    pub file: Option<&'a str>,
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// The value that is kept, or `None` when the answer does not fit.
pub fn read(rule: &AnswerRule, answer: Answer<'_>, today: Option<Date>) -> Option<Value> {
    let text = answer.text.trim();
    let kept = |text: String| Some(Value::String(text));
    match rule {
        AnswerRule::File => kept(answer.file?.to_owned()),
        _ if text.is_empty() => None,
        AnswerRule::Any => kept(text.to_owned()),
        AnswerRule::Text { min, max } => {
            let length = text.chars().count();
            (*min..=*max).contains(&length).then(|| Value::String(text.to_owned()))
        }
        AnswerRule::Number { min, max, whole } => {
            let number = number(text)?;
            let fits = min.is_none_or(|min| number >= min)
                && max.is_none_or(|max| number <= max)
                && (!whole || number.fract() == 0.0);
            if !fits {
                return None;
            }
            if number.fract() == 0.0 && number.abs() < 9e15 {
                Some((number as i64).into())
            } else {
                Some(number.into())
            }
        }
        AnswerRule::Email => {
            let text = text.to_lowercase();
            email(&text).then_some(Value::String(text))
        }
        AnswerRule::Phone => {
            let shaped = text.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c));
            let digits = digits(text);
            (shaped && (8..=15).contains(&digits.len())).then_some(Value::String(digits))
        }
        AnswerRule::Date { future } => {
            let date = date(text, today)?;
            (!future || today.is_none_or(|today| date >= today)).then(|| Value::String(date.to_string()))
        }
        AnswerRule::Cpf => {
            let digits = digits(text);
            cpf(&digits).then_some(Value::String(digits))
        }
        AnswerRule::Cep => {
            let digits = digits(text);
            (digits.len() == 8).then_some(Value::String(digits))
        }
    }
}

/// `1.234,5`, `1,234.5`, `1234.5` and `R$ 12,00`. A single separator before exactly three digits is one of thousands when it is a
/// point in `1.234`, as it is written where commas part the cents.
pub fn number(text: &str) -> Option<f64> {
    let text = text.trim().trim_start_matches("R$").trim();
    let negative = text.starts_with('-');
    let body = text.trim_start_matches('-');
    if body.is_empty() || !body.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',') {
        return None;
    }
    let decimal = match (body.rfind('.'), body.rfind(',')) {
        (Some(point), Some(comma)) => Some(point.max(comma)),
        (None, Some(comma)) if body.matches(',').count() == 1 => Some(comma),
        (Some(point), None) if body.matches('.').count() == 1 && body.len() - point - 1 != 3 => Some(point),
        _ => None,
    };
    let (whole, fraction) = match decimal {
        Some(at) => (&body[..at], &body[at + 1..]),
        None => (body, ""),
    };
    let whole = digits(whole);
    if fraction.contains(['.', ',']) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let number: f64 =
        format!("{}.{}", if whole.is_empty() { "0" } else { &whole }, if fraction.is_empty() { "0" } else { fraction })
            .parse()
            .ok()?;
    Some(if negative { -number } else { number })
}

fn email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>(),;:\"[]\\@".contains(c);
    !local.is_empty()
        && local.len() <= 64
        && !local.chars().any(odd)
        && domain.contains('.')
        && domain.split('.').all(|label| {
            !label.is_empty() && !label.starts_with('-') && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
}

fn date(text: &str, today: Option<Date>) -> Option<Date> {
    if let Ok(date) = text.parse() {
        return Some(date);
    }
    let mut parts = text.split(['/', '.', '-']);
    let day = parts.next()?.trim().parse().ok()?;
    let month = parts.next()?.trim().parse().ok()?;
    let year: i16 = match parts.next() {
        Some(year) => match year.trim().parse().ok()? {
            short @ 0..=99 => 2000 + short,
            year => year,
        },
        None => today?.year(),
    };
    if parts.next().is_some() {
        return None;
    }
    Date::new(year, month, day).ok()
}

/// Eleven digits whose last two are the check digits of the others, not all the same.
fn cpf(digits: &str) -> bool {
    let numbers: Vec<u32> = digits.chars().filter_map(|c| c.to_digit(10)).collect();
    if numbers.len() != 11 || numbers.iter().all(|n| *n == numbers[0]) {
        return false;
    }
    let check = |upto: usize| {
        let sum: u32 = numbers[..upto].iter().zip((2..=upto as u32 + 1).rev()).map(|(n, weight)| n * weight).sum();
        match sum * 10 % 11 {
            10 => 0,
            rest => rest,
        }
    };
    check(9) == numbers[9] && check(10) == numbers[10]
}

/// The option with this number, label or word.
pub fn chosen<'a>(options: &'a [ChoiceOption], text: &str) -> Option<&'a ChoiceOption> {
    let text = plain(text);
    if let Ok(number) = text.parse::<usize>() {
        return options.get(number.checked_sub(1)?);
    }
    let exact = |o: &&ChoiceOption| plain(&o.label) == text || o.words.iter().any(|word| plain(word) == text);
    let mut within =
        options.iter().filter(|o| has_word(&text, &o.words) || has_word(&text, std::slice::from_ref(&o.label)));
    options.iter().find(exact).or_else(|| {
        let one = within.next();
        // Two that fit are none.
        one.filter(|_| within.next().is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(rule: &AnswerRule, text: &str) -> Option<String> {
        let today = Some(Date::constant(2026, 11, 21));
        let value = read(rule, Answer { text, file: None }, today)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, expected) in [
            ("12", Some(12.0)),
            ("R$ 12,50", Some(12.5)),
            ("1.234,5", Some(1234.5)),
            ("1,234.5", Some(1234.5)),
            ("1.234", Some(1234.0)),
            ("12.5", Some(12.5)),
            ("1.234.567", Some(1_234_567.0)),
            ("-3", Some(-3.0)),
            ("3 pizzas", None),
            (",", None),
            ("", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
        let few = AnswerRule::Number { min: Some(1.0), max: Some(9.0), whole: true };
        assert_eq!(fits(&few, "2").as_deref(), Some("2"));
        assert_eq!(fits(&few, "2,5"), None);
        assert_eq!(fits(&few, "10"), None);
    }

    #[test]
    fn dates_are_read_day_first_and_kept_as_iso() {
        let future = AnswerRule::Date { future: true };
        assert_eq!(fits(&future, "25/12/2026").as_deref(), Some("2026-12-25"));
        assert_eq!(fits(&future, "25/12").as_deref(), Some("2026-12-25"));
        assert_eq!(fits(&future, "25/12/26").as_deref(), Some("2026-12-25"));
        assert_eq!(fits(&future, "2026-12-25").as_deref(), Some("2026-12-25"));
        assert_eq!(fits(&future, "20/11/2026"), None, "past");
        assert_eq!(fits(&AnswerRule::Date { future: false }, "20/11/2026").as_deref(), Some("2026-11-20"));
        assert_eq!(fits(&future, "31/02/2027"), None);
    }

    #[test]
    fn addresses_and_documents() {
        assert_eq!(fits(&AnswerRule::Email, " Ana@Exemplo.com.br ").as_deref(), Some("ana@exemplo.com.br"));
        assert_eq!(fits(&AnswerRule::Email, "ana@exemplo"), None);
        assert_eq!(fits(&AnswerRule::Email, "ana@ex emplo.com"), None);
        assert_eq!(fits(&AnswerRule::Phone, "+55 (11) 99999-8888").as_deref(), Some("5511999998888"));
        assert_eq!(fits(&AnswerRule::Phone, "ligue 99999-8888"), None);
        assert_eq!(fits(&AnswerRule::Cpf, "529.982.247-25").as_deref(), Some("52998224725"));
        assert_eq!(fits(&AnswerRule::Cpf, "529.982.247-24"), None);
        assert_eq!(fits(&AnswerRule::Cpf, "111.111.111-11"), None);
        assert_eq!(fits(&AnswerRule::Cep, "01310-100").as_deref(), Some("01310100"));
        assert_eq!(read(&AnswerRule::File, Answer { text: "", file: Some("nota.pdf") }, None), Some("nota.pdf".into()));
    }
}
