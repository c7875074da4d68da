//! What a POST asks for: by its path, and with its body read. Scripts ask for the same with the same words. Reading changes nothing, so
//! that a script that asks for what does not exist is refused before its first step.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use super::{Refused, accounts, announcing, clock, groups, policy, read, sending, state, unknown};
use crate::web_version::Wish;
use crate::world::World;

/// An action that is under way; its outcome is the answer in JSON.
pub(crate) type Acting = Pin<Box<dyn Future<Output = Result<Value, Refused>> + Send>>;

/// An action that was read and is not done yet.
pub(crate) type Action = Box<dyn FnOnce(Arc<World>) -> Acting + Send>;

/// Reads the action at this path. An unknown path and a body that it does not take are refused.
pub(crate) fn action(path: &[&str], body: Value) -> Result<Action, Refused> {
    Ok(match path {
        ["accounts"] => {
            let asked = read(body)?;
            at_once(move |world| accounts::register(world, asked))
        }
        ["phones", phone, what] => return of_phone(phone, what, body),
        ["groups"] => {
            let asked = read(body)?;
            at_once(move |world| groups::create(world, asked))
        }
        ["groups", group, "members"] => {
            let (group, asked) = ((*group).to_owned(), read(body)?);
            at_once(move |world| groups::members(world, &group, asked))
        }
        ["web-version"] => {
            let wish: Wish = read(body)?;
            at_once(move |world| Ok(world.web_version.change(&wish)))
        }
        ["policy"] => {
            let asked = read(body)?;
            at_once(move |world| Ok(policy::change(world, &asked)))
        }
        ["clock"] => {
            let asked = read(body)?;
            at_once(move |world| clock::change(world, &asked))
        }
        ["faults"] => {
            let asked = read(body)?;
            at_once(move |world| state::fault(world, asked))
        }
        ["announce"] => {
            let asked = read(body)?;
            in_time(move |world| async move { announcing::announce(&world, asked).await })
        }
        path => return Err(unknown("POST", &format!("/{}", path.join("/")))),
    })
}

fn of_phone(phone: &str, what: &str, body: Value) -> Result<Action, Refused> {
    let phone = phone.to_owned();
    Ok(match what {
        "scan" => {
            let asked = read(body)?;
            at_once(move |world| accounts::scan(world, &phone, asked))
        }
        "link" => {
            let asked = read(body)?;
            in_time(move |world| async move { accounts::link(&world, &phone, asked).await })
        }
        "passkey" => {
            let asked = read(body)?;
            at_once(move |world| accounts::passkey(world, &phone, &asked))
        }
        "send" => {
            let asked = read(body)?;
            in_time(move |world| async move { sending::send(&world, &phone, asked).await })
        }
        "typing" => {
            let asked = read(body)?;
            at_once(move |world| accounts::typing(world, &phone, asked))
        }
        "switch" => {
            let asked = read(body)?;
            at_once(move |world| accounts::switch(world, &phone, asked))
        }
        "read" => {
            let asked = read(body)?;
            at_once(move |world| accounts::mark_read(world, &phone, asked))
        }
        "name" => {
            let asked = read(body)?;
            at_once(move |world| accounts::rename(world, &phone, asked))
        }
        _ => return Err(unknown("POST", &format!("/phones/{phone}/{what}"))),
    })
}

fn at_once(does: impl FnOnce(&Arc<World>) -> Result<Value, Refused> + Send + 'static) -> Action {
    Box::new(move |world: Arc<World>| -> Acting { Box::pin(std::future::ready(does(&world))) })
}

fn in_time<F>(does: impl FnOnce(Arc<World>) -> F + Send + 'static) -> Action
where
    F: Future<Output = Result<Value, Refused>> + Send + 'static,
{
    Box::new(move |world: Arc<World>| -> Acting { Box::pin(does(world)) })
}
