//! End-to-end tests of automations and the plugin platform with the built binary. The channel is `pipe` (an HTTP server that
//! counts), or the WhatsApp simulator where its rules matter.

mod answers;
mod conversations;
mod crash;
mod handover;
mod kills;
mod platform;
mod recordings;
mod secrets;
mod service;
mod shared;
mod shipped;
mod signing;
mod swaps;
mod telemetry;
mod together;
mod uploads;
mod webhook_samples;
