//! WhatsApp end to end: the built binary with its connector plugin, the simulator that speaks the real protocol, and native
//! clients as the other side, so that both ends decrypt for real. One module a subject; each test has numbers of its own.

mod accounts;
mod baileys;
mod crash;
mod facade;
mod groups;
mod identity;
mod media;
mod outreach;
mod own_phone;
mod passkey;
mod proxy;
mod receiving;
mod samples;
mod sending;
mod session;
mod shared;
mod shipped;
mod storms;
mod swap;
mod told;
mod version;
mod zapini;
mod zapini_day;
mod zapini_media;
mod zapini_media_sends;
mod zapini_roles;
