//! The services of AWS that are not EC2, spoken to as plainly as can be: what the tests need of them, and no SDK.

use serde_json::{Value, json};

/// The region of the tests.
pub(crate) const REGION: &str = "us-east-1";

/// A server that answers for all of them.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) endpoint: String,
}

impl Services {
    fn authorization(service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, \
             Signature=0"
        )
    }

    /// One call of a service that speaks JSON.
    fn call(&self, service: &str, version: &str, target: &str, body: &Value) -> Result<Value, String> {
        let answer = ureq::post(&self.endpoint)
            .header("Content-Type", format!("application/x-amz-json-{version}"))
            .header("X-Amz-Target", target)
            .header("Authorization", Self::authorization(service))
            .config()
            .http_status_as_error(false)
            .build()
            .send(body.to_string());
        let mut answer = answer.map_err(|error| format!("{target}: {error}"))?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string().map_err(|error| format!("{target}: {error}"))?;
        if !status.is_success() {
            return Err(format!("{target}: {status}: {text}"));
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|error| format!("{target}: {error} in {text}"))
    }

    pub(crate) fn sqs(&self, action: &str, body: Value) -> Value {
        self.try_sqs(action, &body).unwrap()
    }

    pub(crate) fn try_sqs(&self, action: &str, body: &Value) -> Result<Value, String> {
        self.call("sqs", "1.0", &format!("AmazonSQS.{action}"), body)
    }

    pub(crate) fn dynamodb(&self, action: &str, body: Value) -> Value {
        self.call("dynamodb", "1.0", &format!("DynamoDB_20120810.{action}"), &body).unwrap()
    }

    pub(crate) fn ssm(&self, action: &str, body: Value) -> Value {
        self.call("ssm", "1.1", &format!("AmazonSSM.{action}"), &body).unwrap()
    }

    pub(crate) fn logs(&self, action: &str, body: Value) -> Value {
        self.call("logs", "1.1", &format!("Logs_20140328.{action}"), &body).unwrap()
    }

    pub(crate) fn make_bucket(&self, name: &str) {
        let made = ureq::put(format!("{}/{name}", self.endpoint)).header("Authorization", Self::authorization("s3"));
        made.send_empty().unwrap();
    }

    pub(crate) fn put_object(&self, bucket: &str, key: &str, bytes: Vec<u8>) {
        let put =
            ureq::put(format!("{}/{bucket}/{key}", self.endpoint)).header("Authorization", Self::authorization("s3"));
        put.send(&bytes[..]).unwrap();
    }

    /// A queue; its URL.
    pub(crate) fn make_queue(&self, name: &str, attributes: Value) -> String {
        let made = self.sqs("CreateQueue", json!({ "QueueName": name, "Attributes": attributes }));
        made["QueueUrl"].as_str().unwrap().to_owned()
    }

    pub(crate) fn send(&self, queue: &str, body: &Value) {
        self.sqs("SendMessage", json!({ "QueueUrl": queue, "MessageBody": body.to_string() }));
    }

    /// How many messages wait in a queue, and how many are being handled.
    pub(crate) fn depth(&self, queue: &str) -> (u32, u32) {
        let request = json!({ "QueueUrl": queue, "AttributeNames": ["All"] });
        let attributes = &self.sqs("GetQueueAttributes", request)["Attributes"];
        let number = |name: &str| attributes[name].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        (number("ApproximateNumberOfMessages"), number("ApproximateNumberOfMessagesNotVisible"))
    }
}
