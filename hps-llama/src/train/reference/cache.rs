//! Reference log-probs in a file that runs share: `reference-<key>.safetensors`.
//!
//! The key is of the base's numbers, the reference's adapter, and the arithmetic; within the file an entry's is of its
//! tokens. Tensors: `keys` `[entries, 32]` in ascending order, `lengths` `[entries]`, `log_probs` (nats, all entries in a
//! row).

use crate::digest::{Digest, Hasher};
use crate::files::{clear, expect_regular, failed, is_at, open_own, write_whole};
use crate::{Error, ErrorKind, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A file of reference log-probs.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    identity: String,
    /// Entries of this run that the file is known to hold.
    saved: usize,
}

impl Cache {
    /// The file of a reference in `folder`, and what is in it; an absent file is empty.
    pub(super) fn open(
        folder: &Path,
        base: Digest,
        reference: &str,
        arithmetic: &str,
    ) -> Result<(Cache, BTreeMap<Digest, Vec<f32>>)> {
        let identity = format!("base {base}, reference {reference}, {arithmetic}");
        let mut hasher = Hasher::default();
        hasher.text(&identity);
        let name = format!("reference-{:.16}.safetensors", hasher.finish().to_string());
        let mut cache = Cache { path: folder.join(name), identity, saved: 0 };
        // A run that finds all it needs does not write the file again.
        clear(&cache.path);
        let entries = cache.read()?;
        cache.saved = entries.len();
        Ok((cache, entries))
    }

    fn read(&self) -> Result<BTreeMap<Digest, Vec<f32>>> {
        if !expect_regular(&self.path)? {
            return Ok(BTreeMap::new());
        }
        self.parse(&std::fs::read(&self.path).map_err(|source| failed("cannot be read", &self.path, source))?)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds entries to the file's if some are new. Runs that share it wait for one another.
    pub(super) fn save(&mut self, entries: &BTreeMap<Digest, Vec<f32>>) -> Result<()> {
        if entries.len() == self.saved {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| failed("cannot be made", folder, source))?;
        }
        let _turn = Turn::wait(&self.path)?;
        let mut all = self.read()?;
        for (key, numbers) in entries {
            if let Some(theirs) = all.insert(*key, numbers.clone())
                && !theirs.iter().map(|number| number.to_bits()).eq(numbers.iter().map(|number| number.to_bits()))
            {
                let message = format!(
                    "another run has added other log-probs for the same tokens, {theirs:?} where {numbers:?} were computed \
                     here; it is left as it is"
                );
                return Err(Error::new(ErrorKind::Reference, message).at(self.path.display()));
            }
        }
        self.write(&all)?;
        self.saved = entries.len();
        Ok(())
    }

    fn write(&self, entries: &BTreeMap<Digest, Vec<f32>>) -> Result<()> {
        let keys: Vec<u8> = entries.keys().flat_map(|key| key.0).collect();
        let lengths: Vec<u8> = entries.values().flat_map(|numbers| (numbers.len() as u32).to_le_bytes()).collect();
        let numbers: Vec<u8> = entries.values().flatten().flat_map(|number| number.to_le_bytes()).collect();
        let metadata = HashMap::from([
            ("identity".to_string(), self.identity.clone()),
            ("sha256".to_string(), content(&keys, &lengths, &numbers).to_string()),
        ]);
        let fail =
            |source| Error::new(ErrorKind::Reference, "cannot be serialised").at(self.path.display()).because(source);
        let tensors = [
            ("keys", Dtype::U8, vec![entries.len(), 32], &keys),
            ("lengths", Dtype::U32, vec![entries.len()], &lengths),
            ("log_probs", Dtype::F32, vec![numbers.len() / 4], &numbers),
        ];
        let views = tensors
            .into_iter()
            .map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(dtype, shape, bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(fail)?;
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(fail)?;
        write_whole(&self.path, &bytes)
    }

    fn parse(&self, bytes: &[u8]) -> Result<BTreeMap<Digest, Vec<f32>>> {
        let wrong = |message: &str| Error::new(ErrorKind::Reference, message).at(self.path.display());
        let malformed = |source| wrong("is no file of reference log-probs").because(source);
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(malformed)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(malformed)?;
        let metadata = |name: &str| header.metadata().as_ref().and_then(|metadata| metadata.get(name)).cloned();
        if metadata("identity").as_ref() != Some(&self.identity) {
            let found = metadata("identity").unwrap_or_default();
            return Err(wrong(&format!("is of `{found}`, and this run needs `{}`", self.identity)));
        }
        let [keys, lengths, numbers] = ["keys", "lengths", "log_probs"].map(|name| tensors.tensor(name));
        let [keys, lengths, numbers] =
            [keys.map_err(malformed)?, lengths.map_err(malformed)?, numbers.map_err(malformed)?]
                .map(|view| view.data());
        if metadata("sha256") != Some(content(keys, lengths, numbers).to_string()) {
            return Err(wrong("its bytes are not those that were written; delete it to have them computed again"));
        }
        let mut numbers = numbers.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let lengths = lengths.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes) as usize);
        let keys = keys.as_chunks::<32>().0.iter().map(|bytes| Digest(*bytes));
        Ok(keys.zip(lengths).map(|(key, length)| (key, numbers.by_ref().take(length).collect())).collect())
    }
}

/// The right to change a file, of one process at a time: a locked file beside it, `.<name>.lock`, until it is dropped.
#[derive(Debug)]
struct Turn {
    file: File,
    path: PathBuf,
}

impl Turn {
    fn wait(of: &Path) -> Result<Turn> {
        let name = of.file_name().unwrap_or_default().to_string_lossy();
        let path = of.with_file_name(format!(".{name}.lock"));
        loop {
            let file = open_own(&path)?;
            file.lock().map_err(|source| failed("cannot be locked", &path, source))?;
            // Who had it before may have taken the file away between the opening and the locking.
            if is_at(&file, &path)? {
                return Ok(Turn { file, path });
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

fn content(keys: &[u8], lengths: &[u8], numbers: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.bytes(keys).bytes(lengths).bytes(numbers);
    hasher.finish()
}
