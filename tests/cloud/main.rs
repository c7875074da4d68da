//! WhatsApp's Cloud API end to end: the built binary with `connector-whatsapp-cloud`, the simulator that speaks Meta's Graph API and
//! posts webhooks as Meta does, and the facades over them. One module a subject; each test has a simulator and a tenant of its own, and
//! shares the engine. What peers got wrong, as their public issues show, is tested by name: each such test says so.

mod aidesk;
mod aidesk_media;
mod aidesk_outcomes;
mod audiences;
mod campaigns;
mod door;
mod equal_texts;
mod examples;
mod identities;
mod limits;
mod media;
mod numbers;
mod outcomes;
mod own_phone;
mod people;
mod priority;
mod proofs;
mod quality;
mod refusals;
mod sending;
mod shared;
mod statuses;
mod stops;
mod templates;
mod together;
mod token;
mod webhooks;
mod window;
