//! Who has an account, under which numbers it is found, and the keys of its companions.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use wacore_binary::{Jid, Server};
use wacore_libsignal::protocol::KeyPair;

use super::account::{Account, AccountInfo, Device, DeviceId, NewAccount, OneTimeKey, SignedKey};
use crate::Error;

/// How many companions an account may have, as the real service allows.
const COMPANIONS: usize = 4;

/// All accounts.
#[derive(Default)]
pub struct Directory {
    accounts: BTreeMap<Arc<str>, Account>,
    by_lid: HashMap<Arc<str>, Arc<str>>,
}

/// What a companion's device may fetch of another: enough to start a session with it.
pub(crate) struct KeyBundle {
    pub(crate) registration_id: u32,
    pub(crate) identity: [u8; 32],
    pub(crate) signed_key: SignedKey,
    pub(crate) one_time_key: Option<OneTimeKey>,
    pub(crate) signed_identity: Option<Vec<u8>>,
}

/// The list of an account's devices, as a device query answers it.
pub(crate) struct DeviceList {
    pub(crate) info: AccountInfo,
    /// Device number and key index.
    pub(crate) companions: Vec<(u16, u32)>,
    pub(crate) raw_id: u32,
    pub(crate) current_key_index: u32,
    pub(crate) identity: KeyPair,
}

impl Directory {
    pub(super) fn register(&mut self, account: NewAccount) -> Result<(AccountInfo, KeyPair), Error> {
        let digits: String = account.phone.trim().trim_start_matches('+').to_owned();
        if digits.len() < 6 || digits.len() > 15 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::InvalidNumber(account.phone));
        }
        let phone = match (account.without_ninth_digit, other_brazilian_form(&digits)) {
            (true, Some(other)) if other.len() < digits.len() => other,
            _ => digits,
        };
        if self.find_phone(&phone).is_some() {
            return Err(Error::AccountExists(phone));
        }
        let account = Account::new(phone, account);
        let info = account.info();
        self.by_lid.insert(info.lid.clone(), info.phone.clone());
        let identity = account.identity().clone();
        self.accounts.insert(info.phone.clone(), account);
        Ok((info, identity))
    }

    pub(crate) fn find_phone(&self, phone: &str) -> Option<&Account> {
        let phone = phone.trim_start_matches('+');
        self.accounts.get(phone).or_else(|| self.accounts.get(&*other_brazilian_form(phone)?))
    }

    pub(crate) fn find(&self, who: &Jid) -> Option<&Account> {
        match who.server {
            Server::Pn | Server::Legacy => self.find_phone(who.user_base()),
            Server::Lid => self.accounts.get(self.by_lid.get(who.user_base())?),
            _ => None,
        }
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    pub(super) fn set_name(&mut self, phone: &str, name: &str) {
        if let Some(account) = self.accounts.get_mut(phone) {
            account.set_name(name);
        }
    }

    pub(super) fn reinstall(&mut self, phone: &str) -> Option<KeyPair> {
        self.accounts.get_mut(phone).map(Account::reinstall)
    }

    pub(super) fn devices(&self, phone: &str) -> Vec<DeviceId> {
        let Some(account) = self.find_phone(phone) else { return Vec::new() };
        let phone = account.phone();
        std::iter::once(0)
            .chain(account.companions.keys().copied())
            .map(|device| DeviceId { phone: phone.clone(), device })
            .collect()
    }

    pub(super) fn companions(&self) -> Vec<DeviceId> {
        self.accounts
            .values()
            .flat_map(|account| {
                account.companions.keys().map(|device| DeviceId { phone: account.phone().clone(), device: *device })
            })
            .collect()
    }

    /// A number and key index for a companion about to be paired.
    pub(crate) fn claim_slot(&mut self, phone: &str) -> Result<(u16, u32), Error> {
        let account = self.accounts.get_mut(phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))?;
        if account.companions.len() >= COMPANIONS {
            return Err(Error::TooManyCompanions(phone.to_owned()));
        }
        Ok(account.claim_slot())
    }

    pub(crate) fn add_companion(&mut self, phone: &str, device: Device) {
        if let Some(account) = self.accounts.get_mut(phone) {
            account.companions.insert(device.id, device);
        }
    }

    pub(crate) fn remove_companion(&mut self, device: &DeviceId) -> bool {
        self.accounts.get_mut(&device.phone).is_some_and(|account| account.companions.remove(&device.device).is_some())
    }

    pub(crate) fn companion(&self, device: &DeviceId) -> Option<&Device> {
        self.accounts.get(&device.phone)?.companions.get(&device.device)
    }

    pub(crate) fn companion_mut(&mut self, device: &DeviceId) -> Option<&mut Device> {
        self.accounts.get_mut(&device.phone)?.companions.get_mut(&device.device)
    }

    /// What starts a session with a companion; consumes one of its one-time keys. Answers how many are left, too.
    pub(crate) fn take_bundle(&mut self, device: &DeviceId) -> Option<(KeyBundle, usize)> {
        let companion = self.companion_mut(device)?;
        let bundle = KeyBundle {
            registration_id: companion.registration_id,
            identity: companion.identity,
            signed_key: companion.signed_key.clone(),
            one_time_key: companion.one_time_keys.pop_front(),
            signed_identity: Some(companion.signed_identity.clone()),
        };
        Some((bundle, companion.one_time_keys.len()))
    }

    pub(crate) fn device_list(&self, who: &Jid) -> Option<DeviceList> {
        let account = self.find(who)?;
        Some(DeviceList {
            info: account.info(),
            companions: account.companions.values().map(|device| (device.id, device.key_index)).collect(),
            raw_id: account.raw_id,
            current_key_index: account.current_key_index(),
            identity: account.identity().clone(),
        })
    }
}

/// Brazil gave its mobile numbers a ninth digit; accounts made before keep the old form. Either form reaches the account.
pub fn other_brazilian_form(phone: &str) -> Option<String> {
    let rest = phone.strip_prefix("55")?;
    if !rest.is_ascii() {
        return None;
    }
    match rest.len() {
        11 if rest.as_bytes()[2] == b'9' => Some(format!("55{}{}", &rest[..2], &rest[3..])),
        10 if matches!(rest.as_bytes()[2], b'6'..=b'9') => Some(format!("55{}9{}", &rest[..2], &rest[2..])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(directory: &mut Directory, phone: &str, old_form: bool) -> AccountInfo {
        directory
            .register(NewAccount { phone: phone.into(), without_ninth_digit: old_form, ..NewAccount::default() })
            .expect("a valid number registers")
            .0
    }

    #[test]
    fn either_brazilian_form_finds_the_registered_one() {
        let mut directory = Directory::default();
        assert_eq!(&*register(&mut directory, "5548991234567", true).phone, "554891234567");
        assert_eq!(&*register(&mut directory, "5511987654321", false).phone, "5511987654321");
        let found = |number: &str| directory.find(&Jid::pn(number)).map(|account| account.phone().to_string());
        assert_eq!(found("5548991234567").as_deref(), Some("554891234567"));
        assert_eq!(found("554891234567").as_deref(), Some("554891234567"));
        assert_eq!(found("551187654321").as_deref(), Some("5511987654321"));
        assert_eq!(found("5511987654322"), None);
        // A landline has no other form.
        assert_eq!(other_brazilian_form("554832345678"), None);
        assert_eq!(other_brazilian_form("351912345678"), None);
    }

    #[test]
    fn a_lid_finds_its_account_and_numbers_are_taken_once() {
        let mut directory = Directory::default();
        let info = register(&mut directory, "351912345678", false);
        assert_eq!(directory.find(&info.lid_jid()).map(|account| account.phone().clone()), Some(info.phone));
        let again = NewAccount { phone: "+351912345678".into(), ..NewAccount::default() };
        assert!(matches!(directory.register(again), Err(Error::AccountExists(_))));
        let letters = NewAccount { phone: "35191x345678".into(), ..NewAccount::default() };
        assert!(matches!(directory.register(letters), Err(Error::InvalidNumber(_))));
    }
}
