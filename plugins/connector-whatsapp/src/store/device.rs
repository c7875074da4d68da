//! The device: the identity of this session. JSON, because the library adds fields to it from version to version.

use std::sync::Arc;

use whatsapp_rust::async_trait;
use whatsapp_rust::wacore::store::Device;
use whatsapp_rust::wacore::store::device::DEVICE_PROPS;
use whatsapp_rust::wacore::store::error::{Result, StoreError};
use whatsapp_rust::wacore::store::traits::DeviceStore;

use super::{Store, kv};

const KEY: &str = "w/device";

#[async_trait(?Send)]
impl DeviceStore for Store {
    async fn save(&self, device: &Device) -> Result<()> {
        let value = serde_json::to_vec(device).map_err(|e| StoreError::Serialization(Box::new(e)))?;
        kv::batch(vec![kv::put(KEY, value)]).await
    }

    async fn load(&self) -> Result<Option<Device>> {
        let Some(value) = kv::get(KEY).await? else { return Ok(None) };
        let mut device: Device = serde_json::from_slice(&value).map_err(|e| StoreError::Serialization(Box::new(e)))?;
        // Not stored by the library, and needed when pairing goes on after a restart.
        device.device_props = Arc::new(DEVICE_PROPS.clone());
        Ok(Some(device))
    }

    async fn exists(&self) -> Result<bool> {
        Ok(kv::get(KEY).await?.is_some())
    }

    async fn create(&self) -> Result<i32> {
        self.save(&Device::new()).await?;
        Ok(1)
    }
}
