//! Pictures of people and groups: the channel is asked when somebody looks at one, and what it answers is kept for a day, in memory.
//!
//! Channels take many such questions for an attack: a connector asks a few in a minute, and nobody asks for a whole list.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{Either, select};
use uuid::Uuid;

use crate::commands::Commands;
use crate::ports::{Answer, Operation, SessionState};
use crate::{ConnectorIndex, TenantIndex, Timestamp};

/// The feature of a plugin that can be asked.
const FEATURE: &str = "profile-pictures";

/// How long an answer is kept, in milliseconds.
const KEPT_MS: i64 = 24 * 3_600_000;
/// After how long somebody is asked again who did not answer, in milliseconds.
const AGAIN_MS: i64 = 5 * 60_000;
/// How long a caller waits for an answer, in milliseconds.
const WAIT_MS: i64 = 4_000;
/// Questions of one connector in a minute.
const PER_MINUTE: usize = 30;
/// Pictures that are known at once, of all tenants.
const MOST: usize = 10_000;

/// What is known of pictures. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Pictures(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    pictures: HashMap<Whose, Picture>,
    /// When each connector asked in the last minute.
    asked: HashMap<ConnectorIndex, VecDeque<Timestamp>>,
}

/// Whose picture, and who sees it: each account sees what it may see, and a connector may get another account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Whose {
    connector: ConnectorIndex,
    /// Address of the connector's account; empty where it is not known.
    account: String,
    address: String,
}

struct Picture {
    url: Option<String>,
    until: Timestamp,
}

/// What follows for one who looks.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// It is known, or it is known that there is none.
    Known(Option<String>),
    /// The caller is to ask the channel.
    Ask,
    /// The connector asked too often of late.
    Later,
}

impl Pictures {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known at `now`. After [`Found::Ask`] nobody else is told to ask for a while.
    fn find(&self, whose: &Whose, now: Timestamp) -> Found {
        let mut known = self.lock();
        if let Some(picture) = known.pictures.get(whose).filter(|picture| picture.until > now) {
            return Found::Known(picture.url.clone());
        }
        let asked = known.asked.entry(whose.connector).or_default();
        while asked.front().is_some_and(|at| at.plus_ms(60_000) <= now) {
            asked.pop_front();
        }
        if asked.len() >= PER_MINUTE {
            return Found::Later;
        }
        asked.push_back(now);
        known.keep(whose.clone(), Picture { url: None, until: now.plus_ms(AGAIN_MS) }, now);
        Found::Ask
    }

    fn keep(&self, whose: Whose, url: Option<String>, now: Timestamp) {
        let picture = Picture { url, until: now.plus_ms(KEPT_MS) };
        self.lock().keep(whose, picture, now);
    }
}

impl Known {
    fn keep(&mut self, whose: Whose, picture: Picture, now: Timestamp) {
        if self.pictures.len() >= MOST && !self.pictures.contains_key(&whose) {
            self.pictures.retain(|_, picture| picture.until > now);
            if self.pictures.len() >= MOST {
                self.pictures.clear();
            }
        }
        self.pictures.insert(whose, picture);
    }
}

impl Commands {
    /// A link to the picture of a person or a group on a connector's channel, by its address there. `None` if there is none, if the
    /// account may not see it, or if the channel cannot be asked now: nothing depends on a picture.
    pub async fn profile_picture(&self, tenant: TenantIndex, id: Uuid, address: &str) -> Option<String> {
        let offering = self.offering(tenant, id).ok().filter(|offering| offering.plugin.offers(FEATURE))?;
        let (index, connectors) = (offering.connector.index, &self.ports().connectors);
        if connectors.session(index) != SessionState::Connected {
            return None;
        }
        let now = self.now();
        let account = connectors.account(index).map(|account| account.address).unwrap_or_default();
        let whose = Whose { connector: index, account, address: address.to_owned() };
        match self.pictures.find(&whose, now) {
            Found::Known(url) => return url,
            Found::Later => return None,
            Found::Ask => {}
        }
        let asked = connectors.operate(index, Operation::ProfilePicture(address.to_owned()));
        let alarm = self.ports().clock.sleep_until(now.plus_ms(WAIT_MS));
        match select(asked, alarm).await {
            Either::Left((Ok(Answer::Picture(url)), _)) => {
                self.pictures.keep(whose, url.clone(), now);
                url
            }
            Either::Left(_) | Either::Right(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectorIndex = ConnectorIndex(1);

    fn whose(connector: ConnectorIndex, account: &str, address: &str) -> Whose {
        Whose { connector, account: account.to_owned(), address: address.to_owned() }
    }

    #[test]
    fn a_picture_is_asked_for_once_a_day() {
        let pictures = Pictures::default();
        let now = Timestamp(1_000_000);
        let ana = whose(ONE, "loja", "ana");
        assert_eq!(pictures.find(&ana, now), Found::Ask);
        assert_eq!(pictures.find(&ana, now), Found::Known(None), "somebody asks already");
        assert_eq!(pictures.find(&ana, now.plus_ms(AGAIN_MS)), Found::Ask, "there was no answer");
        pictures.keep(ana.clone(), Some("url".to_owned()), now);
        assert_eq!(pictures.find(&ana, now.plus_ms(KEPT_MS - 1)), Found::Known(Some("url".to_owned())));
        assert_eq!(pictures.find(&ana, now.plus_ms(KEPT_MS)), Found::Ask);
        let other = whose(ConnectorIndex(2), "loja", "ana");
        assert_eq!(pictures.find(&other, now), Found::Ask, "each account sees what it may see");
        let later = whose(ONE, "filial", "ana");
        assert_eq!(pictures.find(&later, now), Found::Ask, "the connector has another account now");
    }

    #[test]
    fn a_connector_asks_only_so_many_in_a_minute_and_only_so_much_is_kept() {
        let pictures = Pictures::default();
        let now = Timestamp(1_000_000);
        let asked = |now: Timestamp, connector| {
            let all = (0..100).map(|n| {
                let address = format!("{connector:?} {} {n}", now.0);
                pictures.find(&whose(connector, "loja", &address), now)
            });
            all.filter(|found| *found == Found::Ask).count()
        };
        assert_eq!(asked(now, ONE), PER_MINUTE);
        assert_eq!(asked(now.plus_ms(59_999), ONE), 0);
        assert_eq!(asked(now.plus_ms(60_000), ONE), PER_MINUTE);
        for connector in 2..1_000 {
            asked(now, ConnectorIndex(connector));
        }
        assert!(pictures.lock().pictures.len() <= MOST);
    }
}
