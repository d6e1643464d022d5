//! What stands before the tensors' bytes, read once and checked.

use super::fields::{Fields, shown, wrong};
use super::tensor::{TensorEntry, TensorType};
use super::value::{Entry, Value};
use super::{ALIGNMENT, DEFAULT_ALIGNMENT};
use crate::Result;
use std::collections::HashSet;
use std::collections::btree_map::{self, BTreeMap};

/// What a file begins with.
const MAGIC: [u8; 4] = *b"GGUF";
/// The fewest bytes of a key with its value, and of a tensor's entry: a name of no bytes, the smallest value, one dimension.
const LEAST_KEY: usize = 8 + 4 + 1;
const LEAST_TENSOR: usize = 8 + 4 + 8 + 4 + 8;
/// ggml's tensors have at most so many dimensions.
const MOST_DIMENSIONS: u32 = 4;

#[derive(Debug)]
pub(super) struct Header {
    pub(super) metadata: BTreeMap<String, Entry>,
    pub(super) tensors: Vec<TensorEntry>,
}

impl Header {
    /// Reads and checks the header; looks at no tensor's bytes.
    pub(super) fn read(file: &[u8]) -> Result<Header> {
        let mut fields = Fields::new(file, 0);
        expect_magic(fields.take(MAGIC.len(), &"its first word")?)?;
        expect_version(fields.u32(&"its version")?)?;
        let tensors = fields.u64(&"the number of tensors")?;
        let keys = fields.count(LEAST_KEY, &"the number of keys")?;
        let metadata = read_metadata(&mut fields, keys)?;
        let alignment = alignment(&metadata, file)?;
        let mut tensors = read_tensors(&mut fields, tensors)?;
        place(&mut tensors, fields.at(), alignment, file.len())?;
        Ok(Header { metadata, tensors })
    }
}

fn expect_magic(magic: &[u8]) -> Result<()> {
    if magic == MAGIC {
        return Ok(());
    }
    let old = [*b"lmgg", *b"fmgg", *b"tjgg", *b"algg"];
    Err(wrong(match old.iter().any(|old| old == magic) {
        true => "is one of ggml's files from before GGUF, which are not read".to_string(),
        false => format!("is no GGUF file: it begins with {:02x?}, not with {MAGIC:02x?}", magic),
    }))
}

fn expect_version(version: u32) -> Result<()> {
    match version {
        2 | 3 => Ok(()),
        1 => Err(wrong("is GGUF of version 1, which is not read; 2 and 3 are".into())),
        // The number's bytes are the other way round, as are all others of the file.
        _ if matches!(version.swap_bytes(), 1..=0xffff) => {
            Err(wrong(format!("is a big-endian GGUF file (version {}), which is not read", version.swap_bytes())))
        }
        _ => Err(wrong(format!("is GGUF of version {version}, which is not known; 2 and 3 are read"))),
    }
}

fn read_metadata(fields: &mut Fields<'_>, keys: usize) -> Result<BTreeMap<String, Entry>> {
    let mut metadata = BTreeMap::new();
    for index in 0..keys {
        let key = fields.name(&format_args!("key {index}"))?;
        let entry = Entry::read(fields, &format_args!("`{}`", shown(key)))?;
        match metadata.entry(key.to_string()) {
            btree_map::Entry::Vacant(place) => place.insert(entry),
            btree_map::Entry::Occupied(_) => return Err(wrong(format!("key `{}` stands twice", shown(key)))),
        };
    }
    Ok(metadata)
}

fn alignment(metadata: &BTreeMap<String, Entry>, file: &[u8]) -> Result<usize> {
    match metadata.get(ALIGNMENT).map(|entry| entry.value(file)) {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(Value::U32(alignment)) if alignment.is_power_of_two() => Ok(alignment as usize),
        Some(value) => Err(wrong(format!("`{ALIGNMENT}` is {value} but has to be a power of two, as u32"))),
    }
}

fn read_tensors(fields: &mut Fields<'_>, count: u64) -> Result<Vec<TensorEntry>> {
    let most = fields.left() / LEAST_TENSOR;
    let Some(count) = usize::try_from(count).ok().filter(|count| *count <= most) else {
        let left = fields.left();
        return Err(wrong(format!(
            "the number of tensors is {count}, but the {left} bytes that follow hold {most} at most"
        )));
    };
    let mut tensors = Vec::new();
    let mut names = HashSet::new();
    for index in 0..count {
        let name = fields.name(&format_args!("the name of tensor {index}"))?;
        if !names.insert(name) {
            return Err(wrong(format!("tensor `{}` stands twice", shown(name))));
        }
        tensors.push(read_tensor(fields, name)?);
    }
    Ok(tensors)
}

fn read_tensor(fields: &mut Fields<'_>, name: &str) -> Result<TensorEntry> {
    let tensor = format!("tensor `{}`", shown(name));
    let dimensions = fields.u32(&format_args!("the number of dimensions of {tensor}"))?;
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        return Err(wrong(format!("{tensor} has {dimensions} dimensions; 1 to {MOST_DIMENSIONS} are read")));
    }
    let dimension = |_| fields.u64(&format_args!("a dimension of {tensor}"));
    let dimensions = (0..dimensions).map(dimension).collect::<Result<Vec<u64>>>()?;
    let number = fields.u32(&format_args!("the type of {tensor}"))?;
    let kind = TensorType::numbered(number).map_err(|known| wrong(format!("{tensor} is {known}")))?;
    let offset = fields.u64(&format_args!("the offset of {tensor}"))?;
    TensorEntry::new(name, kind, &dimensions, offset).map_err(|problem| wrong(format!("{tensor} {problem}")))
}

/// Turns offsets into places in the file, and checks that each tensor lies there and on no other.
fn place(tensors: &mut [TensorEntry], end: usize, alignment: usize, length: usize) -> Result<()> {
    let start = end.checked_next_multiple_of(alignment).unwrap_or(usize::MAX);
    for tensor in &mut *tensors {
        let offset = tensor.begin;
        if !offset.is_multiple_of(alignment) {
            let name = shown(&tensor.name);
            return Err(wrong(format!(
                "tensor `{name}` is at offset {offset}, no multiple of the alignment, {alignment}"
            )));
        }
        let begin = start.checked_add(offset);
        let behind = begin.and_then(|begin| begin.checked_add(tensor.length)).filter(|behind| *behind <= length);
        let (Some(begin), Some(_)) = (begin, behind) else {
            let (name, bytes) = (shown(&tensor.name), tensor.length);
            let place = format!("{bytes} bytes at offset {offset} from {start}");
            return Err(wrong(format!("is cut short: tensor `{name}` is {place}, and the file has {length}")));
        };
        tensor.begin = begin;
    }
    let mut order: Vec<&TensorEntry> = tensors.iter().collect();
    order.sort_by_key(|tensor| tensor.begin);
    match order.array_windows().find(|[first, second]| first.begin + first.length > second.begin) {
        None => Ok(()),
        Some([first, second]) => Err(wrong(format!(
            "tensors `{}` (bytes {} to {}) and `{}` (from {}) overlap",
            shown(&first.name),
            first.begin,
            first.begin + first.length,
            shown(&second.name),
            second.begin
        ))),
    }
}
