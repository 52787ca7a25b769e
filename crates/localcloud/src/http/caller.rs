//! Who calls, and to which region: the credential scope of AWS's signature, version 4.
//!
//! `Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/ec2/aws4_request, SignedHeaders=…, Signature=…`
//!
//! The signature itself is not checked, because there are no secrets to check it with.

use bakehouse_ec2::ApiError;
use bakehouse_protocol::Region;

use crate::http::Params;

/// The caller, from the credentials of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The id of the access key.
    pub access_key_id: String,
    /// The region that the call was signed for.
    pub region: Region,
    /// The service that the call was signed for, as `ec2`.
    pub service: String,
}

impl Caller {
    /// Reads the `Authorization` header, or `X-Amz-Credential` of a signed URL.
    ///
    /// # Errors
    /// `MissingAuthenticationToken` without either, `AuthFailure` if it has another form.
    pub fn read(authorization: Option<&str>, params: &Params) -> Result<Self, ApiError> {
        let in_url = params.all().get("X-Amz-Credential").map(String::as_str);
        let scope = match authorization {
            Some(header) => header
                .strip_prefix("AWS4-HMAC-SHA256")
                .and_then(|rest| rest.split([',', ' ']).find_map(|part| part.strip_prefix("Credential=")))
                .ok_or_else(invalid_credentials)?,
            None => in_url.ok_or_else(|| {
                ApiError::new("MissingAuthenticationToken", "The request must contain a signature of version 4")
            })?,
        };
        // An access key id has no slash, so the scope is the last four parts.
        let parts: Vec<&str> = scope.split('/').collect();
        let [access_key_id, _date, region, service, "aws4_request"] = parts[..] else {
            return Err(invalid_credentials());
        };
        let region = Region::new(region).map_err(|_| invalid_credentials())?;
        Ok(Self { access_key_id: access_key_id.to_owned(), region, service: service.to_owned() })
    }
}

fn invalid_credentials() -> ApiError {
    ApiError::new("AuthFailure", "AWS was not able to validate the provided access credentials")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: Option<&str>, query: &str) -> Result<Caller, String> {
        Caller::read(header, &Params::parse(&[query.as_bytes()]).unwrap()).map_err(|error| error.code.into_owned())
    }

    #[test]
    fn the_region_is_in_the_credential_scope() {
        let header = "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-3/ec2/aws4_request, SignedHeaders=host, \
                      Signature=00";
        let caller = of(Some(header), "").unwrap();
        assert_eq!((caller.access_key_id.as_str(), caller.region.as_str()), ("AKID", "eu-west-3"));
        assert_eq!(caller.service, "ec2");
        // Some clients omit the blanks.
        assert_eq!(of(Some(&header.replace(", ", ",")), "").unwrap(), caller);
        assert_eq!(of(None, "X-Amz-Credential=AKID%2F20260101%2Feu-west-3%2Fec2%2Faws4_request").unwrap(), caller);
    }

    #[test]
    fn an_invalid_signature_is_refused() {
        assert_eq!(of(None, "Action=DescribeRegions").unwrap_err(), "MissingAuthenticationToken");
        for header in [
            "Bearer x",
            "AWS4-HMAC-SHA256 SignedHeaders=host",
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/ec2/aws4_request",
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/EU West/ec2/aws4_request",
        ] {
            assert_eq!(of(Some(header), "").unwrap_err(), "AuthFailure", "{header}");
        }
    }
}
