//! Identity with a connected client: the library's mappings, the server's answers, and what is stored of them.

use pombo_plugin::connector::{LookupResult, events, kv};
use wacore_binary::Jid;
use whatsapp_rust::ErrorChainExt;

use super::address::Address;
use super::directory::{self, Known, Port, Record};
use super::person::Names;
use super::{brazil, person};
use crate::live::Live;

/// Answers of the server about numbers, by digits.
const KNOWN: &str = "known/";

/// Why the library could not carry something out.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// There is no connection: nothing was asked.
    Disconnected(String),
    /// No answer came; the request may have been carried out.
    NoAnswer(String),
    /// The server refused the request.
    Server {
        /// The error code, with the meaning of HTTP's status codes.
        code: u16,
        /// The server's text.
        text: String,
        /// After how many seconds the server wants the next request.
        backoff_secs: Option<u32>,
    },
    /// Any other failure.
    Other(String),
}

impl Refusal {
    /// Reads an error of the library.
    pub(crate) fn of(error: &impl ErrorChainExt) -> Self {
        if let Some(rejection) = error.server_rejection() {
            return Self::Server {
                code: rejection.code,
                text: rejection.text.to_owned(),
                backoff_secs: rejection.backoff,
            };
        }
        if error.is_timeout() {
            return Self::NoAnswer("WhatsApp did not answer in time".to_owned());
        }
        if error.is_transport_unavailable() {
            return Self::Disconnected("the connection to WhatsApp is down".to_owned());
        }
        Self::Other(error.as_dyn_error().to_string())
    }
}

impl Names for Live {
    async fn number_of(&self, lid: &str) -> Option<String> {
        let entry = self.client.get_lid_pn_entry(&Jid::lid(lid)).await.ok()??;
        Some(entry.phone_number.to_string())
    }
    async fn lid_of(&self, number: &str) -> Option<String> {
        let entry = self.client.get_lid_pn_entry(&Jid::pn(number)).await.ok()??;
        Some(entry.lid.to_string())
    }
}

impl Port for Live {
    fn now_millis(&self) -> u64 {
        pombo_plugin::clock::now_millis()
    }

    async fn sleep(&self, millis: u64) {
        pombo_plugin::clock::sleep(std::time::Duration::from_millis(millis)).await;
    }

    async fn ask(&self, numbers: &[String]) -> Result<Vec<Known>, directory::Error> {
        let jids: Vec<Jid> = numbers.iter().map(|n| Jid::pn(n.as_str())).collect();
        let found = self.client.contacts().is_on_whatsapp(&jids).await.map_err(|e| match Refusal::of(&e) {
            Refusal::Disconnected(why) => directory::Error::Disconnected(why),
            Refusal::Server { code: 429, backoff_secs, .. } => {
                directory::Error::Throttled { retry_after_millis: directory::cool_down_millis(backoff_secs) }
            }
            Refusal::Server { code, text, .. } => directory::Error::Failed(format!("WhatsApp answered {code} {text}")),
            Refusal::NoAnswer(why) | Refusal::Other(why) => directory::Error::Failed(why),
        })?;
        Ok(found
            .into_iter()
            .filter(|user| user.is_registered)
            .filter_map(|user| {
                let names = [Some(&user.jid), user.pn_jid.as_ref(), user.lid.as_ref()];
                let number = names.iter().flatten().find(|j| j.is_pn())?.user_base().to_owned();
                let lid = names.iter().flatten().find(|j| j.is_lid()).map(|j| j.user_base().to_owned());
                Some(Known { number, lid })
            })
            .collect())
    }

    async fn learned(&self, number: &str) -> Option<Known> {
        let lid = self.lid_of(number).await?;
        Some(Known { number: number.to_owned(), lid: Some(lid) })
    }

    async fn recall(&self, number: &str) -> Result<Option<Record>, directory::Error> {
        let kept = kv::get(format!("{KNOWN}{number}"))
            .await
            .map_err(|e| directory::Error::Failed(format!("the store: {e:?}")))?;
        // A record of another form is as good as none: the server is asked again.
        Ok(kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    async fn keep(&self, number: &str, record: &Record) -> Result<(), directory::Error> {
        let Ok(value) = serde_json::to_vec(record) else { return Ok(()) };
        let change = kv::Change { key: format!("{KNOWN}{number}"), value: Some(value) };
        let contact = record.known.as_ref().map(|known| {
            let mut aliases: Vec<String> = known.lid.iter().map(|lid| format!("{lid}@lid")).collect();
            if known.number != number {
                aliases.push(number.to_owned());
            }
            aliases.extend(brazil::other_form(&known.number).filter(|other| other != number));
            events::Event::Contact(events::ContactUpdate { address: known.number.clone(), display_name: None, aliases })
        });
        events::commit(contact.into_iter().collect(), vec![change])
            .await
            .map_err(|e| directory::Error::Failed(format!("the store: {e:?}")))
    }
}

/// How WhatsApp knows these digits; `None` when it does not.
pub(crate) async fn find(live: &Live, number: &str) -> Result<Option<Known>, directory::Error> {
    live.shared.directory.find(live, number).await
}

/// The address to send to: a number is checked and brought to its registered form, anything else stays. `None` when the number is
/// not on WhatsApp.
pub(crate) async fn resolve(live: &Live, address: Address) -> Result<Option<Address>, directory::Error> {
    match address {
        Address::Number(number) => Ok(find(live, &number).await?.map(|known| Address::Number(known.number))),
        // Somebody who wrote to us, or a group: there is nobody to ask.
        other => Ok(Some(other)),
    }
}

/// Which of these addresses exist. An address that cannot be one does not.
pub(crate) async fn lookup(live: &Live, asked: Vec<String>) -> Result<Vec<LookupResult>, directory::Error> {
    // All at once, so that they share the questions.
    let each = asked.into_iter().map(|asked| async move {
        let (address, aliases) = match Address::parse(&asked) {
            Ok(Address::Number(number)) => match find(live, &number).await? {
                Some(known) => {
                    let mut aliases: Vec<String> = known.lid.iter().map(|lid| format!("{lid}@lid")).collect();
                    aliases.extend(brazil::other_form(&known.number));
                    (Some(known.number), aliases)
                }
                None => (None, Vec::new()),
            },
            Ok(address @ Address::Lid(_)) => {
                let found = person(live, &address.jid(), None).await;
                (Some(found.address), found.aliases)
            }
            Ok(address @ Address::Group(_)) => (Some(address.to_string()), Vec::new()),
            Err(_) => (None, Vec::new()),
        };
        Ok(LookupResult { asked, address, aliases })
    });
    whatsapp_rust::futures::future::join_all(each).await.into_iter().collect()
}

/// The session's own account.
pub(crate) fn own_account(live: &Live) -> events::Account {
    let number = live.client.pn().as_ref().and_then(Address::of_jid).map(|a| a.to_string());
    let lid = live.client.lid().as_ref().and_then(Address::of_jid).map(|a| a.to_string());
    let name = live.client.push_name();
    let mut names = number.into_iter().chain(lid);
    let address = names.next().unwrap_or_default();
    let mut aliases: Vec<String> = names.collect();
    aliases.extend(brazil::other_form(&address));
    events::Account { address, display_name: (!name.is_empty()).then_some(name), aliases }
}
