//! Downloads from a hub, which here is a server of the test: `cargo test --features hub`.
#![cfg(feature = "hub")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Output};

const FILE: &str = "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n";

/// A server that has one file; what is asked of it goes to the channel.
fn hub() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("its address"));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let lines: Vec<String> = BufReader::new(stream.try_clone().expect("a reader"))
                .lines()
                .map(|line| line.expect("a line"))
                .take_while(|line| !line.is_empty())
                .collect();
            let one = lines.iter().any(|line| line.to_lowercase() == "range: bytes=0-0");
            let found = lines[0].contains("/datasets/owner/name/resolve/main/data/rows.jsonl");
            let body = if one { &FILE[..1] } else { FILE };
            let range = if one { format!("content-range: bytes 0-0/{}\r\n", FILE.len()) } else { String::new() };
            let status = if !found {
                "404 Not Found"
            } else if one {
                "206 Partial Content"
            } else {
                "200 OK"
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nx-repo-commit: c0ffee\r\netag: \"e7a6\"\r\n{range}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(head.as_bytes()).expect("written");
            tell.send(lines[0].clone()).expect("the test listens");
        }
    });
    (address, told)
}

fn data(file: &str, address: &str, home: &std::path::Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hps"))
        .args(["data", file, "--download", "owner/name"])
        .env("HF_ENDPOINT", address)
        .env("HF_HOME", home)
        .output()
        .expect("the program starts")
}

#[test]
fn a_file_is_downloaded_once() {
    let (address, told) = hub();
    let home = tempfile::tempdir().expect("a folder");
    for _ in 0..2 {
        let ended = data("data/rows.jsonl", &address, home.path());
        let out = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(ended.status.success() && out.contains("usable                  1"), "{ended:?}");
    }
    assert_eq!(told.try_iter().count(), 2, "its size and the file, once each");
}

#[test]
fn what_is_not_there_is_named() {
    let (address, _told) = hub();
    let home = tempfile::tempdir().expect("a folder");
    for (file, address) in [("data/none.jsonl", address.as_str()), ("data/rows.jsonl", "http://127.0.0.1:1")] {
        let ended = data(file, address, home.path());
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1));
        assert!(error.contains(&format!("owner/name: {file}: cannot be downloaded")), "{error}");
    }
}
