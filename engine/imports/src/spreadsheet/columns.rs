//! The columns of a spreadsheet of messages. Their headers are the field names in the documentation of a send.

use std::borrow::Cow;

use pombo_domain::Field;
use pombo_domain::model::MessageType;

/// The sheet that holds the messages.
pub const MESSAGES_SHEET: &str = "Mensagens";
/// The sheet that explains the columns.
pub const INSTRUCTIONS_SHEET: &str = "Instruções";
/// A header with this prefix is a template variable: `var.cidade`.
pub const VARIABLE_HEADER: &str = "var.";

/// A column of the sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// Id of the connector; may be empty if the import names one.
    ConnectorId,
    /// Address of the recipient.
    To,
    /// Text of the message.
    Message,
    /// Name of the recipient.
    ContactName,
    /// Subject of the message.
    Subject,
    /// Category of the message.
    MessageType,
    /// Priority, from 1 to 10.
    Priority,
    /// When to send it at the earliest.
    ScheduledAt,
    /// Whether it waits for approval.
    RequiresApproval,
    /// Whether it goes ahead of the queue.
    ForceDirect,
    /// The caller's reference.
    ExternalId,
    /// Internal remark, which is stored and never sent.
    Notes,
    /// URL that receives the status changes.
    WebhookUrl,
    /// URL of a file to fetch.
    AttachmentUrl,
    /// Template variables as a JSON object.
    Variables,
}

/// How Excel formats a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text format, so that a phone number keeps its digits.
    Text,
    /// A whole number from 1 to 10.
    Priority,
    /// Date and time.
    DateTime,
    /// One of these values.
    List(&'static [&'static str]),
}

/// What the template says about a column.
pub(super) struct About {
    pub(super) header: &'static str,
    pub(super) required: bool,
    pub(super) kind: Kind,
    pub(super) width: f64,
    pub(super) explanation: &'static str,
    pub(super) example: &'static str,
}

/// The words for a message's category, in the order of [`MessageType::ALL`].
const CATEGORIES: [&str; 6] = ["GERAL", "NOTIFICATION", "MARKETING", "TRANSACTIONAL", "SUPPORT", "REMINDER"];

/// The category of a word; otherwise what is wrong with it.
pub fn category(word: &str) -> Result<MessageType, String> {
    let found = CATEGORIES.iter().zip(MessageType::ALL).find(|(known, _)| **known == word);
    found.map(|(_, category)| category).ok_or_else(|| format!("must be one of {}", CATEGORIES.join(", ")))
}

/// The header of the column that a field of a message stands in.
pub fn column_of(field: Field) -> Cow<'static, str> {
    let column = match field {
        Field::Connector => Some(Column::ConnectorId),
        Field::Text => Some(Column::Message),
        other => Column::of_header(other.as_str()),
    };
    Cow::Borrowed(column.map_or(field.as_str(), Column::header))
}

const TRUTH: &[&str] = &["SIM", "NÃO"];

impl Column {
    /// All, in the template's order.
    pub const ALL: [Self; 15] = [
        Self::ConnectorId,
        Self::To,
        Self::Message,
        Self::ContactName,
        Self::Subject,
        Self::MessageType,
        Self::Priority,
        Self::ScheduledAt,
        Self::RequiresApproval,
        Self::ForceDirect,
        Self::ExternalId,
        Self::Notes,
        Self::WebhookUrl,
        Self::AttachmentUrl,
        Self::Variables,
    ];

    /// The header, as documented.
    pub fn header(self) -> &'static str {
        self.about().header
    }

    /// The column with this header, as somebody may have typed it: case, spaces, `_`, `-` and `*` are ignored.
    pub(super) fn of_header(header: &str) -> Option<Self> {
        let folded: String =
            header.chars().filter(|c| !c.is_whitespace() && !"_-*".contains(*c)).flat_map(char::to_lowercase).collect();
        Self::ALL.into_iter().find(|column| column.header().to_lowercase() == folded)
    }

    pub(super) fn about(self) -> About {
        let about = |header, kind, width, explanation, example| About {
            header,
            required: matches!(self, Self::To | Self::Message),
            kind,
            width,
            explanation,
            example,
        };
        match self {
            Self::ConnectorId => about(
                "connectorId",
                Kind::Text,
                38.0,
                "Conector que envia a mensagem (veja a lista de conectores). Pode ficar em branco quando a importação \
                 já indica um conector.",
                "0b9c4a52-6f0e-4d8c-9d3c-2f1b6f0e4d8c",
            ),
            Self::To => about(
                "to",
                Kind::Text,
                26.0,
                "Destinatário. WhatsApp: número completo (DDI + DDD + número), apenas dígitos. E-mail: um endereço \
                 válido.",
                "5511999998888",
            ),
            Self::Message => about(
                "message",
                Kind::Text,
                60.0,
                "Texto da mensagem. Aceita *negrito*, _itálico_, {Olá|Oi} e {{ nome }}.",
                "{Olá|Oi} {{ nome }}, seu pedido foi confirmado!",
            ),
            Self::ContactName => about("contactName", Kind::Text, 24.0, "Nome da pessoa ou empresa.", "João Silva"),
            Self::Subject => about(
                "subject",
                Kind::Text,
                30.0,
                "Assunto, para e-mail. Em branco: o assunto configurado no conector.",
                "Seu pedido",
            ),
            Self::MessageType => {
                about("messageType", Kind::List(&CATEGORIES), 18.0, "Categoria. Em branco: GERAL.", "TRANSACTIONAL")
            }
            Self::Priority => about("priority", Kind::Priority, 10.0, "De 1 a 10 (10 = mais alta). Em branco: 5.", "5"),
            Self::ScheduledAt => about(
                "scheduledAt",
                Kind::DateTime,
                22.0,
                "Data e hora do envio: uma data do Excel ou um texto ISO 8601. Sem fuso horário, vale o do conector.",
                "2030-01-22T10:00:00-03:00",
            ),
            Self::RequiresApproval => about(
                "requiresApproval",
                Kind::List(TRUTH),
                17.0,
                "SIM: a mensagem espera aprovação. Em branco: NÃO.",
                "NÃO",
            ),
            Self::ForceDirect => about(
                "forceDirect",
                Kind::List(TRUTH),
                12.0,
                "SIM: envia à frente da fila e do seu ritmo (use com cautela). Em branco: NÃO.",
                "NÃO",
            ),
            Self::ExternalId => about("externalId", Kind::Text, 20.0, "Referência do seu sistema.", "PEDIDO-12345"),
            Self::Notes => {
                about("notes", Kind::Text, 30.0, "Observações internas (não são enviadas).", "Campanha de janeiro")
            }
            Self::WebhookUrl => about(
                "webhookUrl",
                Kind::Text,
                36.0,
                "URL que recebe as mudanças de status.",
                "https://exemplo.com.br/webhook",
            ),
            Self::AttachmentUrl => about(
                "attachmentUrl",
                Kind::Text,
                36.0,
                "URL pública de um arquivo a anexar.",
                "https://exemplo.com.br/boleto.pdf",
            ),
            Self::Variables => about(
                "variables",
                Kind::Text,
                30.0,
                "Variáveis do texto, um objeto JSON. Uma variável também pode ter coluna própria: var.cidade.",
                "{\"cidade\": \"Recife\"}",
            ),
        }
    }
}
