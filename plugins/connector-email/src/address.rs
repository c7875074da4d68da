//! Recipients: what is an address, and its one normal form.

use lettre::Address;

/// RFC 5321: 64 octets before the @, 254 in all.
const MAX_LOCAL: usize = 64;
const MAX_ADDRESS: usize = 254;

/// The address, trimmed, with its domain in lower-case ASCII. The part before the @ is up to the receiving server and stays.
pub(crate) fn normalise(recipient: &str) -> Result<String, String> {
    let recipient = recipient.trim();
    if recipient.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if recipient.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    let Some((local, domain)) = recipient.rsplit_once('@') else {
        return Err("is not an e-mail address: it has no @".to_owned());
    };
    if local.is_empty() {
        return Err("is not an e-mail address: the part before the @ is missing".to_owned());
    }
    if local.len() > MAX_LOCAL {
        return Err(format!("is not an e-mail address: it has more than {MAX_LOCAL} bytes before the @"));
    }
    let domain = normalise_domain(domain)?;
    let address = format!("{local}@{domain}");
    if address.len() > MAX_ADDRESS {
        return Err(format!("is not an e-mail address: it is longer than {MAX_ADDRESS} bytes"));
    }
    match address.parse::<Address>() {
        Ok(_) => Ok(address),
        Err(_) => Err("is not an e-mail address such as nome@exemplo.com.br".to_owned()),
    }
}

/// A domain in lower-case ASCII (IDNA).
pub(crate) fn normalise_domain(domain: &str) -> Result<String, String> {
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| "the domain is not valid".to_owned())?;
    let label_ok = |l: &str| !l.is_empty() && l.len() <= 63;
    if ascii.len() > 253 || !ascii.split('.').all(label_ok) {
        return Err("the domain is not valid".to_owned());
    }
    let last = ascii.rsplit('.').next().unwrap_or_default();
    if ascii != "localhost" && (last == ascii || last.bytes().all(|b| b.is_ascii_digit())) {
        return Err("the domain is not complete: it needs a name and an ending, like exemplo.com.br".to_owned());
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_have_one_normal_form() {
        for (given, normal) in [
            ("cliente@exemplo.com", "cliente@exemplo.com"),
            ("  Joao.Silva+Loja@Exemplo.COM ", "Joao.Silva+Loja@exemplo.com"),
            ("ana@pão.com.br", "ana@xn--po-sia.com.br"),
            ("ANA@XN--PO-SIA.com.br", "ANA@xn--po-sia.com.br"),
            ("o'neill@a-b.example", "o'neill@a-b.example"),
            ("root@localhost", "root@localhost"),
        ] {
            assert_eq!(normalise(given).as_deref(), Ok(normal), "{given}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_so() {
        let long_local = format!("{}@exemplo.com", "a".repeat(65));
        let long_all = format!("a@{}.com", vec!["b".repeat(60); 5].join("."));
        for bad in [
            "",
            " ",
            "ana",
            "@exemplo.com",
            "ana@",
            "ana@exemplo",
            "a b@exemplo.com",
            "ana@exemplo..com",
            "ana@-exemplo.com",
            "ana@exemplo.com\r\nBcc: x@y.com",
            "a\0@exemplo.com",
            "ana@[127.0.0.1]",
            "ana@127.0.0.1",
            "ana@@exemplo.com",
            "<ana@exemplo.com>",
            "Ana <ana@exemplo.com>",
            "a,b@exemplo.com",
            ".ana@exemplo.com",
            "5511999998888",
            &long_local,
            &long_all,
        ] {
            assert!(normalise(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_normal_form_is_its_own(given in "\\PC{1,20}@[a-zA-Zãç0-9.-]{1,30}") {
            if let Ok(normal) = normalise(&given) {
                prop_assert_eq!(normalise(&normal), Ok(normal.clone()));
                prop_assert!(!normal.chars().any(char::is_control));
            }
        }
    }
}
