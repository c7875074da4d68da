//! What a template consists of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Attachment;
use crate::words::words;

/// An example for each variable of a text, by the variable's name.
pub type Examples = BTreeMap<String, String>;

/// A part of a template. It is stored: cases are only ever added, at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Component {
    /// What stands above the text.
    Header {
        /// What it is.
        format: HeaderFormat,
        /// Its text, where it is one.
        text: Option<String>,
        /// Examples for the text's variables.
        examples: Examples,
        /// The channel's handle of a sample file.
        example: Option<String>,
    },
    /// The text itself.
    Body {
        /// The text.
        text: String,
        /// Examples for its variables.
        examples: Examples,
        /// Further fields, a JSON object as text.
        more: Option<String>,
    },
    /// A line below the text.
    Footer {
        /// The line.
        text: String,
        /// Further fields, a JSON object as text.
        more: Option<String>,
    },
    /// What the recipient can tap.
    Buttons(Vec<Button>),
    /// An offer that ends.
    Offer {
        /// What is offered.
        text: String,
        /// Whether the recipient sees when it ends.
        has_expiration: bool,
    },
    /// Cards side by side.
    Carousel(Vec<Card>),
    /// A part that this engine does not know: its kind, and the part as JSON text.
    Other(String, String),
    /// A header that is a file, and of which the tenant named a sample.
    SampledHeader {
        /// What it is: an image, a video or a document.
        format: HeaderFormat,
        /// The channel's handle of its own sample, or a link to that.
        example: Option<String>,
        /// The sample.
        sample: Attachment,
    },
}

impl Component {
    /// The name in which its kind travels.
    pub fn kind(&self) -> &str {
        match self {
            Self::Header { .. } | Self::SampledHeader { .. } => "header",
            Self::Body { .. } => "body",
            Self::Footer { .. } => "footer",
            Self::Buttons(_) => "buttons",
            Self::Offer { .. } => "limited-time-offer",
            Self::Carousel(_) => "carousel",
            Self::Other(kind, _) => kind,
        }
    }
}

words! {
    /// What stands above a template's text.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum HeaderFormat {
        /// A line of text.
        Text = "text",
        /// A picture.
        Image = "image",
        /// A video.
        Video = "video",
        /// A document.
        Document = "document",
        /// A place on a map.
        Location = "location",
    }
}

impl HeaderFormat {
    /// Whether a file is sent for it.
    pub fn is_file(self) -> bool {
        matches!(self, Self::Image | Self::Video | Self::Document)
    }
}

/// A card of a carousel: a small template of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// What it consists of.
    pub components: Vec<Component>,
}

/// What the recipient can tap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What happens then.
    pub kind: ButtonKind,
    /// Its text.
    pub text: String,
    /// The address that it opens; it may end in a variable.
    pub url: Option<String>,
    /// An example of the address, or of the code that is copied.
    pub example: Option<String>,
    /// Further fields, a JSON object as text.
    pub more: Option<String>,
}

/// What happens when a button is tapped. It is stored: cases are only ever added, at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ButtonKind {
    /// The recipient answers with the button's text.
    QuickReply,
    /// A page is opened.
    Url,
    /// A number is called.
    Phone,
    /// A code is copied.
    CopyCode,
    /// A one-time password is taken over.
    Otp,
    /// A form is opened.
    Flow,
    /// The catalogue is opened.
    Catalog,
    /// Some products are shown.
    Products,
    /// The recipient's contact is asked for.
    ContactRequest,
    /// Another name that the connector passes through.
    Other(String),
}

impl ButtonKind {
    /// All that this engine knows.
    pub const KNOWN: [Self; 9] = [
        Self::QuickReply,
        Self::Url,
        Self::Phone,
        Self::CopyCode,
        Self::Otp,
        Self::Flow,
        Self::Catalog,
        Self::Products,
        Self::ContactRequest,
    ];

    /// The name in which it travels.
    pub fn as_str(&self) -> &str {
        match self {
            Self::QuickReply => "quick-reply",
            Self::Url => "url",
            Self::Phone => "phone",
            Self::CopyCode => "copy-code",
            Self::Otp => "otp",
            Self::Flow => "flow",
            Self::Catalog => "catalog",
            Self::Products => "products",
            Self::ContactRequest => "contact-request",
            Self::Other(name) => name,
        }
    }

    /// The reverse of [`Self::as_str`].
    pub fn of(name: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|kind| kind.as_str() == name);
        known.unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}
