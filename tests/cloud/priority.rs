//! Which message goes first: the priority decides, and between messages of one priority the category, unless the connector's pace says
//! otherwise. What is answered is the priority that was given.

use anyhow::Result;
use pombo_tests::graph::connect;
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::shared::{Bench, named_content, named_template, person};

impl Bench {
    /// Queues the template of this name by a connector, to somebody new: who.
    fn ranked(&self, connector: &str, name: &str, category: &str, priority: u8) -> Result<String> {
        let who = person();
        let content = json!({"kind": "template", "value": named_content(name)});
        let body = json!({"to": who, "messageType": category, "priority": priority, "content": content});
        let made = self.tenant.client.post(&format!("/v1/connectors/{connector}/messages"), &body)?.expect_json(201)?;
        assert_eq!(made["priority"], priority, "{made}");
        Ok(who)
    }

    /// Waits until each of these people got a message; the same people in the order in which Graph accepted the messages.
    fn order(&self, people: &[String]) -> Result<Vec<String>> {
        until("all of the messages", PATIENCE, || {
            let all = self.graph.accepted()?;
            let to = all.iter().filter_map(|body| body["to"].as_str()).map(|to| to.trim_start_matches('+').to_owned());
            let order: Vec<String> = to.filter(|to| people.contains(to)).collect();
            Ok((order.len() >= people.len()).then_some(order))
        })
    }
}

#[test]
fn the_category_decides_between_messages_of_one_priority() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("ordem"))?;
    bench.tenant.set_paused(&bench.connector, true)?;
    let mut expected = Vec::new();
    for category in ["MARKETING", "GERAL", "REMINDER", "SUPPORT", "NOTIFICATION", "TRANSACTIONAL"] {
        expected.insert(0, bench.ranked(&bench.connector, "ordem", category, 5)?);
    }
    // A higher priority goes before every category, and a lower one behind.
    expected.insert(0, bench.ranked(&bench.connector, "ordem", "MARKETING", 6)?);
    expected.push(bench.ranked(&bench.connector, "ordem", "TRANSACTIONAL", 4)?);
    bench.tenant.pace(&bench.connector, &json!({"maxInFlight": 1}))?;
    bench.tenant.set_paused(&bench.connector, false)?;
    assert_eq!(bench.order(&expected)?, expected);
    Ok(())
}

#[test]
fn a_connector_without_the_order_by_category_sends_in_the_order_of_the_requests() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("sem_ordem"))?;
    let second = bench.graph.another_number()?;
    let other = connect(&bench.tenant, &bench.graph.config_of(&second, &json!({})))?;
    let (plain, sorted) = (&bench.connector, &other);
    for connector in [plain, sorted] {
        bench.tenant.set_paused(connector, true)?;
        bench.tenant.pace(connector, &json!({"maxInFlight": 1, "categoryOrder": connector == sorted}))?;
        let shown = bench.tenant.client.get(&format!("/v1/connectors/{connector}/pace"))?.expect_json(200)?;
        assert_eq!(shown["pace"]["categoryOrder"], json!(connector == sorted), "{shown}");
    }
    let mut by_request = Vec::new();
    for category in ["MARKETING", "TRANSACTIONAL", "GERAL", "NOTIFICATION"] {
        by_request.push(bench.ranked(plain, "sem_ordem", category, 5)?);
    }
    by_request.insert(0, bench.ranked(plain, "sem_ordem", "MARKETING", 10)?);
    by_request.push(bench.ranked(plain, "sem_ordem", "TRANSACTIONAL", 1)?);
    let marketing = bench.ranked(sorted, "sem_ordem", "MARKETING", 5)?;
    let by_category = vec![bench.ranked(sorted, "sem_ordem", "TRANSACTIONAL", 5)?, marketing];
    for connector in [plain, sorted] {
        bench.tenant.set_paused(connector, false)?;
    }
    assert_eq!(bench.order(&by_request)?, by_request);
    assert_eq!(bench.order(&by_category)?, by_category);
    Ok(())
}

/// Whatever the category makes of the order: what was given is answered, stored and listed.
#[test]
fn the_answered_priority_is_the_one_that_was_sent() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    bench.opened(&who)?;
    bench.tenant.set_paused(&bench.connector, true)?;
    bench.tenant.pace(&bench.connector, &json!({"maxInFlight": 1}))?;
    let mut bulk = Vec::new();
    let mut given: Vec<(String, Value)> = Vec::new();
    for category in ["MARKETING", "TRANSACTIONAL"] {
        for priority in [Some(1), Some(7), Some(10), None] {
            let wanted = json!(priority.unwrap_or(5));
            let mut body = json!({"connectorId": bench.connector, "to": who, "messageType": category,
                "message": format!("{category} {wanted}")});
            if let Some(priority) = priority {
                body["priority"] = json!(priority);
            }
            let made = bench.tenant.send(&body)?;
            assert_eq!(made["priority"], wanted, "{made}");
            given.push((text_of(&made, "id")?, wanted.clone()));
            body["externalId"] = json!(format!("{category}-{wanted}"));
            bulk.push(body);
        }
    }
    let answer = bench.tenant.try_bulk(&bulk)?.expect_json(201)?;
    for (row, body) in answer["results"].as_array().into_iter().flatten().zip(&bulk) {
        given.push((text_of(row, "id")?, body.get("priority").cloned().unwrap_or(json!(5))));
    }
    assert_eq!(given.len(), 16, "{answer}");
    bench.tenant.set_paused(&bench.connector, false)?;
    for (id, priority) in &given {
        let message = bench.tenant.wait_status(id, &["SENT"])?;
        assert_eq!(&message["priority"], priority, "{message}");
    }
    let list = bench.tenant.list(&[("connectorId", &bench.connector)])?;
    for listed in list["data"].as_array().into_iter().flatten() {
        let expected = given.iter().find(|(id, _)| listed["id"] == id.as_str()).map(|(_, priority)| priority);
        assert_eq!(Some(&listed["priority"]), expected, "{listed}");
    }
    Ok(())
}
