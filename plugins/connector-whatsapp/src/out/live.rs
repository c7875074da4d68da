//! Builds the channel's messages for one of the engine's messages, with a connected client: resolves the people and uploads the
//! files.

use pombo_plugin::clock;
use pombo_plugin::connector::{Outcome, Outgoing, Target, Throttle};
use wacore::types::message::AddressingMode;
use wacore_binary::Jid;
use waproto::whatsapp as wa;

use super::compose::{self, Context, Key, Quoted};
use super::plan::{self, Piece};
use crate::identity::{self, Address, DirectoryError, Mention, Refusal};
use crate::live::Live;
use crate::media::{self, Kind, Trouble};

/// What one message of the engine's becomes.
pub(crate) struct Parcel {
    /// The chat that the messages go to.
    pub(crate) to: Jid,
    /// The messages in their order, each with its id. The first has the id that was asked for.
    pub(crate) messages: Vec<(String, wa::Message)>,
    /// How many characters a person would have typed.
    pub(crate) typed: usize,
    /// Whether a person would have recorded a voice message instead.
    pub(crate) spoken: bool,
}

/// The chat that a message goes to.
struct Chat {
    jid: Jid,
    group: bool,
    /// Its members are named by LID.
    by_lid: bool,
}

/// Builds the messages, or gives the outcome of the engine's message if they cannot be built. Then nothing has reached the
/// recipient.
pub(crate) async fn build(live: &Live, message: &Outgoing, id: &str) -> Result<Parcel, Outcome> {
    let pieces = plan::pieces(message).map_err(Outcome::rejected)?;
    let chat = chat(live, &message.to).await?;
    let mentions = mentioned(live, &chat, &message.mentions).await?;
    let quoted = match &message.reply_to {
        Some(target) => Some(Quoted {
            id: target.provider_id.clone(),
            author: author(live, &chat, target).await?,
            text: target.text.clone().unwrap_or_default(),
        }),
        None => None,
    };
    let mut parcel = Parcel {
        to: chat.jid.clone(),
        messages: Vec::with_capacity(pieces.len()),
        typed: pieces.iter().map(Piece::typed).sum(),
        spoken: pieces.iter().any(|p| matches!(p, Piece::File { kind: Kind::Voice, .. })),
    };
    let now = i64::try_from(clock::now_millis()).unwrap_or(i64::MAX);
    for (at, piece) in pieces.into_iter().enumerate() {
        // The first message answers; the one with the text mentions.
        let context = Context {
            quoted: quoted.clone().filter(|_| at == 0),
            mentioned: if piece.typed() > 0 { mentions.iter().map(|m| m.jid.clone()).collect() } else { Vec::new() },
        };
        let built = match piece {
            Piece::Text(text) => compose::text(identity::rewrite(text, &mentions), &context),
            Piece::File { attachment, kind, caption } => {
                let uploaded = media::upload(live, attachment, kind).await.map_err(of_trouble)?;
                let file = compose::File {
                    kind,
                    uploaded: &uploaded,
                    filename: &attachment.filename,
                    content_type: &attachment.content_type,
                    caption: caption.map(|text| identity::rewrite(text, &mentions)),
                };
                compose::file(file, &context)
            }
            Piece::Reaction(reaction) => compose::reaction(key(live, &chat, &reaction.to).await?, &reaction.emoji, now),
            Piece::Edit(edit) => {
                let text = identity::rewrite(&edit.text, &mentions);
                let context = Context { quoted: None, mentioned: mentions.iter().map(|m| m.jid.clone()).collect() };
                let mut key = key(live, &chat, &edit.of).await?;
                key.participant = if chat.group { own(live, &chat) } else { None };
                compose::edit(key, compose::text(text, &context), now)
            }
            Piece::Revoke(target) => {
                let key = key(live, &chat, target).await?;
                if !key.from_me && !chat.group {
                    return Err(Outcome::rejected(
                        "only the account's own messages can be deleted for everyone here".to_owned(),
                    ));
                }
                compose::revoke(key)
            }
        };
        parcel.messages.push((plan::id_of(id, at), built));
    }
    Ok(parcel)
}

async fn chat(live: &Live, to: &str) -> Result<Chat, Outcome> {
    let address = Address::parse(to).map_err(Outcome::invalid_recipient)?;
    let address = match identity::resolve(live, address).await {
        Ok(Some(address)) => address,
        Ok(None) => return Err(Outcome::invalid_recipient("this number is not on WhatsApp".to_owned())),
        Err(error) => return Err(of_directory(error)),
    };
    let jid = address.jid();
    if !matches!(address, Address::Group(_)) {
        return Ok(Chat { by_lid: jid.is_lid(), jid, group: false });
    }
    let info = live.client.groups().query_info(&jid).await.map_err(|error| match Refusal::of(&error) {
        Refusal::Disconnected(why) => Outcome::Disconnected(why),
        Refusal::NoAnswer(why) | Refusal::Other(why) => Outcome::Temporary(why),
        Refusal::Server { code: 404 | 410, .. } => Outcome::invalid_recipient("there is no such group".to_owned()),
        Refusal::Server { code: 401 | 403, .. } => {
            Outcome::invalid_recipient("the account is not a member of this group".to_owned())
        }
        Refusal::Server { code: 429, backoff_secs, .. } => {
            throttled(backoff_secs, "WhatsApp limits the rate of requests about groups")
        }
        Refusal::Server { code, text, .. } => {
            Outcome::Temporary(format!("WhatsApp answered {code} {text} about the group"))
        }
    })?;
    Ok(Chat { by_lid: info.addressing_mode == AddressingMode::Lid, jid, group: true })
}

fn throttled(backoff_secs: Option<u32>, reason: &str) -> Outcome {
    let retry_after_millis = u64::from(backoff_secs.unwrap_or(60).clamp(1, 3_600)) * 1_000;
    Outcome::Throttled(Throttle::of_connector(retry_after_millis, reason))
}

fn of_directory(error: DirectoryError) -> Outcome {
    let reason = error.to_string();
    match error {
        DirectoryError::Disconnected(_) => Outcome::Disconnected(reason),
        DirectoryError::Throttled { retry_after_millis } => {
            Outcome::Throttled(Throttle::of_connector(retry_after_millis, reason))
        }
        DirectoryError::Failed(_) => Outcome::Temporary(reason),
    }
}

fn of_trouble(trouble: Trouble) -> Outcome {
    match trouble {
        Trouble::Temporary(why) => Outcome::Temporary(why),
        Trouble::Final(why) => Outcome::rejected(why),
        Trouble::Disconnected(why) => Outcome::Disconnected(why),
    }
}

async fn mentioned(live: &Live, chat: &Chat, addresses: &[String]) -> Result<Vec<Mention>, Outcome> {
    let mut mentions: Vec<Mention> = Vec::with_capacity(addresses.len());
    for text in addresses {
        let address = Address::parse(text).map_err(|why| Outcome::rejected(format!("a mention: {why}")))?;
        let written = match &address {
            Address::Number(user) | Address::Lid(user) => user.clone(),
            Address::Group(_) => return Err(Outcome::rejected("a mention: a group cannot be mentioned".to_owned())),
        };
        // A member is on WhatsApp: only the form of its number may have to be found.
        let address = match address {
            Address::Number(_) => {
                identity::resolve(live, address.clone()).await.map_err(of_directory)?.unwrap_or(address)
            }
            other => other,
        };
        let jid = identity::jid_in(live, &address, chat.by_lid).await;
        mentions.push(Mention { written: vec![written, address.jid().user_base().to_owned()], jid });
    }
    Ok(mentions)
}

/// The account itself, as the chat names it.
fn own(live: &Live, chat: &Chat) -> Option<Jid> {
    let (pn, lid) = (live.client.pn(), live.client.lid());
    let own = if chat.by_lid { lid.or(pn) } else { pn.or(lid) };
    own.map(|jid| jid.to_non_ad())
}

async fn author(live: &Live, chat: &Chat, target: &Target) -> Result<Jid, Outcome> {
    match &target.sender {
        Some(sender) => {
            let address =
                Address::parse(sender).map_err(|why| Outcome::rejected(format!("the author of the message: {why}")))?;
            Ok(identity::jid_in(live, &address, chat.by_lid).await)
        }
        None => own(live, chat).ok_or_else(|| Outcome::Disconnected("there is no session".to_owned())),
    }
}

async fn key(live: &Live, chat: &Chat, target: &Target) -> Result<Key, Outcome> {
    let from_me = target.sender.is_none();
    let participant = if chat.group && !from_me { Some(author(live, chat, target).await?) } else { None };
    Ok(Key { chat: chat.jid.clone(), id: target.provider_id.clone(), from_me, participant })
}
