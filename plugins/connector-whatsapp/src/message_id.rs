//! The id of a message on the channel, from the engine's id of it: the same for every attempt, so that a message whose outcome is
//! unknown can be sent again and the receiving phone, which keeps one message per (chat, sender, id), shows it once. Pure.

use sha2::{Digest, Sha256};

/// `3EB0` and eighteen hexadecimal digits, the shape of ids that a browser makes.
pub(crate) fn of(client_id: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digest = Sha256::digest(client_id.as_bytes());
    let mut id = String::with_capacity(22);
    id.push_str("3EB0");
    for byte in digest.iter().take(9) {
        id.push(char::from(DIGITS[usize::from(byte >> 4)]));
        id.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    id
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_id_is_stable_and_has_the_shape_of_a_browsers() {
        // The first nine bytes of SHA-256 of the empty string are e3b0c44298fc1c149a.
        assert_eq!(super::of(""), "3EB0E3B0C44298FC1C149A");
        assert_eq!(super::of("a").len(), 22);
        assert_eq!(super::of("a"), super::of("a"));
        assert_ne!(super::of("a"), super::of("b"));
    }
}
