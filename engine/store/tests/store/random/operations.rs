//! The operations, and how they are drawn.

use pombo_domain::model::MessageType;
use proptest::prelude::*;

pub(super) const TEXTS: [&str; 8] = [
    "Olá Maria, seu pedido 4411 saiu",
    "Confirmação de CONSULTA amanhã às 10h",
    "Promoção! 50% de desconto",
    "olá",
    "",
    "pedido pedido pedido",
    "a  b\tc\n d",
    "código de acesso: 998877",
];
pub(super) const NAMES: [Option<&str>; 4] = [None, Some("João Ação"), Some("maria"), Some("Érica Conceição")];
pub(super) const QUERIES: [&str; 12] =
    ["ola", "OLÁ maria", "pedido 44", "acao", "5511", "conceição", "zzz", "e", "50%", "código: 99", "  ", "a b"];

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) connector: u32,
    pub(super) kind: usize,
    pub(super) priority: u8,
    pub(super) scheduled: Option<i64>,
    pub(super) approval: bool,
    pub(super) direct: bool,
    pub(super) webhook: bool,
    pub(super) external: Option<u8>,
    pub(super) text: usize,
    pub(super) name: usize,
    pub(super) to: u8,
}

#[derive(Debug, Clone)]
pub(super) enum Op {
    Insert(bool, Vec<Row>),
    Step(usize, u8),
    /// Two updates of one message at once: one wins.
    Race(usize),
    Stale(usize, bool),
    Delivery(usize, u8),
    /// Id, address, whether it accepts messages; `None` deletes it.
    Contact(u8, u8, Option<bool>),
    /// A step of a contact: id, push name, connector.
    ContactStep(u8, u8, u32),
    Kv(Vec<(u8, Option<u8>)>),
    Alias(u8, u8),
    /// Events of one batch: second tenant, connector, kind, mark; and whether the batch fails.
    Events(Vec<(bool, u32, bool, Option<u8>)>, bool),
    /// One marked event twice at once: one wins.
    EventRace(u8),
    Forget(i64, usize),
    /// A report: delivered, read, failed, failed before the outcome, or that the failure is forgotten.
    Receipts(usize, u8),
    Health(u32, u8),
    /// A message of the other side, or of the phone: chat, id, what it says or does; and whether the batch fails.
    Receive(u8, u8, Act, bool, bool),
    /// The first attempt of a message, in a chat.
    Attempt(usize, u8),
    /// Up to the entry at this place, or all.
    Read(u8, Option<usize>, bool),
    Archive(u8, bool),
    DeleteChat(u8),
    Purge(usize),
    Outdated(i64, usize),
    Chats(Option<bool>, Option<bool>, Option<u8>, u64),
    Advance(i64),
    List(Filter),
    Check,
    Reopen,
}

/// What a received message does: a text, or something to the message with an id.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Say(u8),
    React(u8, bool),
    Edit(u8, u8),
    Revoke(u8),
}

#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) second: bool,
    pub(super) status: Option<usize>,
    pub(super) connector: Option<u32>,
    pub(super) kind: Option<usize>,
    pub(super) external: Option<u8>,
    pub(super) query: Option<usize>,
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    pub(super) offset: u64,
    pub(super) limit: u32,
}

pub(super) const KINDS: [MessageType; 6] = [
    MessageType::General,
    MessageType::Notification,
    MessageType::Marketing,
    MessageType::Transactional,
    MessageType::Support,
    MessageType::Reminder,
];

fn row() -> impl Strategy<Value = Row> {
    let attributes = (0..3u32, 0..6usize, 1..=10u8, proptest::option::weighted(0.2, -50..500i64));
    let flags = (proptest::bool::weighted(0.2), proptest::bool::weighted(0.1), proptest::bool::weighted(0.3));
    let content = (proptest::option::weighted(0.3, 0..6u8), 0..TEXTS.len(), 0..NAMES.len(), 0..20u8);
    (attributes, flags, content).prop_map(
        |((connector, kind, priority, scheduled), (approval, direct, webhook), (external, text, name, to))| Row {
            connector,
            kind,
            priority,
            scheduled,
            approval,
            direct,
            webhook,
            external,
            text,
            name,
            to,
        },
    )
}

fn filter() -> impl Strategy<Value = Filter> {
    let some = |n: usize| proptest::option::weighted(0.3, 0..n);
    let attributes = (any::<bool>(), some(8), proptest::option::weighted(0.3, 0..4u32), some(6));
    let content = (proptest::option::weighted(0.2, 0..7u8), proptest::option::weighted(0.4, 0..QUERIES.len()));
    let when = || proptest::option::weighted(0.3, -100..3000i64);
    (attributes, content, when(), when(), 0..20u64, 0..30u32).prop_map(
        |((second, status, connector, kind), (external, query), from, to, offset, limit)| Filter {
            second,
            status,
            connector,
            kind,
            external,
            query,
            from,
            to,
            offset,
            limit,
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0..9u8).prop_map(Act::Say),
        1 => (0..12u8, any::<bool>()).prop_map(|(to, back)| Act::React(to, back)),
        1 => (0..12u8, 0..9u8).prop_map(|(of, text)| Act::Edit(of, text)),
        1 => (0..12u8).prop_map(Act::Revoke),
    ]
}

fn appended() -> impl Strategy<Value = (bool, u32, bool, Option<u8>)> {
    (any::<bool>(), 0..3u32, any::<bool>(), proptest::option::weighted(0.6, 0..9u8))
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (any::<bool>(), proptest::collection::vec(row(), 0..12)).prop_map(|(b, rows)| Op::Insert(b, rows)),
        10 => (any::<usize>(), 0..12u8).prop_map(|(pick, which)| Op::Step(pick, which)),
        1 => any::<usize>().prop_map(Op::Race),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(pick, skip)| Op::Stale(pick, skip)),
        5 => (any::<usize>(), 0..4u8).prop_map(|(pick, outcome)| Op::Delivery(pick, outcome)),
        4 => (0..5u8, 0..4u8, proptest::option::of(proptest::bool::weighted(0.6)))
            .prop_map(|(id, address, put)| Op::Contact(id, address, put)),
        1 => (0..5u8, 0..3u8, 0..3u32).prop_map(|(id, name, connector)| Op::ContactStep(id, name, connector)),
        1 => proptest::collection::vec((0..5u8, proptest::option::of(0..40u8)), 0..6).prop_map(Op::Kv),
        2 => (0..7u8, 0..4u8).prop_map(|(alias, address)| Op::Alias(alias, address)),
        4 => (proptest::collection::vec(appended(), 0..6), proptest::bool::weighted(0.2))
            .prop_map(|(events, fails)| Op::Events(events, fails)),
        1 => (0..9u8).prop_map(Op::EventRace),
        1 => (-100..1000i64, 0..9usize).prop_map(|(age, limit)| Op::Forget(age, limit)),
        4 => (any::<usize>(), 0..5u8).prop_map(|(pick, report)| Op::Receipts(pick, report)),
        1 => (0..3u32, 0..3u8).prop_map(|(connector, told)| Op::Health(connector, told)),
        6 => (0..4u8, 0..12u8, act(), proptest::bool::weighted(0.2), proptest::bool::weighted(0.1))
            .prop_map(|(chat, id, act, from_me, fails)| Op::Receive(chat, id, act, from_me, fails)),
        4 => (any::<usize>(), 0..4u8).prop_map(|(pick, chat)| Op::Attempt(pick, chat)),
        2 => (0..4u8, proptest::option::of(0..20usize), any::<bool>())
            .prop_map(|(chat, place, tell)| Op::Read(chat, place, tell)),
        1 => (0..4u8, any::<bool>()).prop_map(|(chat, archive)| Op::Archive(chat, archive)),
        1 => (0..4u8).prop_map(Op::DeleteChat),
        1 => (1..5usize).prop_map(Op::Purge),
        1 => (-100..2000i64, 1..9usize).prop_map(|(age, limit)| Op::Outdated(age, limit)),
        2 => (proptest::option::of(any::<bool>()), proptest::option::of(any::<bool>()), proptest::option::of(0..9u8), 0..3u64)
            .prop_map(|(archived, unread, text, offset)| Op::Chats(archived, unread, text, offset)),
        3 => (-40..400i64).prop_map(Op::Advance),
        6 => filter().prop_map(Op::List),
        2 => Just(Op::Check),
        1 => Just(Op::Reopen),
    ]
}
