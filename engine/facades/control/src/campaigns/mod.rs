//! Section Campaigns: one template for many recipients.

mod export;
mod rows;
mod upload;
mod wire;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use pombo_domain::commands::campaigns::check::ChannelRoom;
use pombo_domain::model::pace::AudienceView;

use crate::Section;
use crate::access::Acting;
use crate::campaigns::export::RowExport;
use crate::campaigns::rows::{CampaignCheck, CampaignRow, CampaignRowPage, CampaignRowStatus};
use crate::campaigns::upload::ListForm;
use crate::campaigns::wire::{
    Campaign, CampaignContacts, CampaignKey, CampaignPage, CampaignWhy, CreateCampaign, StartCampaign, UpdateCampaign,
};
use crate::deps::ControlDeps;
use crate::form_files::receive;
use crate::wire::{BODY, CONFLICT, Created, DEFAULT_LIMIT, Deleted, READ, Refused, WRITE, body, optional};
use pombo_api::declared::Param;
use pombo_api::error::{Failure, status};
use pombo_api::export::{Download, ExportFormat};
use pombo_api::json::{JsonBytes, OptionalJsonBytes};
use pombo_api::multipart::Multipart;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Campaigns;

impl pombo_api::Section for Campaigns {
    const FILE: &'static str = file!();
}

/// The number of the campaign that a path names.
fn named(state: &ApiState, acting: &Acting, id: &Path<Param<CampaignKey>>) -> Result<u32, Failure> {
    let named = id.0.0.ok_or_else(|| Failure::not_found("Campaign"))?;
    Ok(state.commands.campaign_number(acting.tenant, named)?)
}

/// What the channel of the campaign's connector leaves room for now.
fn channel_room(deps: &ControlDeps, campaign: &pombo_domain::model::Campaign) -> Result<ChannelRoom, Failure> {
    let view = deps.pace.pace(campaign.connector).map_err(pombo_domain::Error::from)?;
    let (audience, outreach) = view.map_or((None, None), |view| (view.audience, view.outreach));
    let left = |audience: AudienceView| Some(u64::from(audience.limit?.saturating_sub(audience.used)));
    Ok(ChannelRoom { audience_left: audience.and_then(left), outreach })
}

#[OpenApi(tag = "Section::Campaigns")]
impl Campaigns {
    /// List the campaigns, newest first
    #[oai(path = "/v1/campaigns", method = "get", operation_id = "list_campaigns")]
    async fn list_campaigns(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// The `next` of the previous page; the first page if omitted.
        after: Query<Option<u32>>,
    ) -> Result<Json<CampaignPage>, Refused<READ>> {
        let limit = limit.0.unwrap_or(DEFAULT_LIMIT) as usize;
        let found = state.commands.list_campaigns(acting.tenant, after.0, limit)?;
        let next = match found.last().map(|view| view.campaign.number) {
            Some(last) if !state.commands.list_campaigns(acting.tenant, Some(last), 1)?.is_empty() => Some(last),
            _ => None,
        };
        Ok(Json(CampaignPage { data: found.into_iter().map(Campaign::from).collect(), next }))
    }

    /// Create a campaign
    ///
    /// It is a draft: nothing is sent before it is started.
    #[oai(path = "/v1/campaigns", method = "post", operation_id = "create_campaign")]
    async fn create_campaign(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<CreateCampaign>,
    ) -> Result<Created<Campaign>, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        let campaign: UpdateCampaign = body::<CreateCampaign>(&json)?.into();
        let patch = campaign.patch(state.commands.campaign_stop_codes())?;
        Ok(Created::Made(Json(state.commands.create_campaign(acting.tenant, patch).await?.into())))
    }

    /// Get a campaign with how its rows stand
    #[oai(path = "/v1/campaigns/:id", method = "get", operation_id = "get_campaign")]
    async fn get_campaign(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Id or number of the campaign.
        id: Path<Param<CampaignKey>>,
    ) -> Result<Json<Campaign>, Refused<READ>> {
        let number = named(&state, &acting, &id)?;
        Ok(Json(state.commands.get_campaign(acting.tenant, number)?.into()))
    }

    /// Change a draft
    #[oai(path = "/v1/campaigns/:id", method = "patch", operation_id = "update_campaign")]
    async fn update_campaign(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Id or number of the campaign.
        id: Path<Param<CampaignKey>>,
        json: JsonBytes<UpdateCampaign>,
    ) -> Result<Json<Campaign>, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        let number = named(&state, &acting, &id)?;
        let patch = body::<UpdateCampaign>(&json)?.patch(state.commands.campaign_stop_codes())?;
        Ok(Json(state.commands.update_campaign(acting.tenant, number, patch).await?.into()))
    }

    /// Delete a draft
    #[oai(path = "/v1/campaigns/:id", method = "delete", operation_id = "delete_campaign")]
    async fn delete_campaign(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Id or number of the campaign.
        id: Path<Param<CampaignKey>>,
    ) -> Result<Deleted, Refused<{ READ | CONFLICT | WRITE }>> {
        let number = named(&state, &acting, &id)?;
        state.commands.delete_campaign(acting.tenant, number).await?;
        Ok(Deleted::Done)
    }

    /// Hand in a list of recipients
    ///
    /// It becomes the audience of the draft. A list that was handed in before is replaced.
    #[oai(path = "/v1/campaigns/:id/audience", method = "post", operation_id = "set_campaign_list")]
    async fn set_campaign_list(
        &self,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<ControlDeps>>,
        acting: Acting,
        /// Id or number of the campaign.
        id: Path<Param<CampaignKey>>,
        form: Multipart<'_, ListForm>,
    ) -> Result<Json<Campaign>, Refused<{ READ | BODY | CONFLICT | WRITE | status::TOO_MANY }>> {
        let number = named(&state, &acting, &id)?;
        let list = deps.lists.reserve()?;
        let (file_name, file) = receive(form).await?;
        let rows = list.read(file).await?;
        let file_name = Some(file_name).filter(|name| !name.is_empty());
        Ok(Json(state.commands.set_campaign_rows(acting.tenant, number, file_name, rows).await?.into()))
    }

    /// Name the contacts that get a campaign
    ///
    /// They become the audience of the draft. A list that was handed in before is replaced.
    #[oai(path = "/v1/campaigns/:id/contacts", method = "post", operation_id = "set_campaign_contacts")]
    async fn set_campaign_contacts(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Id or number of the campaign.
        id: Path<Param<CampaignKey>>,
        json: JsonBytes<CampaignContacts>,
    ) -> Result<Json<Campaign>, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        let number = named(&state, &acting, &id)?;
        let CampaignContacts { contacts } = body(&json)?;
        Ok(Json(state.commands.set_campaign_contacts(acting.tenant, number, &contacts).await?.into()))
    }

    /// Check a draft without sending anything
    ///
    /// Who would get it and who would not, what it would cost, and what is wrong.
    #[oai(path = "/v1/campaigns/:id/check", method = "post", operation_id = "check_campaign")]
    async fn check_campaign(
        &self,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<ControlDeps>>,
        acting: Acting,
        /// Id or number of the campaign.
        id: Path<Param<CampaignKey>>,
    ) -> Result<Json<CampaignCheck>, Refused<{ READ | CONFLICT | WRITE }>> {
        let number = named(&state, &acting, &id)?;
        let room = channel_room(&deps, &state.commands.campaign_by_number(acting.tenant, number)?)?;
        Ok(Json(state.commands.check_campaign(acting.tenant, number, room).await?.into()))
    }

    /// Start a campaign
    ///
    /// Its audience and what each recipient gets are fixed now, also if it starts later. Who opts out until then is left out. A campaign
    /// starts once: a second request is refused with 409, so repeating one whose answer was lost sends nothing twice. `warnings` of the
    /// answer tell, among others, of advertising that is the same for many.
    #[oai(path = "/v1/campaigns/:id/start", method = "post", operation_id = "start_campaign")]
    async fn start_campaign(
        &self,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<ControlDeps>>,
        acting: Acting,
        /// Id or number of the campaign.
        id: Path<Param<CampaignKey>>,
        json: OptionalJsonBytes<StartCampaign>,
    ) -> Result<Json<Campaign>, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        let number = named(&state, &acting, &id)?;
        let at = optional(&json)?.scheduled_at.map(|at| at.0);
        let mut started = state.commands.start_campaign(acting.tenant, number, at).await?;
        let sent = state.commands.sent_equal_texts(acting.tenant, &*deps.pace, [started.connector.id]);
        started.warnings.extend(sent);
        Ok(Json(started.into()))
    }

    /// Pause a campaign
    ///
    /// Messages that no attempt was made of are taken back: they become other messages when the campaign goes on.
    #[oai(path = "/v1/campaigns/:id/pause", method = "post", operation_id = "pause_campaign")]
    async fn pause_campaign(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Id or number of the campaign.
        id: Path<Param<CampaignKey>>,
        json: OptionalJsonBytes<CampaignWhy>,
    ) -> Result<Json<Campaign>, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        let number = named(&state, &acting, &id)?;
        let why = optional(&json)?.reason;
        Ok(Json(state.commands.pause_campaign(acting.tenant, number, why.as_deref()).await?.into()))
    }

    /// Resume a campaign
    #[oai(path = "/v1/campaigns/:id/resume", method = "post", operation_id = "resume_campaign")]
    async fn resume_campaign(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Id or number of the campaign.
        id: Path<Param<CampaignKey>>,
    ) -> Result<Json<Campaign>, Refused<{ READ | CONFLICT | WRITE }>> {
        let number = named(&state, &acting, &id)?;
        Ok(Json(state.commands.resume_campaign(acting.tenant, number).await?.into()))
    }

    /// Stop a campaign for good
    ///
    /// Rows and messages that no attempt was made of are canceled.
    #[oai(path = "/v1/campaigns/:id/stop", method = "post", operation_id = "stop_campaign")]
    async fn stop_campaign(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Id or number of the campaign.
        id: Path<Param<CampaignKey>>,
        json: OptionalJsonBytes<CampaignWhy>,
    ) -> Result<Json<Campaign>, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        let number = named(&state, &acting, &id)?;
        let why = optional(&json)?.reason;
        Ok(Json(state.commands.stop_campaign(acting.tenant, number, why.as_deref()).await?.into()))
    }

    /// List the rows of a campaign
    #[oai(path = "/v1/campaigns/:id/rows", method = "get", operation_id = "list_campaign_rows")]
    async fn list_campaign_rows(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Id or number of the campaign.
        id: Path<Param<CampaignKey>>,
        /// Only rows that stand there.
        status: Query<Option<CampaignRowStatus>>,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
        /// The `next` of the previous page; the first page if omitted.
        after: Query<Option<u32>>,
    ) -> Result<Json<CampaignRowPage>, Refused<READ>> {
        let number = named(&state, &acting, &id)?;
        let limit = limit.0.unwrap_or(DEFAULT_LIMIT) as usize;
        let (wanted, after) = (status.0.map(Into::into), after.0.unwrap_or(0));
        let page = state.commands.campaign_rows(acting.tenant, number, wanted, after, limit)?;
        Ok(Json(CampaignRowPage { data: page.rows.into_iter().map(CampaignRow::from).collect(), next: page.next }))
    }

    /// Download the rows of a campaign
    ///
    /// As CSV for spreadsheets, or as JSON. In CSV, a text that a spreadsheet would run as a formula has an apostrophe in front.
    #[oai(path = "/v1/campaigns/:id/rows.csv", method = "get", operation_id = "export_campaign_rows")]
    async fn export_campaign_rows(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Id or number of the campaign.
        id: Path<Param<CampaignKey>>,
        /// Form of the file; `csv` if omitted.
        format: Query<Option<ExportFormat>>,
        /// Only rows that stand there.
        status: Query<Option<CampaignRowStatus>>,
    ) -> Result<Download<RowExport>, Refused<READ>> {
        let number = named(&state, &acting, &id)?;
        let export = RowExport::of(&state.commands, acting.tenant, number, status.0.map(Into::into));
        Ok(Download::begin(export, format.0.unwrap_or(ExportFormat::Csv)).await?)
    }
}
