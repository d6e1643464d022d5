//! Log-probs of responses by what they are of, as bytes: a safetensors file.
//!
//! Tensors: `keys` `[entries, 32]` in ascending order, `lengths` `[entries]`, `log_probs` (nats, all entries in a row),
//! `sha256` `[32]` of these three. Metadata: `identity`, what computed them; one text only, as safetensors writes several in
//! any order.

use crate::digest::{Digest, Hasher};
use crate::{Error, ErrorKind, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// By the digest of a prompt's and a response's tokens: a number a token of the response.
pub(super) type LogProbs = BTreeMap<Digest, Vec<f32>>;

/// The file's bytes; `path` is for errors.
pub(super) fn to_bytes<'a>(
    identity: &str,
    entries: impl Iterator<Item = (&'a Digest, &'a Vec<f32>)> + Clone,
    path: &Path,
) -> Result<Vec<u8>> {
    let keys: Vec<u8> = entries.clone().flat_map(|(key, _)| key.0).collect();
    let lengths: Vec<u8> = entries.clone().flat_map(|(_, numbers)| (numbers.len() as u32).to_le_bytes()).collect();
    let numbers: Vec<u8> = entries.flat_map(|(_, numbers)| numbers).flat_map(|number| number.to_le_bytes()).collect();
    let metadata = HashMap::from([("identity".to_string(), identity.to_string())]);
    let sha256 = content(&keys, &lengths, &numbers).0.to_vec();
    let fail = |source| Error::new(ErrorKind::Reference, "cannot be serialised").at(path.display()).because(source);
    let tensors = [
        ("keys", Dtype::U8, vec![keys.len() / 32, 32], &keys),
        ("lengths", Dtype::U32, vec![lengths.len() / 4], &lengths),
        ("log_probs", Dtype::F32, vec![numbers.len() / 4], &numbers),
        ("sha256", Dtype::U8, vec![32], &sha256),
    ];
    let views = tensors
        .into_iter()
        .map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(dtype, shape, bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(fail)?;
    safetensors::serialize(views, Some(metadata)).map_err(fail)
}

/// Whose numbers they are, and the numbers.
pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<(String, LogProbs)> {
    let wrong = |message: &str| Error::new(ErrorKind::Reference, message).at(path.display());
    let malformed = |source| wrong("is no file of reference log-probs").because(source);
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(malformed)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(malformed)?;
    let tensor = |name: &str| tensors.tensor(name).map(|view| view.data()).map_err(malformed);
    let (keys, lengths, numbers) = (tensor("keys")?, tensor("lengths")?, tensor("log_probs")?);
    if tensor("sha256")? != content(keys, lengths, numbers).0 {
        return Err(wrong("its bytes are not those that were written; delete it to have them computed again"));
    }
    let mut numbers = numbers.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    let lengths = lengths.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes) as usize);
    let keys = keys.as_chunks::<32>().0.iter().map(|bytes| Digest(*bytes));
    let entries = keys.zip(lengths).map(|(key, length)| (key, numbers.by_ref().take(length).collect())).collect();
    let identity = header.metadata().as_ref().and_then(|metadata| metadata.get("identity")).cloned();
    Ok((identity.unwrap_or_default(), entries))
}

fn content(keys: &[u8], lengths: &[u8], numbers: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.bytes(keys).bytes(lengths).bytes(numbers);
    hasher.finish()
}
