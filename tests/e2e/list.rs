//! The list: every filter and their combinations, exact totals, pages, search.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result};
use pombo_tests::http::query;
use pombo_tests::tenant::{SENDSYNC, Tenant, text_of};
use serde_json::{Value, json};

use crate::shared::{queueing_tenant, smtp};

const TYPES: [&str; 6] = ["GERAL", "NOTIFICATION", "MARKETING", "TRANSACTIONAL", "SUPPORT", "REMINDER"];

/// A tenant with 600 messages on two paused connectors, and the messages as they were answered (oldest first).
fn filled() -> Result<(Tenant, [String; 2], Vec<Value>)> {
    let (tenant, first) = queueing_tenant()?;
    let second = tenant.email(smtp()?, "plain", &json!({}))?;
    tenant.set_paused(&second, true)?;
    let connectors = [first, second];
    for bulk in 0..3 {
        let rows: Vec<Value> = (bulk * 200..(bulk + 1) * 200)
            .map(|n| {
                let mut row = json!({
                    "connectorId": connectors[n % 2], "to": format!("pessoa{n}@customers.test"),
                    "message": format!("Confirmação número {n}"), "messageType": TYPES[n % 6], "externalId": format!("REF-{}", n % 300),
                });
                match n % 10 {
                    0 => row["requiresApproval"] = json!(true),
                    1 => row["scheduledAt"] = json!("2027-01-31T12:00:00Z"),
                    _ => {}
                }
                row
            })
            .collect();
        tenant.try_bulk(&rows)?.expect(201)?;
        // So that a date tells the bulks apart.
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut all = Vec::new();
    for page in ["1", "2", "3"] {
        let list = tenant.list(&[("page", page)])?;
        all.extend(list["data"].as_array().context("no data")?.iter().cloned());
    }
    all.reverse();
    Ok((tenant, connectors, all))
}

type Filters<'a> = Vec<(&'a str, String)>;

/// What a list with these filters must hold, by the plainest means.
fn expected(all: &[Value], filters: &Filters<'_>) -> Vec<String> {
    let fits = |row: &Value| {
        filters.iter().all(|(name, wanted)| match *name {
            "dateFrom" => row["createdAt"].as_str().unwrap_or_default() >= wanted.as_str(),
            "dateTo" => row["createdAt"].as_str().unwrap_or_default() <= wanted.as_str(),
            field => row[field] == json!(wanted),
        })
    };
    all.iter().rev().filter(|row| fits(row)).map(|row| row["id"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_filter_and_combination_is_exact() -> Result<()> {
    let (tenant, connectors, all) = filled()?;
    assert_eq!(all.len(), 600);
    let at = |n: usize| text_of(&all[n], "createdAt");
    let (from, to) = (at(200)?, at(399)?);
    let single: Vec<Filters<'_>> = vec![
        vec![("status", "PENDING".into())],
        vec![("status", "PENDING_APPROVAL".into())],
        vec![("status", "WAITING".into())],
        vec![("status", "SENT".into())],
        vec![("connectorId", connectors[1].clone())],
        vec![("messageType", "MARKETING".into())],
        vec![("externalId", "REF-17".into())],
        vec![("externalId", "REF-nothing".into())],
        vec![("dateFrom", from.clone())],
        vec![("dateTo", to.clone())],
        vec![("dateFrom", from), ("dateTo", to)],
        vec![],
    ];
    let mut cases = single.clone();
    for a in &single {
        for b in &single {
            let names: HashSet<&str> = a.iter().chain(b).map(|(name, _)| *name).collect();
            if names.len() == a.len() + b.len() {
                cases.push(a.iter().chain(b).cloned().collect());
            }
        }
    }
    assert!(cases.len() > 60);
    for filters in cases {
        let pairs: Vec<(&str, &str)> = filters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let wanted = expected(&all, &filters);
        let mut found = Vec::new();
        let mut page = 1;
        loop {
            let number = page.to_string();
            let mut pairs = pairs.clone();
            pairs.extend([("limit", "100"), ("page", number.as_str())]);
            let list = tenant.list(&pairs)?;
            assert_eq!(list["meta"]["total"], wanted.len(), "{filters:?}");
            assert_eq!(list["meta"]["pages"], wanted.len().div_ceil(100), "{filters:?}");
            assert_eq!((&list["meta"]["page"], &list["meta"]["limit"]), (&json!(page), &json!(100)), "{filters:?}");
            let rows = list["data"].as_array().context("no data")?;
            found.extend(rows.iter().map(|row| row["id"].as_str().unwrap_or_default().to_owned()));
            if found.len() >= wanted.len() || rows.is_empty() {
                break;
            }
            page += 1;
        }
        assert_eq!(found, wanted, "{filters:?}");
    }
    Ok(())
}

#[test]
fn rows_and_pages_are_as_documented() -> Result<()> {
    let (tenant, connectors, all) = filled()?;
    let first = tenant.list(&[])?;
    assert_eq!(first["meta"], json!({"total": 600, "page": 1, "limit": 250, "pages": 3}));
    assert_eq!(first["data"].as_array().map(Vec::len), Some(250));
    let row = &all[2];
    for field in ["id", "to", "message", "status", "priority", "messageType", "connectorId", "createdAt", "externalId"]
    {
        assert!(!row[field].is_null(), "{field} is missing in {row}");
    }
    assert_eq!(
        (&row["connectorId"], &row["priority"], &row["status"]),
        (&json!(connectors[0]), &json!(5), &json!("PENDING"))
    );
    let beyond = tenant.list(&[("page", "7")])?;
    assert_eq!((&beyond["data"], &beyond["meta"]["total"]), (&json!([]), &json!(600)));
    Ok(())
}

#[test]
fn a_change_of_status_moves_a_message_between_filters() -> Result<()> {
    let (tenant, connectors, all) = filled()?;
    let held = expected(&all, &vec![("status", "PENDING_APPROVAL".into())]);
    assert_eq!(held.len(), 60);
    for id in &held[..10] {
        tenant.client.post(&format!("/v1/messages/{id}/approve"), &json!({}))?.expect(200)?;
    }
    for id in &held[10..15] {
        tenant.client.post(&format!("/v1/messages/{id}/reject"), &json!({"reason": "no"}))?.expect(200)?;
    }
    let count = |status: &str| tenant.total(&[("status", status)]);
    let both = [("status", "PENDING"), ("connectorId", connectors[0].as_str())];
    assert_eq!((count("PENDING_APPROVAL")?, count("CANCELED")?), (45, 5));
    assert_eq!((count("PENDING")?, tenant.total(&both)?), (480 + 10, 240 + 10));
    assert_eq!(tenant.total(&[])?, 600);
    Ok(())
}

#[test]
fn search_finds_words_names_and_recipients_without_regard_to_accents() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let rows: Vec<Value> = [
        ("joao.silva@customers.test", "João da Silva", "Sua consulta é amanhã às 10h"),
        ("maria@customers.test", "Maria Conceição", "Seu PEDIDO foi confirmado"),
        ("jose@elsewhere.test", "José", "Atenção: pedido atrasado, código ABC-123"),
        ("ana@customers.test", "Ana", "Promoção de verão 😀 só hoje"),
    ]
    .iter()
    .map(|(to, name, text)| json!({"connectorId": connector, "to": to, "contactName": name, "message": text}))
    .collect();
    tenant.try_bulk(&rows)?.expect(201)?;
    for (words, wanted) in [
        ("pedido", 2),
        ("PEDIDO", 2),
        ("pedido atrasado", 1),
        ("atrasado pedido", 1),
        ("amanha", 1),
        ("amanhã", 1),
        ("joao", 1),
        ("João", 1),
        ("conceicao", 1),
        ("silva consulta", 1),
        ("elsewhere", 1),
        ("customers.test", 3),
        ("edid", 2),
        ("abc-123", 1),
        ("verao", 1),
        ("promocao 😀", 1),
        ("nada", 0),
        ("pedido nada", 0),
    ] {
        let list = tenant.list(&[("search", words)])?;
        assert_eq!(list["meta"]["total"], wanted, "{words}: {list}");
        assert_eq!(list["data"].as_array().map(Vec::len), Some(wanted), "{words}");
    }
    let both = tenant.list(&[
        ("search", "pedido"),
        ("status", "PENDING"),
        ("connectorId", &connector),
        ("messageType", "GERAL"),
    ])?;
    assert_eq!(both["meta"]["total"], 2);
    assert_eq!(tenant.total(&[("search", "pedido"), ("status", "SENT")])?, 0);
    Ok(())
}

#[test]
fn a_filter_that_makes_no_sense_is_refused_by_name() -> Result<()> {
    let (tenant, _) = queueing_tenant()?;
    for (name, value) in [
        ("status", "DONE"),
        ("status", "sent"),
        ("page", "0"),
        ("page", "-1"),
        ("page", "x"),
        ("limit", "0"),
        ("limit", "251"),
        ("limit", "1e3"),
        ("messageType", "SPAM"),
        ("dateFrom", "yesterday"),
        ("dateTo", "2024-13-01T00:00:00Z"),
        ("search", "a"),
        ("order", "asc"),
        ("Status", "SENT"),
    ] {
        let reply = tenant.client.get(&query(&format!("{SENDSYNC}/queue/list"), &[(name, value)]))?;
        assert_eq!(reply.status, 400, "{name}={value}: {reply:?}");
        let body = reply.json()?;
        assert_eq!((&body["statusCode"], &body["error"]), (&json!(400), &json!("Bad Request")), "{body}");
        assert!(text_of(&body, "message")?.contains(name), "{name} is not named: {body}");
    }
    // A connector that is not there, or another tenant's, has no messages: which of the two is not told.
    let (other, connector) = queueing_tenant()?;
    other.send_text(&connector, "a@customers.test", "mine")?;
    let reply = tenant.client.get(&query(&format!("{SENDSYNC}/queue/list"), &[("connectorId", &connector)]))?;
    assert!(reply.status == 404 || (reply.status == 200 && reply.json()?["meta"]["total"] == 0), "{reply:?}");
    Ok(())
}
