//! Users get numbers, in the order of their creation, and the role of an owner. API keys of format 1 stay as they are.

use crate::Error;
use crate::backend::{Backend, Bytes, KeyRange, Order, Write};
use crate::keys;
use crate::space::Space;
use crate::tables::earlier::User1;
use crate::tables::meta::{self, Counter};
use crate::tables::people;

/// Users that are rewritten by one write.
const STEP: usize = 5_000;

pub(super) fn run(backend: &dyn Backend) -> Result<(), Error> {
    let mut old: Vec<(Bytes, User1)> = Vec::new();
    for row in backend.scan(Space::Documents, KeyRange::prefix(&[keys::USER]), Order::Forward) {
        let (key, row) = row?;
        if let Some(user) = people::parse_user_1(&row)? {
            old.push((key, user));
        }
    }
    old.sort_by_key(|(_, user)| user.age());
    // Those that an interrupted run has numbered keep their numbers.
    let mut number = meta::number(backend, Counter::User.name())?.unwrap_or(0);
    let users = old.len();
    let mut old = old.into_iter().peekable();
    while old.peek().is_some() {
        let mut writes = Vec::new();
        for (key, user) in old.by_ref().take(STEP) {
            number += 1;
            let number =
                u32::try_from(number).map_err(|_| Error::Damaged("too many users to number them".to_owned()))?;
            let value = Some(Bytes::from(people::user_row(&user.numbered(number))));
            writes.push(Write { space: Space::Documents, key, value });
        }
        let (key, value) = (keys::meta(Counter::User.name()).bytes(), Some(Bytes::from(number.to_be_bytes())));
        writes.push(Write { space: Space::Documents, key, value });
        backend.write(writes)?;
    }
    if users > 0 {
        tracing::info!(users, "users were numbered; each is an owner");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pombo_domain::model::{Role, User};
    use pombo_domain::{TenantIndex, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::codec::append;
    use crate::memory_backend::MemoryBackend;

    /// The row of a user as schema 3 has it.
    fn old(tenant: u32, id: u128, at: i64) -> Write {
        let (tenant, id) = (TenantIndex(tenant), Uuid::from_u128(id));
        let row = append(vec![1], &(id, tenant, format!("{id}@x"), "N", "$argon2id$", Timestamp(at)));
        Write {
            space: Space::Documents,
            key: keys::owned(keys::USER, tenant, id).bytes(),
            value: Some(Bytes::from(row)),
        }
    }

    fn users(backend: &MemoryBackend) -> Vec<User> {
        let rows = backend.scan(Space::Documents, KeyRange::prefix(&[keys::USER]), Order::Forward);
        let mut users: Vec<User> =
            rows.map(|row| people::parse_user(&row.expect("readable").1).expect("of the new format")).collect();
        users.sort_by_key(|user| user.number);
        users
    }

    #[test]
    fn users_are_numbered_by_age_over_all_tenants_and_once() {
        let backend = MemoryBackend::default();
        backend.write(vec![old(1, 7, 30), old(2, 8, 10), old(2, 9, 20)]).expect("written");
        run(&backend).expect("migrated");
        let first = users(&backend);
        let numbered: Vec<_> = first.iter().map(|user| (user.number, user.id.as_u128(), user.tenant.0)).collect();
        assert_eq!(numbered, [(1, 8, 2), (2, 9, 2), (3, 7, 1)]);
        assert!(first.iter().all(|user| user.role == Role::Owner && user.login_epoch == 0));
        assert_eq!(first[0].email, format!("{}@x", first[0].id));

        // As after a crash between two writes: one more is still old.
        backend.write(vec![old(1, 10, 5)]).expect("written");
        run(&backend).expect("migrated");
        let again: Vec<_> = users(&backend).iter().map(|user| (user.number, user.id.as_u128())).collect();
        assert_eq!(again, [(1, 8), (2, 9), (3, 7), (4, 10)]);
        assert_eq!(meta::number(&backend, Counter::User.name()), Ok(Some(4)));
    }
}
