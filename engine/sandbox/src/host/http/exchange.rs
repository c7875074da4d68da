//! `http.exchange`: the calls on a request and a response in pieces (see [`Exchange`]).

use std::time::Duration;

use wasmtime::component::{Accessor, HasSelf, Resource};

use super::{headers_of, prepared, sent};
use crate::bindings::host::http::{self, Error};
use crate::grants::Capability;
use crate::host::granted;
use crate::host::resources::{Exchange, ExchangeError, ExchangeShared};
use crate::limits::EXCHANGE_BYTES;
use crate::state::{Context, HostState, Services};

impl From<ExchangeError> for Error {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Invalid(why) => Self::Invalid(why),
            ExchangeError::NotConnected(why) => Self::NotConnected(why),
            ExchangeError::Interrupted(why) => Self::Interrupted(why),
            ExchangeError::TooLarge(size) => Self::TooLarge(size),
        }
    }
}

fn start(context: &Context, services: &Services, head: http::RequestHead) -> Result<Exchange, Error> {
    if head.content_length > EXCHANGE_BYTES {
        return Err(Error::TooLarge(head.content_length));
    }
    let own = head.timeout_millis.map(|ms| Duration::from_millis(u64::from(ms)));
    let limit = own.unwrap_or(services.limits.host_call).min(services.limits.host_call);
    let builder = prepared(context, services, &head.method, &head.url, &head.headers)?;
    Ok(Exchange::start(builder, head.content_length, limit, |builder| sent(context, builder)))
}

fn held<T: Send + 'static>(
    accessor: &Accessor<T, HasSelf<HostState>>,
    exchange: &Resource<Exchange>,
) -> Result<ExchangeShared, Error> {
    accessor.with(|mut access| match access.get().table.get(exchange) {
        Ok(exchange) => Ok(exchange.shared()),
        Err(_) => Err(Error::Invalid("this exchange is gone".to_owned())),
    })
}

impl http::HostExchange for HostState {
    fn drop(&mut self, exchange: Resource<Exchange>) -> wasmtime::Result<()> {
        self.table.delete(exchange)?;
        Ok(())
    }
}

impl<T: Send + 'static> http::HostExchangeWithStore<T> for HasSelf<HostState> {
    async fn start(accessor: &Accessor<T, Self>, head: http::RequestHead) -> Result<Resource<Exchange>, Error> {
        let (context, services) = granted(accessor, Capability::Http).map_err(Error::Refused)?;
        let exchange = start(&context, &services, head)?;
        accessor
            .with(|mut access| access.get().table.push(exchange))
            .map_err(|_| Error::Refused("this instance holds too many exchanges".to_owned()))
    }

    async fn write(accessor: &Accessor<T, Self>, exchange: Resource<Exchange>, bytes: Vec<u8>) -> Result<(), Error> {
        Ok(held(accessor, &exchange)?.write(bytes).await?)
    }

    async fn finish(accessor: &Accessor<T, Self>, exchange: Resource<Exchange>) -> Result<http::ResponseHead, Error> {
        let head = held(accessor, &exchange)?.finish().await?;
        let headers = headers_of(&head.headers);
        Ok(http::ResponseHead { status: head.status, headers, content_length: head.content_length })
    }

    async fn read(accessor: &Accessor<T, Self>, exchange: Resource<Exchange>, len: u32) -> Result<Vec<u8>, Error> {
        Ok(held(accessor, &exchange)?.read(len).await?)
    }
}
