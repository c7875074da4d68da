//! Files that headers show: what those that a caller names really are. Samples are looked at before a channel is asked, and a connector may
//! read them only while it creates or changes the template; a file of a message goes with the message.

use uuid::Uuid;

use crate::commands::Commands;
use crate::model::Attachment;
use crate::model::template::{Component, samples_mut, samples_of};
use crate::{Error, Field, Result, TenantIndex};

/// Maximum number of samples of one template: that of its own header, and one for each of ten cards.
const MAX_SAMPLES: usize = 11;

impl Commands {
    /// A file of the tenant's that a message's header shows, as what it is by its content, under a name; `None` if there is no such file.
    pub async fn header_file(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        file_name: Option<String>,
    ) -> Result<Option<Attachment>> {
        let found = self.recognised_file(tenant, id, file_name.as_deref().unwrap_or_default()).await?;
        Ok(found.map(|found| Attachment {
            id,
            file_name: file_name.unwrap_or_else(|| format!("file.{}", found.extension)),
            content_type: found.content_type.to_owned(),
            size: found.size,
        }))
    }

    /// The components with what their samples are, by their content, and how large. [`crate::ErrorCode::NotFound`] names the first one
    /// that is not a file of the tenant's.
    pub(super) async fn with_samples(
        &self,
        tenant: TenantIndex,
        mut components: Vec<Component>,
    ) -> Result<Vec<Component>> {
        if samples_of(&components).len() > MAX_SAMPLES {
            return Err(Error::invalid(Field::Components, format!("must name at most {MAX_SAMPLES} samples")));
        }
        for (place, sample) in samples_mut(&mut components) {
            let Some(found) = self.recognised_file(tenant, sample.id, "").await? else {
                return Err(Error::unknown(place.named("id"), "is not a file of this tenant; upload it first"));
            };
            sample.size = found.size;
            sample.content_type = found.content_type.to_owned();
            if sample.file_name.is_empty() {
                sample.file_name = format!("sample.{}", found.extension);
            }
        }
        Ok(components)
    }
}
