//! Numbers over steps as a TensorBoard event file.
//!
//! A file is records `length: u64 | crc(length): u32 | event | crc(event): u32`, little-endian; an event is a protocol
//! buffer (`tensorflow/core/util/event.proto`), of which these fields are written:
//!
//! | field | number | type |
//! |---|---|---|
//! | `wall_time` | 1 | double, seconds |
//! | `step` | 2 | varint |
//! | `file_version` | 3 | string, the first event's |
//! | `summary` | 5 | message: `value` 1 of `tag` 1, a string, and `simple_value` 2, a float |
//! | `session_log` | 7 | message: `status` 1, a varint; 1 (start) drops what other files say from this step on |

use crate::files::{create_anew, make_folder_inside};
use crate::{Error, ErrorKind, Result};
use crc::{CRC_32_ISCSI, Crc};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A file's name, but for the second of its making and the process.
const FRONT: &str = "events.out.tfevents.";
const BACK: &str = ".hps";

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// An event file being written.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// A new file in `folder`, which is made if it does not exist. What other files there say of `first_step` and later is
    /// dropped by TensorBoard: a resumed run takes its steps up again.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(folder: &Path, first_step: u64) -> Result<EventFile> {
        make_folder_inside(folder)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // TensorBoard knows its files by this beginning and orders them by the second.
        let path = folder.join(format!("{FRONT}{}.{}{BACK}", since.as_secs(), std::process::id()));
        let file = create_anew(&path)?;
        let mut events = EventFile { path, file };
        let mut version = Message::event(0);
        version.bytes(3, b"brain.Event:2");
        events.write(&version)?;
        let (mut start, mut status) = (Message::event(first_step), Message::default());
        status.integer(1, 1);
        start.bytes(7, &status.0);
        events.write(&start)?;
        Ok(events)
    }

    /// Writes numbers of one step, each under its tag.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn scalars<'a>(&mut self, step: u64, values: impl IntoIterator<Item = (&'a str, f64)>) -> Result<()> {
        let mut summary = Message::default();
        for (tag, value) in values {
            let mut entry = Message::default();
            entry.bytes(1, tag.as_bytes());
            entry.float(2, value as f32);
            summary.bytes(1, &entry.0);
        }
        let mut event = Message::event(step);
        event.bytes(5, &summary.0);
        self.write(&event)
    }

    /// Whether a file of this name is one of those that are written here.
    pub fn is_named(name: &str) -> bool {
        let middle = name.strip_prefix(FRONT).and_then(|rest| rest.strip_suffix(BACK));
        middle.is_some_and(|middle| middle.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&mut self, event: &Message) -> Result<()> {
        let length = (event.0.len() as u64).to_le_bytes();
        let (front, back) = (masked(&length).to_le_bytes(), masked(&event.0).to_le_bytes());
        // In one piece: a reader that follows the file meets whole records.
        let record = [&length[..], &front, &event.0, &back].concat();
        self.file
            .write_all(&record)
            .map_err(|source| Error::new(ErrorKind::Io, "cannot be written").at(self.path.display()).because(source))
    }
}

/// CRC-32C, rotated and shifted, so that a checksum of data that hold checksums is another.
fn masked(bytes: &[u8]) -> u32 {
    CHECKSUM.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A protocol buffer's bytes: `(number << 3 | kind)`, then the field.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn event(step: u64) -> Message {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut event = Message::default();
        event.varint(1 << 3 | 1);
        event.0.extend(since.as_secs_f64().to_le_bytes());
        event.integer(2, step);
        event
    }

    fn integer(&mut self, number: u64, value: u64) {
        self.varint(number << 3);
        self.varint(value);
    }

    fn float(&mut self, number: u64, value: f32) {
        self.varint(number << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, number: u64, bytes: &[u8]) {
        self.varint(number << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
