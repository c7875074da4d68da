//! The invariants of templates and labels: their keys, numbers and names.

use std::collections::{BTreeMap, BTreeSet};

use pombo_domain::TenantIndex;
use pombo_domain::model::LabelKind;
use pombo_domain::ports::StoreResult;

use super::Problems;
use crate::DiskStore;
use crate::keys;
use crate::space::Space;
use crate::tables::numbers::{self, Series};
use crate::tables::tags::folded;
use crate::tables::{labels, templates};

impl DiskStore {
    pub(super) fn verify_templates(&self, problems: &mut Problems) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        let mut counts: BTreeMap<TenantIndex, u32> = BTreeMap::new();
        for row in self.documents(keys::TEMPLATE) {
            let (key, row) = row?;
            let template = templates::parse(&row)?;
            let (tenant, number) = (template.tenant, template.number);
            *counts.entry(tenant).or_default() += 1;
            let mut wrong = |what: &str| problems.add(|| format!("template {}/{number}: {what}", tenant.0));
            if key != keys::template(tenant, number).bytes() {
                wrong("under another's key");
            }
            if u64::from(number) > numbers::last(backend, tenant, Series::Templates)? {
                wrong("a number that was not given");
            }
            if templates::by_id(backend, tenant, template.id)?.is_none_or(|found| found.number != number) {
                wrong("its id leads elsewhere");
            }
            let name = backend.get(Space::Documents, &templates::name_of(&template))?;
            match name {
                Some(led) if templates::parse_number(&led)? == number => {}
                _ => wrong("its name leads elsewhere"),
            }
        }
        for (tag, what) in [(keys::TEMPLATE_ID, "ids"), (keys::TEMPLATE_NAME, "names")] {
            let (keys, rows) =
                (self.documents(tag).count(), counts.values().map(|count| *count as usize).sum::<usize>());
            if keys != rows {
                problems.add(|| format!("templates: {keys} {what}, {rows} rows"));
            }
        }
        for (tenant, count) in counts {
            let row = backend.get(Space::Documents, &keys::one_of_tenant(keys::TEMPLATE_COUNT, tenant))?;
            if row.map_or(Ok(0), |row| templates::parse_number(&row))? != count {
                problems.add(|| format!("templates of tenant {}: not {count} as counted", tenant.0));
            }
        }
        let mut names = BTreeSet::new();
        for row in self.documents(keys::LABEL) {
            let (key, row) = row?;
            let label = labels::parse(&row)?;
            let (tenant, kind, number) = (label.tenant, label.kind, label.number);
            let mut wrong = |what: &str| problems.add(|| format!("label {}/{kind:?}/{number}: {what}", tenant.0));
            if key != keys::label(tenant, kind, number).bytes() {
                wrong("under another's key");
            }
            let series = match kind {
                LabelKind::Queue => Series::Queues,
                LabelKind::Status => Series::Statuses,
            };
            if u64::from(number) > numbers::last(backend, tenant, series)? {
                wrong("a number that was not given");
            }
            if !names.insert((tenant, kind, folded(&label.name))) {
                wrong("another has its name");
            }
        }
        Ok(())
    }
}
