//! The starter itself.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    panic,
};

use bakehouse_test_moto::Moto;

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
