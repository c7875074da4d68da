//! The responder of Noise XX, IK and XXfallback, as the web client expects it.
//!
//! The client's first message decides: an ephemeral key alone is XX; with a static key and a payload it is IK. An IK that
//! cannot be read (the client remembers another server key) is answered as XXfallback, which reuses the client's ephemeral.

use wacore_binary::consts::{NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK, WA_CONN_HEADER};
use wacore_libsignal::protocol::{KeyPair, PrivateKey};
use wacore_noise::{HandshakeError as NoiseFailure, NoiseCipher, NoiseHandshake};
use waproto::{
    buffa::{Message as _, MessageField},
    whatsapp::{self as wa, cert_chain::noise_certificate},
};

/// Why a client got no connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Noise failed.
    #[error("noise: {0}")]
    Noise(#[from] NoiseFailure),
    /// The message is not a handshake message.
    #[error("not a handshake message: {0}")]
    Malformed(&'static str),
    /// The login payload cannot be read.
    #[error("the login payload cannot be read: {0}")]
    Payload(String),
}

/// The server's static key and its certificate.
pub struct ServerIdentity {
    key: KeyPair,
    public: [u8; 32],
    certificate: Vec<u8>,
}

impl ServerIdentity {
    /// A fresh key with a certificate chain. Its root is not WhatsApp's: only a client built without the check accepts it.
    pub fn generate() -> Self {
        let mut rng = rand::rng();
        let root = KeyPair::generate(&mut rng);
        let intermediate = KeyPair::generate(&mut rng);
        let key = KeyPair::generate(&mut rng);
        let sign = |issuer: &PrivateKey, details: &[u8]| {
            issuer.calculate_signature(details, &mut rand::rng()).map(|signature| signature.to_vec()).ok()
        };
        let certify = |serial: u32, issuer: &KeyPair, issuer_serial: u32, subject: &KeyPair| {
            let details = noise_certificate::Details {
                serial: Some(serial),
                issuer_serial: Some(issuer_serial),
                key: Some(subject.public_key.public_key_bytes().to_vec()),
                not_before: Some(1_700_000_000),
                not_after: Some(4_000_000_000),
            }
            .encode_to_vec();
            let signature = sign(&issuer.private_key, &details);
            wa::cert_chain::NoiseCertificate { details: Some(details), signature }
        };
        let chain = wa::CertChain {
            leaf: MessageField::some(certify(2, &intermediate, 1, &key)),
            intermediate: MessageField::some(certify(1, &root, 0, &intermediate)),
        };
        Self { public: crate::world::public_bytes(&key), key, certificate: chain.encode_to_vec() }
    }

    fn public(&self) -> &[u8; 32] {
        &self.public
    }
}

/// What a client's first message turned out to be.
#[expect(clippy::large_enum_variant, reason = "one a connection, gone at once")]
pub enum ClientHello {
    /// IK, and it could be read: the connection is there once `reply` is sent.
    Complete {
        /// What to send.
        reply: Vec<u8>,
        /// Who the client is.
        client: Client,
    },
    /// XX or a fallback: the client answers `reply` with a last message for [`Pending::finish`].
    Pending {
        /// What to send.
        reply: Vec<u8>,
        /// The handshake so far.
        pending: Box<Pending>,
    },
}

/// A client that finished its handshake.
pub struct Client {
    /// Its static key.
    pub noise_key: [u8; 32],
    /// Its login.
    pub payload: wa::ClientPayload,
    /// Encrypts what the server sends.
    pub write: NoiseCipher,
    /// Decrypts what the client sends.
    pub read: NoiseCipher,
}

/// A handshake that waits for the client's last message.
pub struct Pending {
    noise: NoiseHandshake,
    ephemeral: KeyPair,
}

impl ClientHello {
    /// Reads a client's first message and answers it.
    pub fn read(identity: &ServerIdentity, frame: &[u8], accept_ik: bool) -> Result<Self, HandshakeError> {
        let message =
            waproto::codec::handshake_message_decode(frame).map_err(|_| HandshakeError::Malformed("no protobuf"))?;
        let hello = message.client_hello.into_option().ok_or(HandshakeError::Malformed("no client hello"))?;
        let client_ephemeral = key(hello.ephemeral.as_deref())?;
        match (hello.r#static, hello.payload) {
            (Some(client_static), Some(payload)) => {
                if accept_ik && let Ok(complete) = resume(identity, &client_ephemeral, &client_static, &payload) {
                    return Ok(complete);
                }
                full(identity, NOISE_PATTERN_XXFALLBACK, &client_ephemeral)
            }
            _ => full(identity, NOISE_PATTERN_XX, &client_ephemeral),
        }
    }
}

fn resume(
    identity: &ServerIdentity,
    client_ephemeral: &[u8; 32],
    client_static: &[u8],
    payload: &[u8],
) -> Result<ClientHello, HandshakeError> {
    let mut noise = NoiseHandshake::new(NOISE_PATTERN_IK, &WA_CONN_HEADER)?;
    let ours = identity.key.private_key.serialize();
    noise.authenticate(identity.public());
    noise.authenticate(client_ephemeral);
    noise.mix_shared_secret(ours, client_ephemeral)?;
    let noise_key = key(Some(&noise.decrypt(client_static)?))?;
    noise.mix_shared_secret(ours, &noise_key)?;
    let payload = noise.decrypt(payload)?;

    let ephemeral = KeyPair::generate(&mut rand::rng());
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client_ephemeral)?;
    noise.mix_shared_secret(ephemeral.private_key.serialize(), &noise_key)?;
    let certificate = noise.encrypt(&identity.certificate)?;
    let reply = server_hello(&ephemeral, None, certificate);
    let (read, write) = noise.finish()?;
    Ok(ClientHello::Complete { reply, client: Client { noise_key, payload: login(&payload)?, write, read } })
}

fn full(identity: &ServerIdentity, pattern: &str, client_ephemeral: &[u8; 32]) -> Result<ClientHello, HandshakeError> {
    let mut noise = NoiseHandshake::new(pattern, &WA_CONN_HEADER)?;
    noise.authenticate(client_ephemeral);
    let ephemeral = KeyPair::generate(&mut rand::rng());
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client_ephemeral)?;
    let encrypted_static = noise.encrypt(identity.public())?;
    noise.mix_shared_secret(identity.key.private_key.serialize(), client_ephemeral)?;
    let certificate = noise.encrypt(&identity.certificate)?;
    let reply = server_hello(&ephemeral, Some(encrypted_static), certificate);
    Ok(ClientHello::Pending { reply, pending: Box::new(Pending { noise, ephemeral }) })
}

impl Pending {
    /// Reads the client's last message.
    pub fn finish(mut self, frame: &[u8]) -> Result<Client, HandshakeError> {
        let message =
            waproto::codec::handshake_message_decode(frame).map_err(|_| HandshakeError::Malformed("no protobuf"))?;
        let finish = message.client_finish.into_option().ok_or(HandshakeError::Malformed("no client finish"))?;
        let client_static = finish.r#static.ok_or(HandshakeError::Malformed("no static key"))?;
        let payload = finish.payload.ok_or(HandshakeError::Malformed("no payload"))?;
        let noise_key = key(Some(&self.noise.decrypt(&client_static)?))?;
        self.noise.mix_shared_secret(self.ephemeral.private_key.serialize(), &noise_key)?;
        let payload = self.noise.decrypt(&payload)?;
        let (read, write) = self.noise.finish()?;
        Ok(Client { noise_key, payload: login(&payload)?, write, read })
    }
}

fn server_hello(ephemeral: &KeyPair, encrypted_static: Option<Vec<u8>>, certificate: Vec<u8>) -> Vec<u8> {
    waproto::codec::handshake_message_to_vec(&wa::HandshakeMessage {
        server_hello: MessageField::some(wa::handshake_message::ServerHello {
            ephemeral: Some(ephemeral.public_key.public_key_bytes().to_vec()),
            r#static: encrypted_static,
            payload: Some(certificate),
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn key(bytes: Option<&[u8]>) -> Result<[u8; 32], HandshakeError> {
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(HandshakeError::Malformed("a key is not 32 bytes"))
}

fn login(payload: &[u8]) -> Result<wa::ClientPayload, HandshakeError> {
    wa::ClientPayload::decode_from_slice(payload).map_err(|e| HandshakeError::Payload(e.to_string()))
}

#[cfg(test)]
mod tests {
    use wacore_noise::{IkHandshakeState, IkServerHelloOutcome, XxFallbackHandshakeState, XxHandshakeState};

    use super::*;

    fn payload() -> Vec<u8> {
        waproto::codec::client_payload_to_vec(&wa::ClientPayload {
            username: Some(5_511_987_654_321),
            device: Some(3),
            ..Default::default()
        })
    }

    /// What one side writes, the other reads, both ways.
    fn talks(client_write: &NoiseCipher, client_read: &NoiseCipher, client: &Client) {
        for (write, read) in [(client_write, &client.read), (&client.write, client_read)] {
            let mut frame = b"hello".to_vec();
            write.encrypt_in_place_with_counter(0, &mut frame).expect("encrypts");
            read.decrypt_in_place_with_counter(0, &mut frame).expect("decrypts");
            assert_eq!(frame, b"hello");
        }
        assert_eq!(client.payload.device, Some(3));
    }

    fn pending(hello: ClientHello) -> (Vec<u8>, Pending) {
        match hello {
            ClientHello::Pending { reply, pending } => (reply, *pending),
            ClientHello::Complete { .. } => panic!("a full handshake has a third message"),
        }
    }

    #[test]
    fn a_first_connection_and_its_resumption() {
        let identity = ServerIdentity::generate();
        let client_key = KeyPair::generate(&mut rand::rng());
        let mut state = XxHandshakeState::new(client_key.clone(), payload(), &WA_CONN_HEADER).expect("starts");
        let hello = ClientHello::read(&identity, &state.build_client_hello().expect("builds"), true).expect("reads");
        let (reply, pending) = pending(hello);
        let finish = state.read_server_hello_and_build_client_finish(&reply).expect("accepts the server");
        let client = pending.finish(&finish).expect("reads the finish");
        let outcome = state.finish().expect("finishes");
        talks(&outcome.write_cipher, &outcome.read_cipher, &client);
        assert_eq!(&client.noise_key, client_key.public_key.public_key_bytes());

        let known = outcome.server_cert_chain.leaf_key;
        let mut state = IkHandshakeState::new(client_key, known, payload(), &WA_CONN_HEADER).expect("starts");
        let hello = ClientHello::read(&identity, &state.build_client_hello().expect("builds"), true).expect("reads");
        let ClientHello::Complete { reply, client } = hello else { panic!("the server knows its own key") };
        let IkServerHelloOutcome::Continue(outcome) = state.read_server_hello(&reply).expect("accepts") else {
            panic!("no fallback")
        };
        talks(&outcome.write_cipher, &outcome.read_cipher, &client);
    }

    #[test]
    fn a_client_that_remembers_another_server_falls_back() {
        let stale = *ServerIdentity::generate().public();
        let identity = ServerIdentity::generate();
        let mut state = IkHandshakeState::new(KeyPair::generate(&mut rand::rng()), stale, payload(), &WA_CONN_HEADER)
            .expect("starts");
        let hello = ClientHello::read(&identity, &state.build_client_hello().expect("builds"), true).expect("reads");
        let (reply, pending) = pending(hello);
        let IkServerHelloOutcome::Fallback(inputs) = state.read_server_hello(&reply).expect("reads") else {
            panic!("the key is stale")
        };
        let mut state = XxFallbackHandshakeState::from_ik_failure(*inputs, &WA_CONN_HEADER).expect("starts again");
        let client = pending.finish(&state.build_client_finish().expect("builds")).expect("reads the finish");
        let outcome = state.finish().expect("finishes");
        talks(&outcome.write_cipher, &outcome.read_cipher, &client);
    }
}
