//! What the header of a campaign's template shows to everybody, where that is not a text: a file of the tenant's, a link to one, or a place.
//! It is fixed with the campaign; what a message makes of it, `template::fill` decides.

use serde::{Deserialize, Serialize};

use super::Attachment;
use super::template::HeaderMedia;

/// What the header of each message of a campaign shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CampaignHeader {
    /// A file of the tenant's: each message has it.
    File(Attachment),
    /// A file that the channel fetches from this address.
    Link(String),
    /// A place on a map.
    Location {
        /// Degrees north.
        latitude: Degrees,
        /// Degrees east.
        longitude: Degrees,
        /// Its name.
        title: Option<String>,
        /// Its address.
        address: Option<String>,
    },
}

/// A number of degrees, kept by its shortest decimal text: it is read as the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degrees(String);

impl From<f64> for Degrees {
    fn from(degrees: f64) -> Self {
        Self(degrees.to_string())
    }
}

impl Degrees {
    /// The number.
    pub fn get(&self) -> f64 {
        // It was written by `from`.
        self.0.parse().unwrap_or_default()
    }
}

impl CampaignHeader {
    /// The same for one message.
    pub fn media(&self) -> HeaderMedia {
        match self {
            Self::File(_) => HeaderMedia::Attachment,
            Self::Link(link) => HeaderMedia::Link(link.clone()),
            Self::Location { latitude, longitude, title, address } => HeaderMedia::Location {
                latitude: latitude.get(),
                longitude: longitude.get(),
                title: title.clone(),
                address: address.clone(),
            },
        }
    }

    /// The file that each message has for it.
    pub fn file(&self) -> Option<&Attachment> {
        match self {
            Self::File(file) => Some(file),
            Self::Link(_) | Self::Location { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_are_kept_as_they_were_given() {
        for degrees in [0.0, -23.550_520_1, 179.999_999_999_9, 1e-9, -0.1 - 0.2] {
            let bytes = serde_json::to_vec(&Degrees::from(degrees)).expect("JSON");
            let kept: Degrees = serde_json::from_slice(&bytes).expect("the same");
            assert_eq!(kept.get().to_bits(), f64::to_bits(degrees), "{degrees}");
        }
    }
}
