//! Errors as EC2 answers them.

use bakehouse_ec2::ApiError;

use crate::http::xml::Xml;

/// The HTTP status that EC2 answers with an error.
pub(crate) fn status(error: &ApiError) -> u16 {
    match error.code.as_ref() {
        "AuthFailure" => 401,
        "Blocked" | "MissingAuthenticationToken" | "OptInRequired" | "UnauthorizedOperation" => 403,
        "DryRunOperation" => 412,
        "InternalError" | "InternalFailure" | ApiError::LOCAL_DISK => 500,
        "RequestLimitExceeded" | "ServiceUnavailable" | "Unavailable" => 503,
        _ => 400,
    }
}

/// The body of the answer.
pub(crate) fn body(error: &ApiError, request_id: &str) -> String {
    let mut xml = Xml::document();
    xml.element("Response", |xml| {
        xml.element("Errors", |xml| {
            xml.element("Error", |xml| {
                xml.text("Code", &error.code);
                xml.text("Message", &error.message);
            });
        });
        xml.text("RequestID", request_id);
    });
    xml.into_string()
}
