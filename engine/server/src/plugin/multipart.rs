//! A `multipart/form-data` body, of which an upload needs two parts.

use bytes::Bytes;

/// The parts, in the order in which they were added.
pub(super) struct Multipart {
    boundary: String,
    body: Vec<u8>,
}

impl Multipart {
    /// With a boundary made of 16 random bytes, which occurs in no part.
    pub(super) fn new(random: [u8; 16]) -> Self {
        Self { boundary: format!("pombo-{}", hex::encode(random)), body: Vec::new() }
    }

    /// Adds a file. The names are constants of this program, so nothing in them needs escaping.
    pub(super) fn file(mut self, name: &str, filename: &str, content_type: &str, bytes: &[u8]) -> Self {
        let head = format!("{}; filename=\"{filename}\"\r\nContent-Type: {content_type}", disposition(name));
        self.part(&head, bytes);
        self
    }

    /// Adds a text.
    pub(super) fn text(mut self, name: &str, text: &str) -> Self {
        self.part(&disposition(name), text.as_bytes());
        self
    }

    fn part(&mut self, head: &str, bytes: &[u8]) {
        self.body.extend_from_slice(format!("--{}\r\n{head}\r\n\r\n", self.boundary).as_bytes());
        self.body.extend_from_slice(bytes);
        self.body.extend_from_slice(b"\r\n");
    }

    /// The header that names the boundary.
    pub(super) fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// The whole body.
    pub(super) fn body(&self) -> Bytes {
        let mut body = self.body.clone();
        body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        body.into()
    }
}

fn disposition(name: &str) -> String {
    format!("Content-Disposition: form-data; name=\"{name}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_between_boundaries() {
        let parts = Multipart::new([0xab; 16])
            .file("component", "plugin.wasm", "application/wasm", b"\0asm\r\n")
            .text("signature", "c2ln");
        let boundary = format!("pombo-{}", "ab".repeat(16));
        assert_eq!(parts.content_type(), format!("multipart/form-data; boundary={boundary}"));
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"component\"; filename=\"plugin.wasm\"\r\n\
             Content-Type: application/wasm\r\n\r\n\0asm\r\n\r\n--{boundary}\r\n\
             Content-Disposition: form-data; name=\"signature\"\r\n\r\nc2ln\r\n--{boundary}--\r\n"
        );
        assert_eq!(parts.body(), expected.as_bytes());
    }
}
