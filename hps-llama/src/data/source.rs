//! A file's bytes, decompressed as they are read: plain, gzip or zstd, told by content and not by name.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::FrameDecoderError;

use super::contents::{Contents, Meter, changed};
use crate::{Error, ErrorKind, Result};

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// A reader, and what is said if it fails.
pub(super) struct Source {
    pub(super) file: String,
    reader: Box<dyn BufRead>,
    failure: &'static str,
    meter: Rc<RefCell<Meter>>,
}

impl Source {
    /// Opens a file, which has to hold what is `expected` where that is known.
    pub(super) fn open(path: &Path, expected: Option<&Contents>) -> Result<Self> {
        let file = path.display().to_string();
        let unreadable = |error: io::Error| {
            Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(error) //
        };
        let opened = File::open(path).map_err(unreadable)?;
        let meter = Rc::new(RefCell::new(Meter::new(opened, expected.cloned()).map_err(unreadable)?));
        let mut plain = BufReader::new(Raw(meter.clone()));
        let begins = match plain.fill_buf() {
            Err(_) if meter.borrow().is_changed() => return Err(changed(file)),
            begins => begins.map_err(unreadable)?,
        };
        let (reader, failure): (Box<dyn BufRead>, _) = if begins.starts_with(GZIP_MAGIC) {
            let decoder = MultiGzDecoder::new(plain);
            (Box::new(BufReader::new(decoder)), "the gzip stream is damaged or ends early")
        } else if begins.starts_with(ZSTD_MAGIC) {
            (Box::new(BufReader::new(Frames::new(plain))), "the zstd stream is damaged or ends early")
        } else {
            (Box::new(plain), "cannot be read")
        };
        Ok(Source { file, reader, failure, meter })
    }

    /// What comes next, without taking it; nothing at the end.
    pub(super) fn fill(&mut self, line: u64) -> Result<&[u8]> {
        let Source { file, reader, failure, meter } = self;
        reader.fill_buf().map_err(|error| failed(failure, file, line, meter, error))
    }

    /// Takes what comes up to a line's end, with it; how many bytes.
    pub(super) fn line(&mut self, line: u64, bytes: &mut Vec<u8>) -> Result<usize> {
        let Source { file, reader, failure, meter } = self;
        reader.read_until(b'\n', bytes).map_err(|error| failed(failure, file, line, meter, error))
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.reader.consume(count);
    }

    /// What the file holds, read to its end.
    pub(super) fn settle(&mut self) -> Result<Contents> {
        let unreadable = |error: io::Error| Error::new(ErrorKind::Io, "cannot be read").at(&self.file).because(error);
        self.meter.borrow_mut().settle().map_err(unreadable)?.ok_or_else(|| changed(&self.file))
    }

    /// The file itself, for readers that jump about in it.
    #[cfg(feature = "parquet")]
    pub(super) fn handle(&self) -> Result<File> {
        let unreadable = |error: io::Error| Error::new(ErrorKind::Io, "cannot be read").at(&self.file).because(error);
        self.meter.borrow().file().try_clone().map_err(unreadable)
    }
}

/// The bytes as they lie in the file; what is behind the end of what a decoder reads can be read after it.
struct Raw(Rc<RefCell<Meter>>);

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

fn failed(failure: &str, file: &str, line: u64, meter: &RefCell<Meter>, error: io::Error) -> Error {
    if meter.borrow().is_changed() {
        return changed(file);
    }
    Error::new(ErrorKind::Io, failure).at(format_args!("{file}:{line}")).because(error)
}

/// The frames of a zstd file one after the other.
struct Frames<R: BufRead> {
    state: State<R>,
}

enum State<R: BufRead> {
    Between(R),
    Inside(Box<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>),
    Ended,
}

impl<R: BufRead> Frames<R> {
    fn new(reader: R) -> Self {
        Frames { state: State::Between(reader) }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(0),
                State::Between(mut reader) => {
                    if reader.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    let decoder = StreamingDecoder::new(reader).map_err(malformed)?;
                    self.state = State::Inside(Box::new(decoder));
                }
                State::Inside(mut decoder) => {
                    let read = decoder.read(buffer)?;
                    if read > 0 || buffer.is_empty() {
                        self.state = State::Inside(decoder);
                        return Ok(read);
                    }
                    self.state = State::Between(decoder.into_inner());
                }
            }
        }
    }
}

fn malformed(error: FrameDecoderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}
