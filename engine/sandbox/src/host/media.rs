//! `media`: the files of the messages that a connector is sending, and files that its channel brought.

use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::Arc;

use pombo_domain::model::Attachment;
use pombo_domain::model::attachment::MAX_STORED_BYTES;
use pombo_domain::ports::MediaError;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use wasmtime::component::{Accessor, HasSelf, Resource};

use super::granted;
use super::resources::{Upload, Writing};
use crate::bindings::host::media;
use crate::grants::Capability;
use crate::limits::MEDIA_READ_BYTES;
use crate::state::{Context, HostState, Services};

/// Where the file of a message in flight lies.
pub(crate) fn path_of(context: &Context, services: &Services, id: &str) -> Option<(PathBuf, Attachment)> {
    let file = context.media().find(id)?;
    Some((services.media.path(context.tenant, file.id), file))
}

fn info(file: Attachment) -> media::Info {
    media::Info { id: file.id.to_string(), filename: file.file_name, content_type: file.content_type, size: file.size }
}

fn failed(error: MediaError) -> media::Error {
    match error {
        MediaError::TooLarge(_) => media::Error::Invalid(error.to_string()),
        MediaError::NotFound => media::Error::NotFound,
        MediaError::Io(e) => {
            tracing::warn!(error = %e, "a plugin's media call failed");
            media::Error::Unavailable("the engine's media store does not answer".to_owned())
        }
    }
}

impl media::Host for HostState {}

impl<T: Send + 'static> media::HostWithStore<T> for HasSelf<HostState> {
    async fn stat(accessor: &Accessor<T, Self>, id: String) -> Result<media::Info, media::Error> {
        let (context, _) = granted(accessor, Capability::MediaRead).map_err(media::Error::Refused)?;
        context.media().find(&id).map(info).ok_or(media::Error::NotFound)
    }

    async fn read(accessor: &Accessor<T, Self>, id: String, offset: u64, len: u32) -> Result<Vec<u8>, media::Error> {
        let (context, services) = granted(accessor, Capability::MediaRead).map_err(media::Error::Refused)?;
        let (path, _) = path_of(&context, &services, &id).ok_or(media::Error::NotFound)?;
        let work = async {
            let mut file = tokio::fs::File::open(path).await?;
            file.seek(SeekFrom::Start(offset)).await?;
            let mut bytes = Vec::new();
            file.take(u64::from(len.min(MEDIA_READ_BYTES))).read_to_end(&mut bytes).await?;
            Ok(bytes)
        };
        match tokio::time::timeout(services.limits.host_call, work).await {
            Ok(result) => result.map_err(|e: std::io::Error| failed(e.into())),
            Err(_) => Err(media::Error::TimedOut),
        }
    }
}

impl media::HostUpload for HostState {
    fn drop(&mut self, upload: Resource<Upload>) -> wasmtime::Result<()> {
        self.table.delete(upload)?;
        Ok(())
    }
}

fn writer<T: Send + 'static>(
    accessor: &Accessor<T, HasSelf<HostState>>,
    upload: &Resource<Upload>,
) -> Result<(Writing, Arc<Services>), media::Error> {
    accessor.with(|mut access| {
        let state = access.get();
        let writer = state.table.get(upload).map_err(|_| media::Error::NotFound)?.writing();
        Ok((writer, state.services.clone()))
    })
}

impl<T: Send + 'static> media::HostUploadWithStore<T> for HasSelf<HostState> {
    async fn start(
        accessor: &Accessor<T, Self>,
        filename: String,
        content_type: String,
    ) -> Result<Resource<Upload>, media::Error> {
        let (context, services) = granted(accessor, Capability::MediaWrite).map_err(media::Error::Refused)?;
        let said = (!content_type.is_empty()).then_some(content_type.as_str());
        let created = services.media.create(context.tenant, &filename, said, MAX_STORED_BYTES);
        let writer = match tokio::time::timeout(services.limits.host_call, created).await {
            Ok(writer) => writer.map_err(failed)?,
            Err(_) => return Err(media::Error::TimedOut),
        };
        let upload = Upload::new(writer);
        accessor
            .with(|mut access| access.get().table.push(upload))
            .map_err(|_| media::Error::Refused("this instance holds too many uploads".to_owned()))
    }

    async fn write(accessor: &Accessor<T, Self>, upload: Resource<Upload>, bytes: Vec<u8>) -> Result<(), media::Error> {
        let (writer, services) = writer(accessor, &upload)?;
        let work = async {
            match writer.lock().await.as_mut() {
                Some(writer) => writer.write(&bytes).await.map_err(failed),
                None => Err(media::Error::NotFound),
            }
        };
        tokio::time::timeout(services.limits.host_call, work).await.unwrap_or(Err(media::Error::TimedOut))
    }

    async fn finish(accessor: &Accessor<T, Self>, upload: Resource<Upload>) -> Result<media::Info, media::Error> {
        let (writer, services) = writer(accessor, &upload)?;
        let work = async {
            match writer.lock().await.take() {
                Some(writer) => writer.finish().await.map(info).map_err(failed),
                None => Err(media::Error::NotFound),
            }
        };
        tokio::time::timeout(services.limits.host_call, work).await.unwrap_or(Err(media::Error::TimedOut))
    }
}
