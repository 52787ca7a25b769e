//! How a call is refused: EC2's code, text and HTTP status.

use std::borrow::Cow;

use bakehouse_ec2::ApiError;

use crate::http::xml::Xml;

/// An error as it goes to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// As `InvalidVolume.NotFound`.
    pub code: Cow<'static, str>,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// An error of this code and text.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// The HTTP status that EC2 gives with the code.
    pub fn status(&self) -> u16 {
        match self.code.as_ref() {
            "AuthFailure" => 401,
            "Blocked" | "MissingAuthenticationToken" | "OptInRequired" | "UnauthorizedOperation" => 403,
            "DryRunOperation" => 412,
            "InternalError" | "InternalFailure" | ApiError::LOCAL_DISK => 500,
            "RequestLimitExceeded" | "ServiceUnavailable" | "Unavailable" => 503,
            _ => 400,
        }
    }

    /// The body of the answer.
    pub fn to_xml(&self, request_id: &str) -> String {
        let mut xml = Xml::document();
        xml.element("Response", |xml| {
            xml.element("Errors", |xml| {
                xml.element("Error", |xml| {
                    xml.text("Code", &self.code);
                    xml.text("Message", &self.message);
                });
            });
            xml.text("RequestID", request_id);
        });
        xml.into_string()
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self { code: error.code, message: error.message }
    }
}
