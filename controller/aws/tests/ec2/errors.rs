//! Errors: the message of each in one line, and the kind of fault that it becomes.

use std::{net::TcpListener, time::Duration};

use bakehouse_aws::Limits;
use bakehouse_controller::ports::{Keys as _, Parameters as _};
use bakehouse_controller_aws::ec2::{SdkEc2, SsmParameters};
use bakehouse_ec2::faults::fault;
use bakehouse_ec2::{
    ApiError, Ec2,
    request::{self, CreateVolume},
};
use bakehouse_localcloud::http::{Effect, Fault};
use bakehouse_machine::FaultKind;
use bakehouse_protocol::Region;

use crate::{
    place::{Served, config, home, limits, zone},
    servers::Canned,
};

fn create() -> CreateVolume {
    CreateVolume { size: Some(1), client_token: Some("b-1-volume".into()), ..CreateVolume::new(zone()) }
}

/// The kind of fault that follows from an error of CreateVolume.
fn kind(error: &ApiError) -> FaultKind {
    fault("CreateVolume us-east-1a", &error.code, &error.message).kind
}

async fn fails(ec2: &SdkEc2) -> ApiError {
    ec2.create_volume(&home(), create()).await.unwrap_err()
}

#[tokio::test]
async fn a_throttled_call_is_tried_three_times() {
    let place = Served::new();
    place.server.faults().add(Fault::each("CreateVolume", Effect::Error("RequestLimitExceeded".into())));
    let error = fails(&place.ec2).await;
    assert_eq!((error.code.as_ref(), kind(&error)), ("RequestLimitExceeded", FaultKind::Throttled));
    assert_eq!(place.answers("CreateVolume").len(), 3);
}

#[tokio::test]
async fn a_call_with_a_token_is_repeated_after_a_lost_response() {
    let place = Served::new();
    place.server.faults().add(Fault::once("CreateVolume", Effect::DropAfter));
    place.ec2.create_volume(&home(), create()).await.unwrap();
    assert_eq!(place.answers("CreateVolume").len(), 2);
    let volumes =
        place.cloud.with(|model, now| model.everything(now).into_iter().map(|it| it.volumes.len()).sum::<usize>());
    assert_eq!(volumes, 1);
}

#[tokio::test]
async fn a_call_without_a_token_is_sent_once() {
    let place = Served::new();
    place.server.faults().add(Fault::each("CreateSnapshot", Effect::Drop));
    place.server.faults().add(Fault::each("RegisterImage", Effect::Error("InternalError".into())));
    let volume_id = place.ec2.create_volume(&home(), create()).await.unwrap().volume_id;
    let request = request::CreateSnapshot { volume_id, description: String::new(), tags: Default::default() };
    let error = place.ec2.create_snapshot(&home(), request).await.unwrap_err();
    assert_eq!((error.code.as_ref(), kind(&error)), (ApiError::NO_ANSWER, FaultKind::Ambiguous));
    let request = request::RegisterImage { name: "web".into(), ..Default::default() };
    let error = place.ec2.register_image(&home(), request).await.unwrap_err();
    assert_eq!((error.code.as_ref(), kind(&error)), ("InternalError", FaultKind::Ambiguous));
    assert_eq!((place.answers("CreateSnapshot").len(), place.answers("RegisterImage").len()), (1, 1));
}

#[tokio::test]
async fn a_server_error_is_ambiguous() {
    let place = Served::new();
    for code in ["InternalError", "Unavailable"] {
        place.server.faults().clear();
        place.server.faults().add(Fault::each("CreateVolume", Effect::Error(code.into())));
        let error = fails(&place.ec2).await;
        assert_eq!((error.code.as_ref(), kind(&error)), (code, FaultKind::Ambiguous));
    }
}

#[tokio::test]
async fn a_timed_out_response_is_ambiguous() {
    let attempt = Duration::from_millis(200);
    let place = Served::with(Limits { attempt, attempts: 1, ..limits() });
    place.server.faults().add(Fault::each("CreateVolume", Effect::DelayMs(5_000)));
    let error = fails(&place.ec2).await;
    assert_eq!((error.code.as_ref(), kind(&error)), (ApiError::NO_ANSWER, FaultKind::Ambiguous), "{error}");
    assert!(error.message.contains("timeout") && error.message.contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn all_attempts_together_have_a_time_limit() {
    let operation = Duration::from_millis(300);
    let place = Served::with(Limits { operation, ..limits() });
    place.server.faults().add(Fault::each("CreateVolume", Effect::DelayMs(5_000)));
    let error = fails(&place.ec2).await;
    assert_eq!((error.code.as_ref(), kind(&error)), (ApiError::NO_ANSWER, FaultKind::Ambiguous), "{error}");
}

#[tokio::test]
async fn a_refused_connection_has_sent_nothing() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ec2 = SdkEc2::new(config(&format!("http://{address}")), home(), limits());
    let error = fails(&ec2).await;
    assert_eq!((error.code.as_ref(), kind(&error)), (ApiError::NOT_SENT, FaultKind::Throttled), "{error}");
    assert!(error.message.contains("refused") && error.message.contains(&address.to_string()), "{error}");
    assert!(!error.message.contains('\n'));
}

/// By RFC 6761 no name under `invalid` resolves. Without a name server the error is another.
#[tokio::test]
async fn an_endpoint_that_does_not_resolve_is_named() {
    let ec2 = SdkEc2::new(config("http://ec2.xx-nowhere-1.invalid"), home(), limits());
    let error = fails(&ec2).await;
    assert!(error.message.contains("ec2.xx-nowhere-1.invalid") && !error.message.contains('\n'), "{error}");
    let wanted = if error.message.contains("Temporary failure") {
        (ApiError::NOT_SENT, FaultKind::Throttled)
    } else {
        (ApiError::NO_ENDPOINT, FaultKind::Permanent)
    };
    assert_eq!((error.code.as_ref(), kind(&error)), wanted, "{error}");
}

#[tokio::test]
async fn responses_that_are_not_ec2s_are_classified_too() {
    for (status, body, code, kind_of) in [
        ("503 Service Unavailable", "", ApiError::NOT_UNDERSTOOD, FaultKind::Ambiguous),
        ("502 Bad Gateway", "<html><body>no</body></html>", ApiError::NOT_UNDERSTOOD, FaultKind::Ambiguous),
        ("200 OK", "<html>sign in to this network</html>", ApiError::NOT_UNDERSTOOD, FaultKind::Ambiguous),
        ("407 Proxy Authentication Required", "<html>who?</html>", "Http407", FaultKind::Permanent),
    ] {
        let server = Canned::new(status, "text/html", body);
        let error = fails(&SdkEc2::new(config(server.url()), home(), limits())).await;
        assert_eq!((error.code.as_ref(), kind(&error)), (code, kind_of), "{status}: {error}");
        assert!(error.message.contains(&status[..3]) && !error.message.contains('\n'), "{error}");
    }
}

/// The SDK reads a body that is cut in the middle as far as it goes.
#[tokio::test]
async fn a_truncated_response_is_no_volume() {
    let server = Canned::new("200 OK", "text/xml", "<CreateVolumeResponse><volu");
    let error = fails(&SdkEc2::new(config(server.url()), home(), limits())).await;
    assert_eq!((error.code.as_ref(), kind(&error)), (ApiError::NOT_UNDERSTOOD, FaultKind::Ambiguous), "{error}");
    assert_eq!(error.message, "EC2's response lacks a volume's id");
}

#[tokio::test]
async fn a_volume_in_an_unknown_state_is_an_error() {
    let body = "<DescribeVolumesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><volumeSet><item>\
                <volumeId>vol-01234567</volumeId><size>1</size><volumeType>gp9</volumeType><status>melting</status>\
                <availabilityZone>us-east-1a</availabilityZone></item></volumeSet></DescribeVolumesResponse>";
    let server = Canned::new("200 OK", "text/xml", body);
    let ec2 = SdkEc2::new(config(server.url()), home(), limits());
    let error = ec2.describe_volumes(&home(), request::DescribeVolumes::default()).await.unwrap_err();
    assert!(error.message.contains("\"melting\""), "{error}");
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let body = "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform \
                this operation. User: arn:aws:iam::111122223333:user/mo is not authorized to perform: ec2:CreateTags on \
                resource: arn:aws:ec2:us-east-1:111122223333:volume/* because no identity-based policy allows the \
                ec2:CreateTags action. Encoded authorization failure message: lRGw1abc</Message></Error></Errors>\
                <RequestID>1</RequestID></Response>";
    let server = Canned::new("403 Forbidden", "text/xml", body);
    let error = fails(&SdkEc2::new(config(server.url()), home(), limits())).await;
    let fault = fault("CreateVolume us-east-1a", &error.code, &error.message);
    assert_eq!(fault.kind, FaultKind::Permanent);
    assert!(fault.message.starts_with("CreateVolume us-east-1a: "), "{fault}");
    assert!(fault.message.contains("the permission ec2:CreateTags is missing"), "{fault}");
    assert!(!fault.message.contains("lRGw1"), "{fault}");
    // And the endpoint of the embedded cloud, whose text is the short one.
    let place = Served::new();
    place.server.faults().add(Fault::each("CreateVolume", Effect::Error("UnauthorizedOperation".into())));
    let error = fails(&place.ec2).await;
    let fault = bakehouse_ec2::faults::fault("CreateVolume us-east-1a", &error.code, &error.message);
    assert!(fault.message.ends_with("the permission ec2:CreateVolume is missing"), "{fault}");
    assert_eq!(place.answers("CreateVolume").len(), 1);
}

#[tokio::test]
async fn expired_credentials_and_wrong_clocks_have_a_hint() {
    let place = Served::new();
    for code in ["RequestExpired", "ExpiredToken", "SignatureDoesNotMatch", "InvalidClientTokenId"] {
        place.server.faults().clear();
        place.server.faults().add(Fault::each("CreateVolume", Effect::Error(code.into())));
        let error = fails(&place.ec2).await;
        let fault = fault("CreateVolume us-east-1a", &error.code, &error.message);
        assert_eq!((fault.kind, fault.hint.is_some()), (FaultKind::Permanent, true), "{fault}");
        assert!(fault.message.contains(code), "{fault}");
    }
}

fn there() -> Region {
    Region::new("eu-west-1").unwrap()
}

async fn parameter(server: &Canned) -> Result<Option<String>, bakehouse_machine::Fault> {
    let parameters = SsmParameters::new(config(server.url()), limits());
    parameters.find_parameter(&there(), "/aws/service/base").await
}

#[tokio::test]
async fn a_parameter_is_read() {
    let json = "application/x-amz-json-1.1";
    let body = r#"{"Parameter":{"Name":"/aws/service/base","Type":"String","Value":"ami-01234567","Version":3}}"#;
    let server = Canned::new("200 OK", json, body);
    assert_eq!(parameter(&server).await.unwrap().as_deref(), Some("ami-01234567"));
    let requests = server.requests();
    assert!(requests[0].line.starts_with("POST / "), "{}", requests[0].line);
    assert!(requests[0].headers.iter().any(|header| header == "x-amz-target: amazonssm.getparameter"));
    assert!(requests[0].headers.iter().any(|header| header.contains("/eu-west-1/ssm/aws4_request")));
    assert_eq!(requests[0].body, r#"{"Name":"/aws/service/base","WithDecryption":false}"#);
}

#[tokio::test]
async fn a_missing_parameter_is_none_and_a_forbidden_one_refused() {
    let json = "application/x-amz-json-1.1";
    let server = Canned::new("400 Bad Request", json, r#"{"__type":"ParameterNotFound"}"#);
    assert_eq!(parameter(&server).await, Ok(None));
    let body = r#"{"__type":"AccessDeniedException","Message":"User: arn:aws:iam::111122223333:user/mo is not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:eu-west-1:111122223333:parameter/base because no identity-based policy allows the ssm:GetParameter action"}"#;
    let fault = parameter(&Canned::new("400 Bad Request", json, body)).await.unwrap_err();
    assert!(fault.message.contains("the permission ssm:GetParameter is missing"), "{fault}");
    let fault = parameter(&Canned::new("500 Oops", json, "")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Ambiguous, "{fault}");
}

#[tokio::test]
async fn an_image_is_written_with_its_data_type() {
    let server = Canned::new("200 OK", "application/x-amz-json-1.1", r#"{"Version":4}"#);
    let parameters = SsmParameters::new(config(server.url()), limits());
    parameters.put_image(&there(), "/golden/web", "ami-01234567").await.unwrap();
    let body: serde_json::Value = serde_json::from_str(&server.requests()[0].body).unwrap();
    let expected = serde_json::json!({
        "Name": "/golden/web", "Value": "ami-01234567", "Type": "String", "Overwrite": true,
        "DataType": "aws:ec2:image"
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_key_is_read_in_its_region() {
    let json = "application/x-amz-json-1.1";
    let body = r#"{"KeyMetadata":{"KeyId":"1","KeyState":"Enabled","KeyUsage":"ENCRYPT_DECRYPT","KeySpec":"SYMMETRIC_DEFAULT","KeyManager":"AWS"}}"#;
    let server = Canned::new("200 OK", json, body);
    let key = |server: &Canned| {
        let parameters = SsmParameters::new(config(server.url()), limits());
        async move { parameters.key(&there(), None, "alias/ours").await }
    };
    let found = key(&server).await.unwrap();
    assert!(found.enabled && found.encrypts && found.managed_by_aws);
    assert!(server.requests()[0].headers.iter().any(|header| header.contains("/eu-west-1/kms/aws4_request")));
    let server = Canned::new("400 Bad Request", json, r#"{"__type":"NotFoundException","message":"no such alias"}"#);
    assert_eq!(key(&server).await.unwrap_err().kind, FaultKind::NotFound);
}
