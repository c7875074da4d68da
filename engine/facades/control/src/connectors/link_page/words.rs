//! The page's texts, in Portuguese and English, and the page made of them.

/// A language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Portuguese,
    English,
}

const PAGE: &str = include_str!("page.html");

/// The texts by their names in the page: English, Portuguese.
const WORDS: &[(&str, &str, &str)] = &[
    ("lang", "en", "pt-BR"),
    ("title", "Link WhatsApp", "Conectar o WhatsApp"),
    (
        "intro",
        "You are about to link the WhatsApp account of your phone with this service. Go on only if you know who sent you this page.",
        "Você vai conectar a conta de WhatsApp do seu celular a este serviço. Continue somente se você sabe quem lhe enviou esta página.",
    ),
    ("start", "Show the QR code", "Mostrar o QR code"),
    ("wait", "One moment …", "Um momento …"),
    (
        "scan",
        "On your phone, open WhatsApp, then Linked devices, then Link a device, and scan this code. It changes from time to time.",
        "No celular, abra o WhatsApp, depois Dispositivos conectados, depois Conectar dispositivo, e escaneie este código. Ele muda de tempos em tempos.",
    ),
    (
        "type",
        "On your phone, open WhatsApp, then Linked devices, then Link with phone number, and type this code:",
        "No celular, abra o WhatsApp, depois Dispositivos conectados, depois Conectar com número de telefone, e digite este código:",
    ),
    (
        "passkey",
        "WhatsApp asks for the passkey of your account. In a browser that has Pombo’s extension, press the button: WhatsApp Web opens, asks for your passkey and brings the answer here.",
        "O WhatsApp pede a chave de acesso (passkey) da sua conta. Em um navegador com a extensão do Pombo, aperte o botão: o WhatsApp Web abre, pede a sua chave de acesso e traz a resposta para cá.",
    ),
    ("ask", "Ask for the passkey on WhatsApp Web", "Pedir a chave de acesso no WhatsApp Web"),
    ("paste", "If the answer does not come by itself, paste it here:", "Se a resposta não vier sozinha, cole-a aqui:"),
    ("give", "Give the answer", "Enviar a resposta"),
    ("compare", "Does your phone show this code?", "O seu celular mostra este código?"),
    ("same", "Yes, it is the same", "Sim, é o mesmo"),
    ("other", "No, stop", "Não, parar"),
    (
        "elsewhere",
        "WhatsApp asks for something that this page cannot ask. Tell the person who sent you this page.",
        "O WhatsApp pede algo que esta página não consegue pedir. Avise a pessoa que lhe enviou esta página.",
    ),
    (
        "done",
        "Done: your account is linked. You can close this page. On your phone, under Linked devices, you can end the link at any time.",
        "Pronto: a sua conta está conectada. Você pode fechar esta página. No celular, em Dispositivos conectados, você pode desconectar quando quiser.",
    ),
    (
        "over",
        "This link does not open, or no longer does. Ask the person who sent it for a new one.",
        "Este link não abre, ou não abre mais. Peça um novo à pessoa que o enviou.",
    ),
    ("unread", "This is not the answer of a passkey.", "Isto não é a resposta de uma chave de acesso."),
    ("failed", "That did not work. Try again.", "Não deu certo. Tente de novo."),
    ("reason", "What the connector says:", "O que o conector diz:"),
];

/// The language for a header Accept-Language: Portuguese if the first language that the page has is Portuguese.
pub(super) fn language(accepted: &str) -> Language {
    let wanted =
        accepted.split(',').map(|entry| entry.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let known = |tag: String| match tag.split('-').next() {
        Some("pt") => Some(Language::Portuguese),
        Some("en") => Some(Language::English),
        _ => None,
    };
    wanted.filter_map(known).next().unwrap_or(Language::English)
}

fn word(name: &str, language: Language) -> &'static str {
    match (WORDS.iter().find(|(known, ..)| *known == name), language) {
        (None, _) => "",
        (Some((_, english, _)), Language::English) => english,
        (Some((_, _, portuguese)), Language::Portuguese) => portuguese,
    }
}

/// The page with its texts.
pub(super) fn page(language: Language) -> String {
    let mut page = PAGE.to_owned();
    for (name, ..) in WORDS {
        page = page.replace(&format!("{{{{{name}}}}}"), word(name, language));
    }
    page
}

/// The page that says that a link does not open.
pub(super) fn over(language: Language) -> String {
    let (lang, title, over) = (word("lang", language), word("title", language), word("over", language));
    format!(
        "<!doctype html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\">\n<title>{title}</title>\n<link rel=\"stylesheet\" href=\"/link/-/page.css\">\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n<p>{over}</p>\n</main>\n</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_first_that_the_page_has() {
        for (accepted, language) in [
            ("pt-BR,pt;q=0.9,en;q=0.8", Language::Portuguese),
            ("de, PT", Language::Portuguese),
            ("en-US,pt;q=0.9", Language::English),
            ("de", Language::English),
            ("", Language::English),
        ] {
            assert_eq!(super::language(accepted), language, "{accepted}");
        }
    }

    #[test]
    fn every_text_of_the_page_is_in_both_languages() {
        for language in [Language::English, Language::Portuguese] {
            let page = page(language);
            assert!(!page.contains("{{"), "{page}");
            assert!(page.contains(word("scan", language)) && over(language).contains(word("over", language)));
        }
        assert!(page(Language::Portuguese).contains("lang=\"pt-BR\""));
        for (name, ..) in WORDS {
            assert!(PAGE.contains(&format!("{{{{{name}}}}}")), "{name} is on no page");
        }
    }
}
