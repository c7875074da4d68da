//! Whether an own message is the echo of a send, see [`crate::echoes`].

use std::time::Duration;

use super::Refusal;
use crate::echoes::Look;
use crate::gateway::Gateway;
use crate::outside::Outside;

/// How long an own message waits for the sends that were under way when it came.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(50);

/// The address of the account, which an own message is from.
pub(super) fn account(gateway: &Gateway<impl Outside>) -> Result<String, Refusal> {
    let unknown = || Refusal::Later("the account is not known yet; post connection first".to_owned());
    gateway.states.account().map(|account| account.address).ok_or_else(unknown)
}

/// Whether an own message, in this chat and with this id, is one that this connector sent.
pub(super) async fn is_one(
    gateway: &Gateway<impl Outside>,
    chat: &str,
    id: &str,
    look: Option<Look>,
) -> Result<bool, Refusal> {
    let Gateway { outside, ledger, echoes, .. } = gateway;
    if ledger.client_of(outside, id).await?.is_some() {
        return Ok(true);
    }
    let came = echoes.next();
    let mut waited = Duration::ZERO;
    while !echoes.ended_before(came, chat) {
        if waited >= PATIENCE {
            let why = "the message may be one that is being sent; post it again";
            return Err(Refusal::Later(why.to_owned()));
        }
        outside.sleep(LOOK).await;
        waited += LOOK;
    }
    if waited > Duration::ZERO && ledger.client_of(outside, id).await?.is_some() {
        return Ok(true);
    }
    Ok(look.is_some_and(|look| echoes.is_expected(chat, id, look, outside.now_millis())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::world::ready;
    use crate::receiving::bench::{CLIENT, connected, gateway, own, post};

    #[test]
    fn what_was_sent_is_passed_over_by_its_id() {
        let (world, gateway) = gateway();
        connected(&world, &gateway);
        ready(gateway.ledger.sent(&world, Some("SENT"), CLIENT, Vec::new())).expect("kept");
        assert_eq!(post(&gateway, "incoming", &own("SENT")).0, 200);
        assert!(world.messages().is_empty());
    }

    #[test]
    fn a_message_waits_only_for_sends_to_its_chat() {
        let (world, gateway) = gateway();
        connected(&world, &gateway);
        let _other = gateway.echoes.begin("5511888888888");
        assert_eq!(post(&gateway, "incoming", &own("A")).0, 200);
        let began = world.now.get();
        let same = gateway.echoes.begin("5511999999999");
        assert_eq!(post(&gateway, "incoming", &own("B")).0, 503);
        assert_eq!(world.now.get() - began, 5_000);
        drop(same);
        assert_eq!(post(&gateway, "incoming", &own("B")).0, 200);
        assert_eq!(world.messages().len(), 2);
    }

    #[test]
    fn what_was_sent_without_an_id_is_passed_over_once() {
        let (world, gateway) = gateway();
        connected(&world, &gateway);
        gateway.echoes.expect("5511999999999", Look::text("oi"), world.now.get());
        for id in ["ECHO", "ECHO"] {
            assert_eq!(post(&gateway, "incoming", &own(id)).0, 200);
        }
        assert!(world.messages().is_empty());
        assert_eq!(post(&gateway, "incoming", &own("PHONE")).0, 200);
        assert_eq!(world.messages().len(), 1);
    }
}
