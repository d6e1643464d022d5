//! A file of a header and tensors that is written a part at a time, whole or not at all.

use super::{WholeFile, failed};
use crate::{Error, ErrorKind, Result};
use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file whose header is written, and whose tensors' bytes follow in their order.
#[derive(Debug)]
pub(crate) struct InParts {
    path: PathBuf,
    file: WholeFile,
    alignment: usize,
    /// Names and lengths of the tensors whose bytes are not all there, and how many the first has.
    left: VecDeque<(String, usize)>,
    written: usize,
}

impl InParts {
    /// Writes the header. A file that stands at the path stays until the end.
    ///
    /// * tensors — names, and how many bytes follow for each.
    /// * alignment — every tensor is padded to a multiple of so many bytes.
    pub(crate) fn begin(
        path: &Path,
        header: &[u8],
        tensors: Vec<(String, usize)>,
        alignment: usize,
    ) -> Result<InParts> {
        let mut file = WholeFile::create(path)?;
        file.write_all(header).map_err(|source| failed("cannot be written", path, source))?;
        Ok(InParts { path: path.to_path_buf(), file, alignment, left: tensors.into(), written: 0 })
    }

    /// Writes what follows of the tensors' bytes: of one tensor, or of a part of it.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let wrong = |message: String| Error::new(ErrorKind::Weights, message).at(self.path.display());
        let Some((name, length)) = self.left.front() else {
            return Err(wrong(format!("has all its tensors, and {} bytes more are to be written", bytes.len())));
        };
        if bytes.len() > length - self.written {
            let written = self.written + bytes.len();
            return Err(wrong(format!("tensor `{name}` needs {length} bytes, and {written} are written")));
        }
        let fail = |source| failed("cannot be written", &self.path, source);
        self.file.write_all(bytes).map_err(fail)?;
        self.written += bytes.len();
        if self.written == *length {
            let padding = vec![0; length.next_multiple_of(self.alignment) - length];
            self.file.write_all(&padding).map_err(fail)?;
            self.left.pop_front();
            self.written = 0;
        }
        Ok(())
    }

    /// Gives the file its name.
    pub(crate) fn finish(self) -> Result<()> {
        if let Some((name, length)) = self.left.front() {
            let message = format!("tensor `{name}` needs {length} bytes but has {}", self.written);
            return Err(Error::new(ErrorKind::Weights, message).at(self.path.display()));
        }
        self.file.finish()
    }
}
