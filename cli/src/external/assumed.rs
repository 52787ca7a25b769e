//! What is assumed of AWS where nobody is asked: `bakehouse plan --offline`.

use bakehouse_protocol::spec::ImageQuery;
use bakehouse_template::{External, ImageData, ParameterData, Place, SecretData, SecretVersion};

/// Values that stand for those of AWS.
#[derive(Debug)]
pub(crate) struct AssumedValues;

/// What stands for a text.
const ASSUMED: &str = "assumed";

impl External for AssumedValues {
    fn secret(&self, _: &str) -> Result<String, String> {
        Ok(ASSUMED.to_owned())
    }

    fn vault(&self, _: &str, _: &str) -> Result<String, String> {
        Ok(ASSUMED.to_owned())
    }

    fn consul_key(&self, _: &str) -> Result<String, String> {
        Ok(ASSUMED.to_owned())
    }

    fn image(&self, _: &ImageQuery, _: &Place) -> Result<ImageData, String> {
        Ok(ImageData {
            id: "ami-00000000000000000".to_owned(),
            name: ASSUMED.to_owned(),
            creation_date: "2026-01-01T00:00:00.000Z".to_owned(),
            owner: "000000000000".to_owned(),
            ..ImageData::default()
        })
    }

    fn parameter(&self, _: &str, _: bool, _: &Place) -> Result<ParameterData, String> {
        Ok(ParameterData { value: ASSUMED.to_owned(), version: "1".to_owned(), arn: ASSUMED.to_owned() })
    }

    fn secret_version(&self, _: &str, _: &SecretVersion, _: &Place) -> Result<SecretData, String> {
        Ok(SecretData { string: ASSUMED.to_owned(), binary: String::new(), version_id: ASSUMED.to_owned() })
    }
}
