//! The starter itself.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    panic, thread,
};

use bakehouse_tests::moto::Moto;
use serde_json::{Value, json};

fn address(moto: &Moto) -> String {
    moto.endpoint().trim_start_matches("http://").to_owned()
}

#[test]
fn it_answers_while_it_lives_and_is_gone_after_a_panic() {
    let Some(moto) = Moto::start("it_answers_while_it_lives_and_is_gone_after_a_panic") else { return };
    let address = address(&moto);
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "GET /moto-api/data.json HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 "), "{answer}");

    let ended = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let _moto = moto;
        panic!("as a test would");
    }));
    assert!(ended.is_err());
    assert!(TcpStream::connect(&address).is_err(), "it is still there");
}

#[test]
fn two_servers_know_nothing_of_each_other() {
    let Some(one) = Moto::start("two_servers_know_nothing_of_each_other") else { return };
    let Some(two) = Moto::start("two_servers_know_nothing_of_each_other") else { return };
    assert_ne!(one.endpoint(), two.endpoint());
}

fn dynamodb(endpoint: &str, action: &str, body: &Value) -> (u16, String) {
    let mut answer = ureq::post(endpoint)
        .header("Content-Type", "application/x-amz-json-1.0")
        .header("X-Amz-Target", format!("DynamoDB_20120810.{action}"))
        .header("Authorization", "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/dynamodb/aws4_request")
        .config()
        .http_status_as_error(false)
        .build()
        .send(body.to_string())
        .unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

/// What everything that guards a build's record rests on; moto alone does not keep it. Without the lock in `server.py`
/// this fails seldom, and always with `sys.setswitchinterval(1e-6)` there.
#[test]
fn of_conditional_writes_at_the_same_moment_one_is_done() {
    let Some(moto) = Moto::start("of_conditional_writes_at_the_same_moment_one_is_done") else { return };
    let table = json!({
        "TableName": "t",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
    });
    let (status, text) = dynamodb(moto.endpoint(), "CreateTable", &table);
    assert_eq!(status, 200, "{text}");
    for round in 0..10 {
        let write = json!({
            "TableName": "t",
            "Key": { "pk": { "S": round.to_string() } },
            "UpdateExpression": "SET version = :one",
            "ConditionExpression": "attribute_not_exists(version)",
            "ExpressionAttributeValues": { ":one": { "N": "1" } },
        });
        let done: Vec<u16> = thread::scope(|scope| {
            let writers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| dynamodb(moto.endpoint(), "UpdateItem", &write).0)).collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        assert_eq!(done.iter().filter(|status| **status == 200).count(), 1, "round {round}: {done:?}");
    }
}
