//! What goes wrong on demand. A fault names a device (or all of them) and how often it strikes; when it has, it is gone.
//! No clock of its own: callers say what time it is. No sockets: sessions ask here and act.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use crate::world::DeviceId;

/// The devices that a fault affects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Every device.
    All,
    /// Every companion of an account.
    Account(String),
    /// A single device.
    Device(DeviceId),
}

impl Target {
    fn hits(&self, device: &DeviceId) -> bool {
        match self {
            Self::All => true,
            Self::Account(phone) => **phone == *device.phone,
            Self::Device(one) => one == device,
        }
    }
}

/// What happens to a message's ack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AckFault {
    /// Nothing: it is sent as usual.
    #[default]
    None,
    /// It is never sent.
    Lose,
    /// It is sent later.
    Delay(Duration),
}

/// What happens to a message a device sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFault {
    /// The server has it and never says so.
    LoseAck,
    /// The server has it and says so later.
    DelayAck(Duration),
    /// Every recipient gets it so many times.
    Duplicate(u32),
    /// Its ciphertexts are damaged: recipients cannot open it and ask for it again.
    Garble,
    /// The server refuses it: 463, 479, 429…
    Nack(u16),
    /// The socket is cut before the server has it.
    CutBefore,
    /// The socket is cut after the server has it, before its ack.
    CutAfter,
}

/// What goes wrong when an account that demands a passkey is linked. Each strikes one linking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PasskeyFault {
    /// The passkey is never asked for.
    Silent,
    /// It is asked for without its options, which are given when the companion asks for them.
    WithoutOptions,
    /// The same, and they are refused.
    OptionsRefused,
    /// The same, and they never come.
    OptionsIgnored,
    /// Its options have no challenge.
    BrokenOptions,
    /// The companion gets no reference for its answer.
    NoReference,
    /// The answer is never answered.
    Ignored,
    /// The answer is refused.
    Refused,
    /// The answer comes too late.
    Expired,
    /// The connection is cut when the answer comes.
    CutAfterAnswer,
    /// The answer is taken, and nothing follows.
    NeverContinued,
    /// The answer is taken, and what follows lacks the phone's key.
    BrokenContinuation,
    /// The companion's nonce is never answered.
    NonceIgnored,
    /// The phone shows another code.
    OtherCode,
    /// The confirmation is never answered.
    ConfirmIgnored,
    /// The confirmation is refused.
    ConfirmRefused,
    /// The connection is cut when the confirmation comes.
    CutAfterConfirm,
    /// Everything is taken, and the companion is never told that it is linked.
    NeverPaired,
}

/// Why a login is refused, as `<failure>` says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginRefusal {
    /// 401 logged out, 402 banned for a time, 403 locked, 405 the client is outdated, …
    pub reason: u16,
    /// The ban's own code, for 402.
    pub code: Option<u32>,
    /// How long the ban lasts, in seconds, for 402.
    pub expire: Option<u64>,
    /// A text that is not for people.
    pub message: Option<String>,
    /// Where to read more.
    pub url: Option<String>,
    /// What a person is told: the first line.
    pub header: Option<String>,
    /// What a person is told: the rest.
    pub subtext: Option<String>,
    /// The language of both.
    pub locale: Option<String>,
}

/// The faults that strike a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OnMessage {
    pub(crate) ack: AckFault,
    pub(crate) copies: u32,
    pub(crate) garble: bool,
    pub(crate) nack: Option<u16>,
    pub(crate) cut_before: bool,
    pub(crate) cut_after: bool,
}

struct Armed<F> {
    target: Target,
    fault: F,
    /// How often it still strikes.
    left: u32,
}

#[derive(Clone)]
struct IqFault {
    namespace: Option<String>,
    code: u16,
    text: String,
}

struct RefusedLogins {
    refusal: LoginRefusal,
    /// How many are still refused.
    left: u32,
    /// When they end by themselves, since 1970: with the ban that they tell.
    ends: Option<Duration>,
}

/// All armed faults.
#[derive(Default)]
pub struct Faults {
    /// How many are armed: sessions look here first, and mostly find nothing.
    armed: AtomicUsize,
    messages: Mutex<Vec<Armed<MessageFault>>>,
    iqs: Mutex<Vec<Armed<IqFault>>>,
    cuts: Mutex<HashMap<DeviceId, u32>>,
    closed_until: Mutex<Option<Duration>>,
    logins: Mutex<Option<RefusedLogins>>,
    passkeys: Mutex<HashMap<String, PasskeyFault>>,
    no_resumption: AtomicBool,
}

impl Faults {
    /// Strikes the next `times` messages that the target sends.
    pub fn on_messages(&self, target: Target, fault: MessageFault, times: u32) {
        self.messages.lock().push(Armed { target, fault, left: times });
        self.armed.fetch_add(1, Ordering::Release);
    }

    /// Refuses the next `times` iqs of the target with an error: 429 is a rate limit. `namespace` narrows it.
    pub fn on_iqs(&self, target: Target, namespace: Option<String>, code: u16, text: &str, times: u32) {
        self.iqs.lock().push(Armed { target, fault: IqFault { namespace, code, text: text.to_owned() }, left: times });
        self.armed.fetch_add(1, Ordering::Release);
    }

    /// Cuts the device's socket after this number of further stanzas, in or out.
    pub fn cut_after(&self, device: DeviceId, stanzas: u32) {
        self.cuts.lock().insert(device, stanzas.max(1));
        self.armed.fetch_add(1, Ordering::Release);
    }

    /// Takes no connections until the server's clock reads this.
    pub fn close_until(&self, reading: Duration) {
        *self.closed_until.lock() = Some(reading);
    }

    /// Refuses the next `times` logins with `<failure reason=…>`; none any longer when the ban is over that the refusal tells, counted
    /// from `now`.
    pub fn refuse_logins(&self, refusal: LoginRefusal, times: u32, now: Duration) {
        let ends = refusal.expire.map(|seconds| now.saturating_add(Duration::from_secs(seconds)));
        *self.logins.lock() = (times > 0).then_some(RefusedLogins { refusal, left: times, ends });
    }

    /// Strikes the next linking of this account, by its registered number, that demands a passkey.
    pub fn on_next_passkey(&self, phone: &str, fault: PasskeyFault) {
        self.passkeys.lock().insert(phone.to_owned(), fault);
    }

    pub(crate) fn on_passkey(&self, phone: &str) -> Option<PasskeyFault> {
        self.passkeys.lock().remove(phone)
    }

    /// Answers every resumed handshake as if the server's key had changed.
    pub fn refuse_resumption(&self, refuse: bool) {
        self.no_resumption.store(refuse, Ordering::Release);
    }

    /// Disarms all faults.
    pub fn clear(&self) {
        self.messages.lock().clear();
        self.iqs.lock().clear();
        self.cuts.lock().clear();
        *self.closed_until.lock() = None;
        *self.logins.lock() = None;
        self.passkeys.lock().clear();
        self.no_resumption.store(false, Ordering::Release);
        self.armed.store(0, Ordering::Release);
    }

    /// How many faults are armed for messages, iqs, sockets and passkeys.
    pub fn armed(&self) -> usize {
        let messages = self.messages.lock().len() + self.iqs.lock().len();
        messages + self.cuts.lock().len() + self.passkeys.lock().len()
    }

    fn any(&self) -> bool {
        self.armed.load(Ordering::Acquire) > 0
    }

    pub(crate) fn is_closed(&self, now: Duration) -> bool {
        let mut until = self.closed_until.lock();
        match *until {
            Some(at) if now < at => true,
            _ => {
                *until = None;
                false
            }
        }
    }

    pub(crate) fn accepts_resumption(&self) -> bool {
        !self.no_resumption.load(Ordering::Acquire)
    }

    pub(crate) fn refuses_logins(&self, now: Duration) -> Option<LoginRefusal> {
        let mut logins = self.logins.lock();
        let refused = logins.take().filter(|refused| refused.ends.is_none_or(|ends| now < ends))?;
        let refusal = refused.refusal.clone();
        if refused.left > 1 {
            *logins = Some(RefusedLogins { left: refused.left - 1, ..refused });
        }
        Some(refusal)
    }

    pub(crate) fn refuses_iq(&self, device: &DeviceId, namespace: &str) -> Option<(u16, String)> {
        if !self.any() {
            return None;
        }
        let wanted = |fault: &IqFault| fault.namespace.as_deref().is_none_or(|only| only == namespace);
        let fault = strike(&mut self.iqs.lock(), device, wanted)?;
        Some((fault.code, fault.text))
    }

    pub(crate) fn on_message(&self, device: &DeviceId) -> OnMessage {
        let mut found = OnMessage {
            ack: AckFault::None,
            copies: 1,
            garble: false,
            nack: None,
            cut_before: false,
            cut_after: false,
        };
        if !self.any() {
            return found;
        }
        match strike(&mut self.messages.lock(), device, |_| true) {
            None => {}
            Some(MessageFault::LoseAck) => found.ack = AckFault::Lose,
            Some(MessageFault::DelayAck(delay)) => found.ack = AckFault::Delay(delay),
            Some(MessageFault::Duplicate(copies)) => found.copies = copies.max(1),
            Some(MessageFault::Garble) => found.garble = true,
            Some(MessageFault::Nack(code)) => found.nack = Some(code),
            Some(MessageFault::CutBefore) => found.cut_before = true,
            Some(MessageFault::CutAfter) => found.cut_after = true,
        }
        found
    }

    /// A stanza went out: is the socket to be cut now?
    pub(crate) fn counts_out(&self, device: &DeviceId) -> bool {
        self.counts(device)
    }

    /// A stanza came in: is the socket to be cut now?
    pub(crate) fn counts_in(&self, device: &DeviceId) -> bool {
        self.counts(device)
    }

    fn counts(&self, device: &DeviceId) -> bool {
        if !self.any() {
            return false;
        }
        let mut cuts = self.cuts.lock();
        let Some(left) = cuts.get_mut(device) else { return false };
        *left -= 1;
        if *left == 0 {
            cuts.remove(device);
            return true;
        }
        false
    }
}

/// The first fault armed for the device; it strikes once less after this.
fn strike<F: Clone>(armed: &mut Vec<Armed<F>>, device: &DeviceId, wanted: impl Fn(&F) -> bool) -> Option<F> {
    let index = armed.iter().position(|armed| armed.left > 0 && armed.target.hits(device) && wanted(&armed.fault))?;
    let fault = armed[index].fault.clone();
    armed[index].left -= 1;
    if armed[index].left == 0 {
        armed.remove(index);
    }
    Some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_whom_it_names_as_often_as_it_says() {
        let faults = Faults::default();
        let (one, two) = (DeviceId::new("5511911111111", 1), DeviceId::new("5511922222222", 1));
        faults.on_messages(Target::Account("5511911111111".into()), MessageFault::Nack(463), 2);
        assert_eq!(faults.on_message(&two).nack, None);
        assert_eq!(faults.on_message(&one).nack, Some(463));
        assert_eq!(faults.on_message(&one).nack, Some(463));
        assert_eq!(faults.on_message(&one).nack, None);
        faults.on_iqs(Target::All, Some("usync".into()), 429, "rate-overlimit", 1);
        assert_eq!(faults.refuses_iq(&two, "encrypt"), None);
        assert_eq!(faults.refuses_iq(&two, "usync"), Some((429, "rate-overlimit".into())));
        assert_eq!(faults.refuses_iq(&two, "usync"), None);
        faults.cut_after(two.clone(), 2);
        assert!(
            !faults.counts_in(&two) && !faults.counts_out(&one) && faults.counts_out(&two) && !faults.counts_in(&two)
        );
    }
}
