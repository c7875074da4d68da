//! The invariants of campaigns: the counts are those of the rows, rows are numbered without gaps once a campaign has started, open rows
//! have their key, and a row and its message name each other and agree.

use std::collections::{BTreeMap, BTreeSet};

use pombo_domain::MessageKey;
use pombo_domain::model::{CampaignCounts, CampaignStatus, RowOutcome};
use pombo_domain::ports::StoreResult;

use super::Problems;
use crate::DiskStore;
use crate::codec::bad_key;
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::tables::numbers::{self, Series};
use crate::tables::{campaigns, messages, receipts, states};

impl DiskStore {
    pub(super) fn verify_campaigns(&self, problems: &mut Problems) -> StoreResult<()> {
        let backend = &*self.shared.backend;
        let mut counted: BTreeMap<(u32, u32), CampaignCounts> = BTreeMap::new();
        let mut last: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        let (mut open, mut places) = (BTreeSet::new(), BTreeSet::new());
        for row in self.documents(keys::CAMPAIGN_ROW_STATE) {
            let (key, value) = row?;
            let bad = || bad_key("campaigns");
            let (tenant, campaign) = keys::parse_of_campaign(&key).ok_or_else(bad)?;
            let number = keys::parse_last_number(&key).ok_or_else(bad)?;
            let name = || format!("campaign {}/{campaign}: row {number}", tenant.0);
            let state = campaigns::parse_state(&value)?;
            counted.entry((tenant.0, campaign)).or_default().add(&state.outcome);
            last.insert((tenant.0, campaign), number);
            open.extend(
                keys::campaign_open_row(tenant, campaign, state.outcome.status(), number).map(|key| key.bytes()),
            );
            let fixed =
                backend.get(Space::Documents, &keys::campaign_row(keys::CAMPAIGN_ROW, tenant, campaign, number))?;
            if fixed.map(|row| campaigns::parse_row(&row)).transpose()?.is_none_or(|row| row.number != number) {
                problems.add(|| format!("{} is not what was fixed", name()));
            }
            let Some((serial, id)) = state.message else { continue };
            let message = MessageKey { tenant, serial };
            let place = keys::campaign_message(message);
            let named = backend.get(Space::Documents, &place)?;
            if named.map(|row| campaigns::parse_place(&row)).transpose()? != Some((campaign, number)) {
                problems.add(|| format!("{}: its message does not name it", name()));
            }
            places.insert(place.bytes());
            let Some(record) = messages::read(backend, message)? else {
                problems.add(|| format!("{}: its message is not there", name()));
                continue;
            };
            let stands = match backend.get(Space::States, &keys::message(message))? {
                Some(row) => states::decode(&row)?.1,
                None => record.initial_state(),
            };
            let reports = backend.get(Space::Events, &keys::receipts(message))?;
            let reports = reports.map(|row| receipts::parse(&row)).transpose()?.unwrap_or_default();
            let outcome = match RowOutcome::of(&stands, &reports) {
                // Earlier engines did not tell these apart.
                RowOutcome::Held if state.outcome == RowOutcome::Accepted => RowOutcome::Accepted,
                RowOutcome::PutOff if state.outcome == RowOutcome::Queued => RowOutcome::Queued,
                outcome => outcome,
            };
            if record.id != id || outcome != state.outcome {
                problems.add(|| format!("{} does not stand where its message stands", name()));
            }
        }
        for row in self.documents(keys::CAMPAIGN) {
            let campaign = campaigns::parse(&row?.1)?;
            let (tenant, number) = (campaign.tenant, campaign.number);
            if campaigns::number_of(backend, tenant, campaign.id)? != Some(number) {
                problems.add(|| format!("campaign {}/{number}: its id names another one", tenant.0));
            }
            let counts = counted.remove(&(tenant.0, number)).unwrap_or_default();
            let stored = campaigns::counts(backend, tenant, number)?;
            let used = |counts: &CampaignCounts| {
                let by = counts.failed_by.iter().filter(|(_, rows)| **rows > 0).map(|(_, rows)| *rows).sum::<u64>();
                let skipped = counts.skipped_by.values().sum::<u64>();
                (counts.by_status(), by, skipped, counts.held, counts.put_off)
            };
            if used(&counts) != used(&stored) {
                problems.add(|| format!("campaign {}/{number}: its rows are counted wrongly", tenant.0));
            }
            let highest = last.get(&(tenant.0, number)).copied().unwrap_or(0);
            if campaign.status != CampaignStatus::Draft && u64::from(highest) != counts.rows() {
                problems.add(|| format!("campaign {}/{number}: its rows have gaps", tenant.0));
            }
            if u64::from(number) > numbers::last(backend, tenant, Series::Campaigns)? {
                problems.add(|| format!("campaign {}/{number}: its number was not given", tenant.0));
            }
        }
        for (tenant, number) in counted.keys() {
            problems.add(|| format!("campaign {tenant}/{number}: rows of a campaign that is not there"));
        }
        for row in self.documents(keys::CAMPAIGN_OPEN) {
            let (key, _) = row?;
            if !open.remove(&key) {
                problems.add(|| format!("open row {key:?} is not open"));
            }
        }
        for key in open {
            problems.add(|| format!("open row {key:?} is missing"));
        }
        for row in self.documents(keys::CAMPAIGN_MESSAGE) {
            let (key, _) = row?;
            let message = Parts(&key[1..]).message().ok_or_else(|| bad_key("campaigns"))?;
            if !places.remove(&key) {
                problems.add(|| format!("{message:?}: it names a row of a campaign that is another message"));
            }
        }
        Ok(())
    }
}
