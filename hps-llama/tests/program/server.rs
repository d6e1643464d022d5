//! A server that speaks as much of OpenAI's interface as the tests need, and misbehaves on demand.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status, further header lines, a body.
    Status(u16, &'static str, String),
    /// Says how long the body is and closes the connection after a part of it.
    Cut(String),
    /// Closes the connection without a word.
    Hang,
    /// These bytes and nothing else.
    Raw(Vec<u8>),
    /// Waits first.
    After(Duration, Box<Reply>),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub authorization: Option<String>,
    pub body: Value,
    /// Times that the same body came before.
    pub times: usize,
}

impl Asked {
    /// The prompt: the text, or the last message.
    pub fn prompt(&self) -> String {
        let last = self.body["messages"].as_array().and_then(|messages| messages.last());
        let text = last.map_or(&self.body["prompt"], |message| &message["content"]);
        text.as_str().expect("a prompt").to_string()
    }

    pub fn count(&self) -> usize {
        self.body["n"].as_u64().expect("a number") as usize
    }

    /// An answer of `count` choices, which say what was asked and are all different.
    pub fn answer(&self, count: usize) -> String {
        let choice = |index: usize| {
            let text = format!("{} {} {index}", self.prompt(), self.body["seed"]);
            match self.path.ends_with("/chat/completions") {
                true => json!({
                    "index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop",
                    "logprobs": {"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.0}]},
                }),
                false => json!({
                    "index": index, "text": text, "finish_reason": "length",
                    "logprobs": {"tokens": ["a"], "token_logprobs": [-0.25]},
                }),
            }
        };
        json!({"object": "list", "choices": (0..count).map(choice).collect::<Vec<_>>()}).to_string()
    }

    /// These choices.
    pub fn choices(choices: &Value) -> Reply {
        Reply::Status(200, "", json!({"object": "list", "choices": choices, "usage": {"total_tokens": 7}}).to_string())
    }

    /// What it asks for.
    pub fn well(&self) -> Reply {
        Reply::Status(200, "", self.answer(self.count()))
    }
}

/// A running server; it ends with the test.
#[derive(Debug)]
pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub fn start(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (reply, seen, log) = (Arc::new(reply), Arc::new(Mutex::new(HashMap::new())), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (reply, seen, log) = (reply.clone(), seen.clone(), log.clone());
                std::thread::spawn(move || {
                    let Some(mut request) = read(&stream) else { return };
                    let times = {
                        let mut seen = seen.lock().expect("no panic");
                        let times: &mut usize = seen.entry(request.body.to_string()).or_default();
                        *times += 1;
                        *times - 1
                    };
                    request.times = times;
                    log.lock().expect("no panic").push(request.clone());
                    say(stream, reply(&request));
                });
            }
        });
        Server { url, asked }
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let path = line.split(' ').nth(1)?.to_string();
    let (mut authorization, mut length) = (None, 0);
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = Some(value.to_string()),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { path, authorization, body: serde_json::from_slice(&body).ok()?, times: 0 })
}

/// The client may be gone already; that is its affair.
fn say(mut stream: TcpStream, reply: Reply) {
    let head = |status: u16, headers: &str, length: usize| {
        format!("HTTP/1.1 {status} Some words\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n")
    };
    let _ = match reply {
        Reply::Status(status, headers, body) => {
            stream.write_all(format!("{}{body}", head(status, headers, body.len())).as_bytes())
        }
        Reply::Cut(body) => {
            stream.write_all(format!("{}{}", head(200, "", body.len()), &body[..body.len() / 2]).as_bytes())
        }
        Reply::Raw(bytes) => stream.write_all(&bytes),
        Reply::Hang => Ok(()),
        Reply::After(pause, reply) => {
            std::thread::sleep(pause);
            return say(stream, *reply);
        }
    };
    let _ = stream.shutdown(Shutdown::Both);
}
