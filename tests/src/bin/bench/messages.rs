//! The messages of the benchmark: the same for both servers, a function of their number.

use std::fmt::Write;

const WORDS: [&str; 20] = [
    "pedido",
    "entrega",
    "pagamento",
    "boleto",
    "consulta",
    "agenda",
    "reserva",
    "compra",
    "fatura",
    "contrato",
    "plano",
    "produto",
    "loja",
    "cliente",
    "conta",
    "nota",
    "suporte",
    "horário",
    "retirada",
    "desconto",
];
/// The documented categories.
pub(crate) const TYPES: [&str; 6] = ["GERAL", "NOTIFICATION", "MARKETING", "TRANSACTIONAL", "SUPPORT", "REMINDER"];

/// A word that message number `n` contains, in addition to its number.
pub(crate) fn word(n: u64) -> &'static str {
    WORDS[(n % 20) as usize]
}

/// How the messages are spread: seven in ten go to the first connector, so that one lane can be drained for a while.
pub(crate) fn connector_of(n: u64) -> usize {
    match n % 10 {
        7 => 1,
        8 => 2,
        9 => 3,
        _ => 0,
    }
}

fn write_one(body: &mut String, connectors: &[String], n: u64, mixed: bool) {
    let second = WORDS[((n / 20) % 20) as usize];
    // Writing to a String cannot fail.
    let _ = write!(
        body,
        r#"{{"connectorId":"{}","to":"cliente{n}@exemplo.test","message":"Olá! Seu {} {n} de {second} foi confirmado, código {:06}.","messageType":"{}","externalId":"REF-{n}""#,
        connectors[connector_of(n)],
        word(n),
        n * 7919 % 1_000_003,
        TYPES[(n % 6) as usize],
    );
    if mixed && n % 100 < 6 {
        body.push_str(r#","requiresApproval":true"#);
    } else if mixed && n % 100 < 10 {
        body.push_str(r#","scheduledAt":"2027-06-01T12:00:00Z""#);
    }
    body.push('}');
}

/// One message.
pub(crate) fn single(connectors: &[String], n: u64) -> String {
    let mut body = String::with_capacity(300);
    write_one(&mut body, connectors, n, false);
    body
}

/// A bulk of messages from number `first` on. One in ten waits for approval or for its day, so that lists have states to
/// filter by.
pub(crate) fn bulk(connectors: &[String], first: u64, count: u64) -> String {
    let mut body = String::with_capacity(300 * count as usize);
    body.push_str(r#"{"messages":["#);
    for n in first..first + count {
        if n > first {
            body.push(',');
        }
        write_one(&mut body, connectors, n, true);
    }
    body.push_str("]}");
    body
}
