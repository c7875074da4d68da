//! A file that is still to be fetched: its record in the store, which is written with the event of its message and removed with the
//! event of its file, so that neither a crash nor a restart loses or duplicates it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use pombo_plugin::connector::events::MediaKind;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wacore::download::MediaType;

use super::kind;

/// The keys of all of them begin with this.
pub(crate) const PREFIX: &str = "download/";

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// The conversation as the engine knows it.
    pub(crate) chat: String,
    pub(crate) provider_id: String,
    /// The conversation and the writer as the channel knows them.
    pub(crate) chat_jid: String,
    pub(crate) sender_jid: String,
    pub(crate) from_me: bool,
    pub(crate) is_group: bool,
    kind: String,
    pub(crate) content_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) filename: Option<String>,
    pub(crate) direct_path: String,
    #[serde(serialize_with = "to_text", deserialize_with = "from_text")]
    pub(crate) key: Vec<u8>,
    #[serde(serialize_with = "to_text", deserialize_with = "from_text")]
    pub(crate) sha256: Vec<u8>,
    #[serde(serialize_with = "to_text", deserialize_with = "from_text")]
    pub(crate) encrypted_sha256: Vec<u8>,
}

/// What a message says about its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) direct_path: String,
    pub(crate) key: Vec<u8>,
    pub(crate) sha256: Vec<u8>,
    pub(crate) encrypted_sha256: Vec<u8>,
}

/// Where the message of a file is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) chat: String,
    pub(crate) provider_id: String,
    pub(crate) chat_jid: String,
    pub(crate) sender_jid: String,
    pub(crate) from_me: bool,
    pub(crate) is_group: bool,
}

impl Pending {
    /// Of a message.
    pub(crate) fn new(
        place: Place,
        kind: MediaKind,
        content_type: String,
        filename: Option<String>,
        reference: Reference,
    ) -> Self {
        Self {
            chat: place.chat,
            provider_id: place.provider_id,
            chat_jid: place.chat_jid,
            sender_jid: place.sender_jid,
            from_me: place.from_me,
            is_group: place.is_group,
            kind: name(kind).to_owned(),
            content_type,
            filename,
            direct_path: reference.direct_path,
            key: reference.key,
            sha256: reference.sha256,
            encrypted_sha256: reference.encrypted_sha256,
        }
    }

    /// Its key in the store. An id is unique only within a chat and a sender.
    pub(crate) fn key_in_store(&self) -> String {
        let mut key = format!("{PREFIX}{}/{}/{}", self.chat_jid, self.sender_jid, self.provider_id);
        // Ids of the channel are short; nothing a peer writes may make a key that the store refuses.
        if key.len() > 480 {
            key = format!("{PREFIX}~{}", crate::message_id::of(&key));
        }
        key
    }

    /// Its value in the store.
    pub(crate) fn value(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a value; `None` when it is of another form.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        serde_json::from_slice(value).ok()
    }

    /// Which keys the file is encrypted with.
    pub(crate) fn media_type(&self) -> MediaType {
        match self.kind.as_str() {
            "image" => MediaType::Image,
            "video" => MediaType::Video,
            "audio" | "voice" => MediaType::Audio,
            "sticker" => MediaType::Sticker,
            _ => MediaType::Document,
        }
    }

    /// A name for the file in the engine's store.
    pub(crate) fn stored_name(&self) -> String {
        match self.filename.as_deref().map(str::trim) {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => format!("{}.{}", self.kind, kind::extension(&self.content_type, of_name(&self.kind))),
        }
    }

    #[cfg(test)]
    pub(crate) fn example() -> Self {
        let place = Place {
            chat: "12025550100".into(),
            provider_id: "3EB0".into(),
            chat_jid: "12025550100@s.whatsapp.net".into(),
            sender_jid: "12025550100@s.whatsapp.net".into(),
            from_me: false,
            is_group: false,
        };
        Self::new(place, MediaKind::Image, "image/jpeg".into(), None, Reference::default())
    }
}

fn name(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
        MediaKind::Voice => "voice",
        MediaKind::Document => "document",
        MediaKind::Sticker => "sticker",
    }
}

fn of_name(name: &str) -> MediaKind {
    match name {
        "image" => MediaKind::Image,
        "video" => MediaKind::Video,
        "audio" => MediaKind::Audio,
        "voice" => MediaKind::Voice,
        "sticker" => MediaKind::Sticker,
        _ => MediaKind::Document,
    }
}

fn to_text<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
}

fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    STANDARD_NO_PAD.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let mut pending = Pending::example();
        pending.key = (0..32).collect();
        pending.sha256 = vec![255; 32];
        pending.filename = Some("relatório.pdf".into());
        assert_eq!(Pending::read(&pending.value()), Some(pending.clone()));
        assert_eq!(pending.key_in_store(), "download/12025550100@s.whatsapp.net/12025550100@s.whatsapp.net/3EB0");
        assert_eq!(pending.stored_name(), "relatório.pdf");
        assert_eq!(Pending::read(b"{}"), None);
        pending.provider_id = "x".repeat(600);
        assert!(pending.key_in_store().len() < 100);
    }

    #[test]
    fn every_kind_has_its_keys_and_a_name() {
        for (kind, content_type, media_type, stored) in [
            (MediaKind::Image, "image/png", MediaType::Image, "image.png"),
            (MediaKind::Video, "video/mp4", MediaType::Video, "video.mp4"),
            (MediaKind::Audio, "audio/mpeg", MediaType::Audio, "audio.mp3"),
            (MediaKind::Voice, "audio/ogg; codecs=opus", MediaType::Audio, "voice.ogg"),
            (MediaKind::Sticker, "image/webp", MediaType::Sticker, "sticker.webp"),
            (MediaKind::Document, "text/x-odd", MediaType::Document, "document.bin"),
        ] {
            let mut pending = Pending::example();
            pending.kind = name(kind).to_owned();
            pending.content_type = content_type.to_owned();
            assert_eq!((pending.media_type(), pending.stored_name().as_str()), (media_type, stored));
        }
    }
}
