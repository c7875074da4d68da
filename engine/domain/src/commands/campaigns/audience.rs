//! Lists that are handed in for a campaign: rows of a file, or contacts by their ids. A new list takes the place of the old one at once,
//! when all of it is stored.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::CampaignView;
use super::drafts::listed;
use crate::commands::Commands;
use crate::commands::messages::send::{MAX_NAME_CHARS, MAX_TO_BYTES};
use crate::model::campaign::MAX_ROWS;
use crate::model::template::MAX_VALUE_CHARS;
use crate::model::{Audience, ListedRow};
use crate::ports::{CampaignChange, RecipientRow};
use crate::{Error, Field, Result, TenantIndex};

/// Rows that one commit stores.
const STORED: usize = 1_000;
/// Maximum number of contacts that are named at once.
pub const MAX_CONTACTS: usize = 10_000;
/// Maximum number of columns of a list.
pub const MAX_COLUMNS: usize = 100;
/// Maximum length of a file's name, in characters; a longer one is cut.
const MAX_FILE_NAME_CHARS: usize = 200;

impl Commands {
    /// Makes the rows of a file the audience of a draft.
    pub async fn set_campaign_rows(
        &self,
        tenant: TenantIndex,
        number: u32,
        file_name: Option<String>,
        rows: Vec<RecipientRow>,
    ) -> Result<CampaignView> {
        let mut list = Vec::with_capacity(rows.len());
        for (number, row) in (1..).zip(rows) {
            let RecipientRow { line, to, name, values } = row;
            let at = |message: String| Error::invalid(Field::File, format!("line {line}: {message}"));
            if to.len() > MAX_TO_BYTES {
                return Err(at(format!("an address must have at most {MAX_TO_BYTES} bytes")));
            }
            if name.as_ref().is_some_and(|name| name.chars().count() > MAX_NAME_CHARS) {
                return Err(at(format!("a name must have at most {MAX_NAME_CHARS} characters")));
            }
            if values.len() > MAX_COLUMNS {
                return Err(at(format!("there must be at most {MAX_COLUMNS} columns")));
            }
            if values.values().any(|value| value.chars().count() > MAX_VALUE_CHARS) {
                return Err(at(format!("a value must have at most {MAX_VALUE_CHARS} characters")));
            }
            list.push(ListedRow { number, line: Some(line), to: Some(to), contact: None, name, values });
        }
        self.set_list(tenant, number, file_name, list, Field::File).await
    }

    /// Makes contacts, by their public ids, the audience of a draft.
    pub async fn set_campaign_contacts(
        &self,
        tenant: TenantIndex,
        number: u32,
        contacts: &[Uuid],
    ) -> Result<CampaignView> {
        if contacts.is_empty() || contacts.len() > MAX_CONTACTS {
            return Err(Error::invalid(Field::Contacts, format!("must be 1 to {MAX_CONTACTS} ids")));
        }
        for (at, id) in contacts.iter().enumerate() {
            if self.ports().store.contact_by_id(tenant, *id)?.is_none() {
                return Err(Error::invalid(Field::Contacts.at(at), "is not the id of a contact"));
            }
        }
        let row = |(number, id): (u32, &Uuid)| ListedRow {
            number,
            line: None,
            to: None,
            contact: Some(*id),
            name: None,
            values: BTreeMap::new(),
        };
        let list = (1..).zip(contacts).map(row).collect();
        self.set_list(tenant, number, None, list, Field::Contacts).await
    }

    async fn set_list(
        &self,
        tenant: TenantIndex,
        number: u32,
        file_name: Option<String>,
        list: Vec<ListedRow>,
        field: Field,
    ) -> Result<CampaignView> {
        if list.is_empty() || list.len() > MAX_ROWS as usize {
            return Err(Error::invalid(field, format!("must be 1 to {MAX_ROWS} rows")));
        }
        let _turn = self.campaign_turn(tenant, number).await;
        let campaign = self.campaign_by_number(tenant, number)?;
        campaign.editable("changed")?;
        let old = listed(&campaign.audience);
        let generation = old.map_or(1, |generation| generation.wrapping_add(1));
        // What an upload left that did not come to its end.
        self.clear_list(tenant, number, generation).await?;
        let rows = list.len() as u32;
        let mut rest = list.into_iter();
        loop {
            let part: Vec<ListedRow> = rest.by_ref().take(STORED).collect();
            if part.is_empty() {
                break;
            }
            let change = CampaignChange::Listed { tenant, campaign: number, generation, rows: part };
            self.commit_campaign(change).await?;
        }
        let file_name =
            file_name.map(|name| name.chars().filter(|c| !c.is_control()).take(MAX_FILE_NAME_CHARS).collect());
        let mut next = campaign.changed(self.now());
        next.audience = Audience::Listed { generation, rows, file_name };
        self.put_campaign(next).await?;
        if let Some(old) = old {
            self.clear_list(tenant, number, old).await?;
        }
        self.get_campaign(tenant, number)
    }
}
